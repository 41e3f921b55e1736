"""scikit-learn's MLPClassifier, for networks of dense layers with one activation and no dropout.

Its first weights are its own (Glorot's too); each `partial_fit` is one shuffled epoch.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

from protocol import Declined, limit_threads, serve

limit_threads()

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier
from task import read_task

NAMES = {"relu": "relu", "sigmoid": "logistic", "tanh": "tanh"}


class Trainer:
    def load(self, folder: str, request: dict[str, Any]) -> dict[str, Any]:
        task = read_task(folder, request["images"])
        for layer in task.layers:
            if layer["kind"] not in ("Dense", "Reshape"):
                raise Declined(f"has no {layer['kind']}")
        if task.clipped:
            raise Declined("has no loss from clipped probabilities")
        *hidden, _ = [layer for layer in task.layers if layer["kind"] == "Dense"]
        activations = {layer["activation"] for layer in hidden}
        if len(activations) > 1:
            raise Declined("has one activation for all layers")
        settings = task.optimizer
        if settings["name"] not in ("sgd", "adam"):
            raise Declined(f"has no {settings['name']}")
        self.x = task.x.reshape(len(task.x), -1).astype(np.float32)
        self.y, self.classes = task.y, np.arange(task.classes)
        self.network = MLPClassifier(
            tuple(layer["units"] for layer in hidden),
            activation=NAMES[activations.pop()] if activations else "identity",
            solver=settings["name"],
            alpha=0,
            batch_size=task.batch_size,
            learning_rate_init=settings["learning_rate"],
            momentum=settings.get("momentum", 0.0),
            nesterovs_momentum=False,
            beta_1=settings.get("beta_1", 0.9),
            beta_2=settings.get("beta_2", 0.999),
            epsilon=settings.get("epsilon", 1e-7),
            random_state=0,
        )
        return {"versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__}}

    def epoch(self, number: int, request: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        with warnings.catch_warnings():
            # Its warning that an exponential overflows, which raw pixels make it do.
            warnings.simplefilter("ignore", RuntimeWarning)
            self.network.partial_fit(self.x, self.y, classes=self.classes)
        return {"seconds": time.perf_counter() - started, "loss": float(self.network.loss_)}


trainer = Trainer()
serve({"load": trainer.load, "epoch": trainer.epoch})
