"""Keras's own `model.fit`. Argument: the backend."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from protocol import limit_threads, serve

threads = limit_threads()
os.environ["KERAS_BACKEND"] = sys.argv[1]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import importlib

import keras
import numpy as np
from task import Task, read_task

backend = importlib.import_module(sys.argv[1])
if sys.argv[1] == "torch":
    backend.set_num_threads(threads)
    backend.set_flush_denormal(True)


def build(task: Task) -> keras.Model:
    """The network up to its logits: the loss is the one that penmark takes."""
    stack: list[Any] = [keras.Input(task.input_shape)]
    for number, layer in enumerate(task.layers):
        last = number == len(task.layers) - 1
        match layer["kind"]:
            case "Reshape":
                stack.append(keras.layers.Reshape(layer["output_shape"]))
            case "Rescaling":
                stack.append(keras.layers.Rescaling(layer["scale"], layer["offset"]))
            case "Dense":
                activation = None if last else layer["activation"]
                stack.append(keras.layers.Dense(layer["units"], activation=activation))
            case "Conv2D":
                stack.append(
                    keras.layers.Conv2D(
                        layer["filters"],
                        layer["kernel_size"],
                        strides=layer["strides"],
                        padding=layer["padding"],
                        activation=layer["activation"],
                    )
                )
            case "MaxPooling2D":
                stack.append(keras.layers.MaxPooling2D(layer["pool_size"], layer["strides"]))
            case "Dropout":
                stack.append(keras.layers.Dropout(layer["rate"]))
            case kind:
                raise ValueError(f"the benchmark does not know the layer {kind}")
    model = keras.Sequential(stack)
    model.set_weights(task.weights)
    optimizer = keras.optimizers.get(
        {"class_name": task.optimizer["name"], "config": task.optimizer}
    )
    loss = clipped if task.clipped else keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model


def clipped(y_true: Any, y_pred: Any) -> Any:
    probabilities = keras.ops.clip(keras.ops.softmax(y_pred), 1e-7, 1 - 1e-7)
    return -keras.ops.sum(y_true * keras.ops.log(probabilities), axis=-1)


class Trainer:
    def load(self, folder: str, request: dict[str, Any]) -> dict[str, Any]:
        task = read_task(folder, request["images"])
        self.batch_size = task.batch_size
        self.x = task.x.astype(np.float32)  # as the tutorials do, and once instead of every epoch
        self.y = np.eye(task.classes, dtype=np.float32)[task.y]
        self.model = build(task)
        return {"versions": {"keras": keras.__version__, sys.argv[1]: backend.__version__}}

    def epoch(self, number: int, request: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        history = self.model.fit(self.x, self.y, batch_size=self.batch_size, verbose=0)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "loss": float(history.history["loss"][-1])}


trainer = Trainer()
serve({"load": trainer.load, "epoch": trainer.epoch})
