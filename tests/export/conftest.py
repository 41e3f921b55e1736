"""Models to export: a trained run, and small networks with weights that show every mistake."""

from __future__ import annotations

import numpy as np
import pytest

from penmark.data import load_data
from penmark.engine.backend import keras
from penmark.runs import TrainingSettings, train

QUICK = TrainingSettings(recipe="mlp-dropout", data="digits", epochs=2, seed=1)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A finished run; tests must not write into it."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    return train(QUICK, out=folder, dataset=load_data("digits"), verbose=0, report=False)


@pytest.fixture
def save(tmp_path, rng):
    """Save layers as a model file, every weight random, moving averages included."""

    def save_layers(*layers, shape=(28, 28), name="model.keras"):
        model = keras.Sequential([keras.Input(shape), *layers])
        return save_model(model, tmp_path / name, rng)

    return save_layers


def save_model(model, path, rng):
    for variable in model.variables:
        if "float" in variable.dtype:
            low, high = (0.2, 2.0) if "variance" in variable.path else (-0.5, 0.5)
            variable.assign(rng.uniform(low, high, variable.shape).astype(np.float32))
    model.save(path)
    return path
