"""The weights that come with penmark: small, readable without Keras, as good as the card says."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources

import numpy as np
import pytest

from penmark import recipes
from penmark.data import load_data
from penmark.engine.native_model import NativeModel
from penmark.recipes.nondigits import make
from penmark.report.evaluation import Evaluation

WEIGHTS = resources.files("penmark") / "reading" / "reader.keras"


@pytest.fixture(scope="module")
def network():
    return NativeModel.from_file(str(WEIGHTS))


def test_it_is_the_recipes_network_and_small(network):
    assert WEIGHTS.stat().st_size <= 2_000_000
    built = recipes.get("reader").build()
    ours = [w.shape for weights in network.get_weights().values() for w in weights]
    theirs = [tuple(w.shape) for layer in built.layers for w in layer.weights]
    assert ours == theirs
    assert network.model.input_shape == (28, 28)


def test_it_needs_no_keras():
    code = (
        "import sys, numpy as np\n"
        "from penmark.engine.native_model import NativeModel\n"
        "net = NativeModel.from_file(sys.argv[1])\n"
        "assert net.predict(np.zeros((3, 28, 28), np.uint8)).shape == (3, 10)\n"
        "assert not {'keras', 'jax'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(WEIGHTS)], check=True, capture_output=True)


def test_it_reads_the_bundled_digits_and_doubts_what_is_none(network, rng):
    """The digits of another source, smoother than MNIST's; things of kinds it was trained on."""
    digits = load_data("digits")
    probabilities = network.predict(digits.x_test)
    assert (probabilities.argmax(axis=1) == digits.y_test).mean() > 0.9
    things = network.predict(make(500, digits.x_train, digits.y_train, rng)).max(axis=1)
    assert np.median(probabilities.max(axis=1)) > 0.9
    assert np.median(things) < 0.5


def test_it_is_accurate_and_calibrated_on_mnist(network, real_data):
    mnist = load_data("mnist")
    evaluation = Evaluation(
        y_true=mnist.y_test,
        probabilities=network.predict(mnist.x_test),
        loss=0.0,
        class_names=mnist.class_names,
    )
    assert evaluation.accuracy >= 0.996
    assert evaluation.ece < 0.01
