"""penmark's engine, through `penmark.fit`. Argument: the precision."""

from __future__ import annotations

import sys
import time
from typing import Any

from protocol import Declined, limit_threads, serve

threads = limit_threads()

import numpy as np
from task import Task, read_task

import penmark
from penmark import recipes
from penmark.engine import _core
from penmark.engine.native import unsupported_reason


class Trainer:
    def __init__(self, precision: str) -> None:
        self.precision = precision
        self.task: Task
        self.model: Any

    def load(self, folder: str, request: dict[str, Any]) -> dict[str, Any]:
        self.task = task = read_task(folder, request["images"])
        self.recipe = recipes.get(task.recipe)
        self.model = self.recipe.build(
            image_shape=task.input_shape, num_classes=task.classes, precision=self.precision
        )
        self.model.set_weights(task.weights)
        reason = unsupported_reason(self.model, {"loss_from": self.recipe.loss_from})
        if reason is not None:
            raise Declined(f"runs through Keras: {reason}")
        return {"versions": {"penmark": penmark.__version__, "numpy": np.__version__}}

    def epoch(self, number: int, request: dict[str, Any]) -> dict[str, Any]:
        peak = _core.peak_gflops(threads)
        started = time.perf_counter()
        history = penmark.fit(
            self.model,
            self.task.x,
            self.task.y,
            engine="native",
            loss_from=self.recipe.loss_from,
            seed=number,
            batch_size=self.task.batch_size,
            verbose=0,
        )
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "loss": history.history["loss"][-1], "peak_gflops": peak}


trainer = Trainer(sys.argv[1])
serve({"load": trainer.load, "epoch": trainer.epoch})
