"""Small, real-looking material for the report's tests."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from penmark.report.evaluation import Evaluation

CLASS_NAMES = ("cat", "dog", "fox", "owl")
HISTORY = {
    "accuracy": [0.5, 0.7, 0.9],
    "loss": [1.5, 0.8, 0.3],
    "val_accuracy": [0.4, 0.75, 0.7],
    "val_loss": [1.6, 0.9, 1.1],
}


def make_evaluation(
    images: int = 60, class_names: tuple[str, ...] = CLASS_NAMES, *, strength: float = 2.0
) -> Evaluation:
    """A plausible model's answers: the larger `strength`, the better it is."""
    rng = np.random.default_rng(7)
    classes = len(class_names)
    y_true = np.arange(images) % classes
    logits = rng.normal(size=(images, classes))
    logits[np.arange(images), y_true] += strength
    weights = np.exp(logits)
    probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return Evaluation(y_true, probabilities, 0.5, class_names, 1.25)


def make_perfect(images: int = 20) -> Evaluation:
    """A model without a single mistake."""
    return make_evaluation(images, strength=50.0)


def make_images(count: int, shape: tuple[int, ...] = (8, 6)) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.fixture
def evaluation() -> Evaluation:
    return make_evaluation()


@pytest.fixture
def history() -> dict[str, list[float]]:
    return dict(HISTORY)


@pytest.fixture(autouse=True)
def _close_figures():
    """Figures made while some test has pyplot imported stay open there; close them."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
