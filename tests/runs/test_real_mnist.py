"""The published networks on the real MNIST, for as few epochs as tell whether they learn."""

from __future__ import annotations

import pytest

from penmark.data import load_data
from penmark.runs import TrainingSettings, train


@pytest.fixture(scope="module")
def mnist(real_data):
    return load_data("mnist")


# Bounds that one epoch passes with points to spare, and that a broken loss, a broken order of the
# images or a broken layer does not.
@pytest.mark.parametrize(
    ("recipe", "epochs", "at_least"),
    [
        ("perceptron", 1, 0.96),
        ("softmax", 1, 0.70),
        ("mlp-dropout", 1, 0.94),
        ("mlp-sigmoid", 1, 0.86),
    ],
)
def test_a_published_network_learns_mnist(tmp_path, mnist, recipe, epochs, at_least):
    settings = TrainingSettings(recipe=recipe, data="mnist", epochs=epochs)
    run = train(settings, out=tmp_path / "run", dataset=mnist, report=False, verbose=0)
    assert run.metrics["accuracy"] > at_least


def test_the_relu_network_learns_on_raw_pixels_where_its_exact_gradient_overflows(tmp_path, mnist):
    settings = TrainingSettings(recipe="mlp-relu", data="mnist", epochs=6)
    run = train(settings, out=tmp_path / "run", dataset=mnist, report=False, verbose=0)
    # With the exact gradient it ends with an error or at 11%, the share of the 1s.
    assert run.metrics["accuracy"] > 0.6
