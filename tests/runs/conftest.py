"""Small trainings shared by the tests of runs."""

from __future__ import annotations

import pytest

from penmark.data import load_data
from penmark.runs import TrainingSettings, train

QUICK = TrainingSettings(recipe="softmax", data="digits", epochs=3, validation_split=0.1, seed=1)


@pytest.fixture(scope="session")
def digits():
    return load_data("digits")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, digits):
    """A finished run; tests must not change it."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    return train(QUICK, out=folder, dataset=digits, verbose=0)
