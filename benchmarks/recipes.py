"""Seconds per epoch of the published networks on MNIST: the core and Keras in turn.

    python benchmarks/recipes.py [--data mnist.npz] [--recipe NAME]... [--images N] [--runs N]

Each trains as published (batch size, optimizer). The first epoch of each is warm-up and not timed;
then epochs alternate, and the medians are compared. With --images fewer than 60,000 the seconds are
scaled up. `--profile` adds the core's seconds per layer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import penmark
from penmark.engine import native

L = keras.layers
BATCH = {"softmax": 32, "mlp-relu": 500, "mlp-dropout": 128, "mlp-sigmoid": 64, "cnn": 32}


def recipe(name: str) -> keras.Model:
    layers = {
        "softmax": lambda: [L.Flatten()],
        "mlp-relu": lambda: [L.Flatten(), L.Dense(784, "relu"), L.Dense(32, "relu")],
        "mlp-dropout": lambda: [
            L.Rescaling(1 / 255), L.Flatten(), L.Dense(512, "relu"), L.Dropout(0.2),
            L.Dense(512, "relu"), L.Dropout(0.2),
        ],
        "mlp-sigmoid": lambda: [L.Flatten(), L.Dense(784, "sigmoid"), L.Dense(800, "sigmoid")],
        "cnn": lambda: [
            L.Reshape((28, 28, 1)),
            L.Conv2D(32, 3, activation="relu"), L.Conv2D(32, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Conv2D(64, 3, activation="relu"), L.Conv2D(64, 3, activation="relu"),
            L.MaxPooling2D(2), L.Flatten(),
            L.Dense(1024, "sigmoid"), L.Dropout(0.2), L.Dense(1024, "sigmoid"), L.Dropout(0.2),
        ],
    }[name]()  # fmt: skip
    model = keras.Sequential([L.Input((28, 28)), *layers, L.Dense(10, "softmax")])
    optimizer = "sgd" if name in ("softmax", "mlp-relu") else "adam"
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist.npz")
    parser.add_argument("--recipe", action="append", choices=list(BATCH))
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    with np.load(arguments.data) as data:
        x = data["x_train"][: arguments.images]
        y = data["y_train"][: arguments.images].astype(np.int64)
    scale = 60_000 / len(x)
    for name in arguments.recipe or list(BATCH):
        model, twin = recipe(name), recipe(name)
        twin.set_weights(model.get_weights())
        ours: list[float] = []
        theirs: list[float] = []
        for run in range(arguments.runs + 1):
            start = time.perf_counter()
            history = penmark.fit(
                model, x, y, engine="native", seed=run, batch_size=BATCH[name], verbose=0
            )
            middle = time.perf_counter()
            twin.fit(x, y, batch_size=BATCH[name], verbose=0)
            if run:
                ours.append((middle - start) * scale)
                theirs.append((time.perf_counter() - middle) * scale)
        engine, peer = statistics.median(ours), statistics.median(theirs)
        print(
            f"{name:12} engine {engine:7.2f} s ({min(ours):.2f}-{max(ours):.2f})   "
            f"{keras.backend.backend()} {peer:7.2f} s ({min(theirs):.2f}-{max(theirs):.2f})   "
            f"ratio {peer / engine:5.2f}   accuracy {history.history['accuracy'][-1]:.4f}",
            flush=True,
        )
        if arguments.profile:
            core = native.bind(model)
            steps = -(-len(x) // BATCH[name])
            core.network.train(
                x, y, np.arange(len(x)), BATCH[name], np.zeros(steps, np.float32), 0, 0
            )
            for layer, fwd, bwd in core.network.training_times():
                print(
                    f"    {layer:28} forward {fwd * scale:7.2f} s   backward {bwd * scale:7.2f} s"
                )


if __name__ == "__main__":
    main()
