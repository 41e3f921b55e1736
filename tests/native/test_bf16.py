"""Layers in bfloat16, on every instruction set, against NumPy with rounded operands.

Inputs and weights are whole numbers of more than 8 bits: they are rounded, but products and sums
stay below 2^24, so that outputs must be equal bit by bit in whatever order they are added.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from ml_dtypes import bfloat16

from penmark.engine import _core
from tests.native import reference
from tests.native.reference import Net

isas = pytest.mark.parametrize("isa", _core.usable_isas())
threads = pytest.mark.parametrize("threads", [1, 2, 3])


def rounded(x):
    return np.asarray(x, np.float32).astype(bfloat16).astype(np.float64)


def whole(rng, shape, most):
    return rng.integers(-most, most + 1, shape).astype(np.float32)


def trained_by_squares(net, t):
    h, w, c = net.shape(t)
    net.set_loss(net.reshape(t, (1, 1, h * w * c)), "mean_squared_error")
    net.set_optimizer("sgd")
    net.finish()


def gradient_of_squares(y, target):
    """d loss / d y, rounded where the core rounds."""
    n, size = len(y), y[0].size
    factor, share = np.float32(1) / np.float32(n), np.float32(1) / np.float32(size)
    return (factor * np.float32(2) * share) * (y - target.reshape(y.shape)).astype(np.float32)


def assert_near(ours, expected):
    """Equal but for the order in which float32 sums of up to some thousand terms are taken."""
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def check_conv2d(rng, image, channels, filters, kernel, strides, same, n, isa, thread_count):
    net = _core.Network((*image, channels), thread_count, isa, True)
    inner = 5
    t = net.conv2d(0, inner, (1, 1), (1, 1), False, True, "linear", True, "before", True)
    t = net.conv2d(t, filters, kernel, strides, same, True, "relu", True, "conv", True)
    shape = net.shape(t)
    trained_by_squares(net, t)
    values = [
        whole(rng, (1, 1, channels, inner), 1),
        whole(rng, inner, 300),
        whole(rng, (*kernel, inner, filters), 300),
        whole(rng, filters, 300),
    ]
    for number, value in enumerate(values):
        net.set(number, "weight", value)
    x = whole(rng, (n, *image, channels), 300)
    before = rounded(x) @ rounded(values[0][0, 0]) + values[1]
    expected = reference.conv2d(rounded(before), rounded(values[2]), values[3], strides, same)
    expected = np.maximum(expected, 0)
    out = net.predict(x, np.arange(n), n, t).reshape(n, *shape)
    np.testing.assert_array_equal(out, expected)

    target = whole(rng, (n, expected[0].size), 300)
    net.gradients(x, target, 0)
    dz = gradient_of_squares(expected, target) * (expected > 0)
    patches = reference.windows(rounded(before), kernel, strides, same, 0.0)
    assert_near(net.get(2, "gradient"), np.einsum("npqrsc,npqk->rsck", patches, rounded(dz)))
    assert_near(net.get(3, "gradient"), dz.astype(np.float64).sum((0, 1, 2)))
    top = reference.padding(image[0], kernel[0], strides[0], same)[1]
    left = reference.padding(image[1], kernel[1], strides[1], same)[1]
    reach = [size + 2 * k for size, k in zip(image, kernel, strict=True)]
    spread = np.zeros((n, *reach, inner))
    for r in range(kernel[0]):
        for s in range(kernel[1]):
            part = np.einsum("npqk,ck->npqc", rounded(dz), rounded(values[2][r, s]))
            rows = slice(r, r + shape[0] * strides[0], strides[0])
            columns = slice(s, s + shape[1] * strides[1], strides[1])
            spread[:, rows, columns] += part
    dx = spread[:, top : top + image[0], left : left + image[1]]
    assert_near(net.get(1, "gradient"), dx.sum((0, 1, 2)))
    assert net.first_overrun == -1


@isas
@threads
@pytest.mark.parametrize("channels", [1, 3, 7, 33])
def test_conv2d_channels(isa, threads, channels, rng):
    check_conv2d(rng, (9, 7), channels, 7, (3, 3), (1, 1), False, 4, isa, threads)
    check_conv2d(rng, (9, 7), 3, 33, (3, 3), (1, 1), True, 1, isa, threads)


@isas
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (5, 4)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("same", [False, True])
def test_conv2d_shapes(isa, kernel, strides, same, rng):
    check_conv2d(rng, (11, 13), 2, 20, kernel, strides, same, 3, isa, 2)


@isas
def test_conv2d_with_many_filters_and_rows_longer_than_a_tile(isa, rng):
    check_conv2d(rng, (19, 40), 2, 70, (3, 3), (1, 1), True, 2, isa, 1)


@isas
def test_conv2d_of_one_channel(isa, rng):
    net = _core.Network((13, 11, 1), 2, isa, True)
    t = net.conv2d(0, 40, (3, 3), (1, 1), True, False, "linear", True, "conv", True)
    trained_by_squares(net, t)
    kernel, x = whole(rng, (3, 3, 1, 40), 300), whole(rng, (3, 13, 11, 1), 300)
    net.set(0, "weight", kernel)
    y = reference.conv2d(rounded(x), rounded(kernel), 0.0, (1, 1), True)
    target = whole(rng, (3, y[0].size), 300)
    net.gradients(x, target, 0)
    patches = reference.windows(rounded(x), (3, 3), (1, 1), True, 0.0)
    dz = gradient_of_squares(y, target)
    assert_near(net.get(0, "gradient"), np.einsum("npqrsc,npqk->rsck", patches, rounded(dz)))
    assert net.first_overrun == -1


@isas
@threads
@pytest.mark.parametrize("n", [1, 7, 33, 48])
@pytest.mark.parametrize("features, units", [(1, 7), (31, 33), (130, 65), (33, 10)])
def test_dense(isa, threads, n, features, units, rng):
    net = _core.Network((1, 1, 20), threads, isa, True)
    t = net.dense(0, features, True, "linear", True, "before", True)
    t = net.dense(t, units, True, "linear", True, "dense", True)
    trained_by_squares(net, t)
    values = [
        whole(rng, (20, features), 1),
        whole(rng, features, 300),
        whole(rng, (features, units), 300),
        whole(rng, units, 300),
    ]
    for number, value in enumerate(values):
        net.set(number, "weight", value)
    x = whole(rng, (n, 20), 300)
    before = rounded(x) @ rounded(values[0]) + values[1]
    expected = rounded(before) @ rounded(values[2]) + values[3]
    np.testing.assert_array_equal(net.predict(x, np.arange(n), n, t), expected)
    target = whole(rng, (n, units), 300)
    net.gradients(x, target, 0)
    dz = gradient_of_squares(expected, target)
    assert_near(net.get(2, "gradient"), rounded(before).T @ rounded(dz))
    assert_near(net.get(3, "gradient"), dz.astype(np.float64).sum(0))
    dx = rounded(dz) @ rounded(values[2]).T
    assert_near(net.get(1, "gradient"), dx.sum(0))
    # Its last bits depend on the order of the sums, and may be rounded to either side.
    expected = rounded(x).T @ rounded(dx)
    np.testing.assert_allclose(net.get(0, "gradient"), expected, atol=2e-3 * abs(expected).max())
    assert net.first_overrun == -1


LAYERS = [
    ("conv", {"filters": 9, "kernel": (3, 3), "f": "relu"}),
    ("conv", {"filters": 20, "kernel": (3, 3), "f": "tanh", "same": True, "strides": (2, 1)}),
    ("max", {"size": (2, 2)}),
    ("flat", {}),
    ("dense", {"units": 40, "f": "sigmoid"}),
    ("dense", {"units": 10}),
]


@isas
def test_gradients_are_those_of_float32_but_for_rounding(isa, rng):
    # Smooth: of a ReLU or a maximum, rounding may choose another side.
    layers = [("conv", LAYERS[0][1] | {"f": "tanh"}), LAYERS[1], ("average", {"size": (2, 2)})]
    layers += LAYERS[3:]
    nets = [Net((11, 10, 3), layers, 2, isa, bf16=bf16) for bf16 in (True, False)]
    x, y = rng.normal(size=(12, 11, 10, 3)).astype(np.float32), rng.integers(0, 10, 12)
    losses = []
    for net in nets:
        net.randomize(np.random.default_rng(3))
        losses.append(net.core.gradients(x, y, 0)["loss"] / 12)
    assert losses[0] != losses[1]
    assert abs(losses[0] - losses[1]) < 0.02
    for number in range(len(nets[0].core.params())):
        ours, exact = (net.core.get(number, "gradient") for net in nets)
        # Each operand is off by up to 2^-9, in each of four layers there and back.
        assert np.linalg.norm(ours - exact) <= 0.02 * np.linalg.norm(exact)


def trained(isa, thread_count, rng, batch=8):
    net = Net((10, 10, 1), LAYERS, thread_count, isa, bf16=True)
    net.randomize(np.random.default_rng(0))
    x = rng.integers(0, 256, (44, 10, 10, 1), dtype=np.uint8)
    rates = np.full(-(-44 // batch), 1e-3, np.float32)
    net.core.train(x, rng.integers(0, 10, 44), np.arange(44), batch, rates, 0, 3, None, None)
    assert net.core.first_overrun == -1
    return net, x


@isas
@threads
def test_the_same_seed_and_threads_give_the_same_bits(isa, threads):
    runs = [trained(isa, threads, np.random.default_rng(2))[0] for _ in range(2)]
    for number in range(len(runs[0].core.params())):
        first, second = (run.core.get(number) for run in runs)
        assert np.isfinite(first).all()
        np.testing.assert_array_equal(first, second)


@isas
def test_predictions_do_not_depend_on_the_batch_size(isa, rng):
    net, x = trained(isa, 2, rng)
    whole_batch = net.core.predict(x, np.arange(44), 44, net.output)
    np.testing.assert_array_equal(whole_batch, net.core.predict(x, np.arange(44), 7, net.output))


@isas
def test_not_a_number_and_infinity_spread_and_do_not_crash(isa):
    net = Net((10, 10, 1), LAYERS, 2, isa, bf16=True)
    net.randomize(np.random.default_rng(0))
    for value in (np.nan, np.inf):
        x = np.full((5, 10, 10, 1), value, np.float32)
        assert np.isnan(net.core.gradients(x, np.zeros(5, np.int64), 0)["loss"])


@isas
def test_an_instruction_set_can_be_held_back(isa):
    code = (
        "import numpy as np; from penmark.engine import _core as c; n = c.Network((1, 1, 40), 1);"
        "t = n.dense(0, 3, False, 'linear', True, 'd', True); n.finish();"
        "n.set(0, 'weight', np.ones((40, 3), np.float32));"
        "print(n.isa, n.predict(np.ones((1, 40), np.float32), np.arange(1), 1, t).sum())"
    )
    # `make sanitize` starts Python without its site, which would put another core first.
    without_site = ["-S"] if sys.flags.no_site else []
    result = subprocess.run(
        [sys.executable, *without_site, "-c", code],
        env={**os.environ, "PENMARK_ISA": isa},
        capture_output=True,
        text=True,
    )
    assert result.stdout.split() == [isa, "120.0"], result.stderr
