"""penmark's engine, for inference: a `.keras` file run without Keras, images as uint8."""

from __future__ import annotations

import time
from typing import Any

from protocol import limit_threads, serve

limit_threads()

from pathlib import Path

import numpy as np
from task import read_task

import penmark
from penmark.engine.native_model import NativeModel


class Session:
    def load(self, folder: str, request: dict[str, Any]) -> dict[str, Any]:
        self.model = NativeModel.from_file(Path(folder) / "model.keras")
        self.x = read_task(folder, request["images"]).x
        return {"versions": {"penmark": penmark.__version__, "numpy": np.__version__}}

    def outputs(self, count: int, request: dict[str, Any]) -> dict[str, Any]:
        return {"outputs": self.model.predict(self.x[:count]).tolist()}

    def batches(self, size: int, request: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        for first in range(0, len(self.x), size):
            self.model.predict(self.x[first : first + size], size)
        return {"seconds": time.perf_counter() - started}

    def singles(self, count: int, request: dict[str, Any]) -> dict[str, Any]:
        seconds = []
        for number in range(count):
            image = self.x[number % len(self.x)][None]
            started = time.perf_counter()
            self.model.predict(image, 1)
            seconds.append(time.perf_counter() - started)
        return {"seconds": seconds}


session = Session()
serve(
    {
        "load": session.load,
        "outputs": session.outputs,
        "batches": session.batches,
        "singles": session.singles,
    }
)
