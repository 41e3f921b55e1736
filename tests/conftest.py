"""What every test shares: nobody's own settings are read, and nobody's home is written to."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

# Before anything imports Keras, which writes a settings file on its first import.
os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="penmark-keras-home-")
os.environ["PENMARK_CACHE"] = tempfile.mkdtemp(prefix="penmark-cache-")

from penmark.engine.backend import prefer_installed_backend

prefer_installed_backend()

REAL_DATA = os.environ.get("PENMARK_DATA")


def pytest_unconfigure() -> None:
    for home in ("KERAS_HOME", "PENMARK_CACHE"):
        shutil.rmtree(os.environ[home], ignore_errors=True)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real MNIST; tests that need it skip, visibly, where there is none."""
    if not REAL_DATA or not (Path(REAL_DATA) / "mnist.npz").is_file():
        pytest.skip("PENMARK_DATA names no folder with mnist.npz")
    return Path(REAL_DATA)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
