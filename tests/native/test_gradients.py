"""Forward passes and gradients of every layer, on every instruction set and thread count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penmark.engine import _core
from tests.native.reference import ACTIVATIONS, Net, assert_gradients

# The others compute float32 as AVX-512 does; see test_bf16.py for what they are there for.
FLOAT_ISAS = [isa for isa in _core.usable_isas() if isa in ("scalar", "avx2", "avx512")]
isas = pytest.mark.parametrize("isa", FLOAT_ISAS)
threads = pytest.mark.parametrize("threads", [1, 2, 3])
HEAD = [("flat", {}), ("dense", {"units": 10})]


@isas
@threads
@pytest.mark.parametrize("n", [1, 7, 33])
@pytest.mark.parametrize("units", [(1, 7), (31, 33), (130, 65)])
def test_dense(isa, threads, n, units, rng):
    layers = [("flat", {})] + [("dense", {"units": u, "f": "tanh"}) for u in units] + HEAD[1:]
    assert_gradients(Net((5, 3, 1), layers, threads, isa), n, rng)


@isas
@threads
@pytest.mark.parametrize("n", [15, 16, 50])
@pytest.mark.parametrize("units", [1, 10, 16])
def test_dense_with_few_units(isa, threads, n, units, rng):
    layers = [HEAD[0], ("dense", {"units": units, "f": "relu"}), ("dense", {"units": 3})]
    assert_gradients(Net((15, 19, 1), layers, threads, isa), n, rng)


@isas
def test_dense_with_a_large_batch_and_a_long_reduction(isa, rng):
    layers = [("flat", {}), ("dense", {"units": 150, "f": "sigmoid"}), ("dense", {"units": 10})]
    assert_gradients(Net((20, 18, 1), layers, 2, isa), 260, rng)
    assert_gradients(
        Net((20, 18, 1), [layers[0], layers[1], layers[1], layers[2]], 2, isa), 70, rng
    )


@isas
@threads
@pytest.mark.parametrize("channels", [1, 3, 7, 33])
def test_conv2d_channels(isa, threads, channels, rng):
    first = ("conv", {"filters": 7, "kernel": (3, 3), "f": "relu"})
    second = ("conv", {"filters": 33, "kernel": (3, 3), "f": "tanh"})
    assert_gradients(Net((9, 7, channels), [first, second, *HEAD], threads, isa), 5, rng)


@isas
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (5, 4)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("same", [False, True])
def test_conv2d_shapes(isa, kernel, strides, same, rng):
    before = ("conv", {"filters": 4, "kernel": (3, 3), "same": True})
    conv = {"filters": 6, "kernel": kernel, "strides": strides, "same": same, "f": "sigmoid"}
    assert_gradients(Net((11, 13, 2), [before, ("conv", conv), *HEAD], 2, isa), 3, rng)


@isas
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("size, strides", [((2, 2), (2, 2)), ((3, 2), (2, 1)), ((2, 3), (3, 4))])
@pytest.mark.parametrize("same", [False, True])
def test_pooling(isa, kind, size, strides, same, rng):
    conv = ("conv", {"filters": 67, "kernel": (2, 2)})
    pool = (kind, {"size": size, "strides": strides, "same": same})
    assert_gradients(Net((9, 8, 1), [conv, pool, *HEAD], 2, isa), 3, rng)


@isas
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations(isa, name, rng):
    layers = [("flat", {}), ("dense", {"units": 21}), ("activate", {"f": name}), HEAD[1]]
    assert_gradients(Net((4, 4, 1), layers, 2, isa), 9, rng)


@isas
@threads
def test_batch_normalization(isa, threads, rng):
    layers = [("conv", {"filters": 5, "kernel": (3, 3)}), ("norm", {}), *HEAD]
    assert_gradients(Net((6, 6, 2), layers, threads, isa), 8, rng)


@st.composite
def networks(draw):
    h, w = draw(st.integers(3, 10)), draw(st.integers(3, 10))
    shape = (h, w, draw(st.integers(1, 5)))
    layers = []
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["conv", "max", "average", "norm", "activate"]))
        if kind == "conv":
            options = {
                "filters": draw(st.integers(1, 35)),
                "kernel": (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
                "strides": (draw(st.integers(1, 2)), draw(st.integers(1, 2))),
                "same": True,
                "f": draw(st.sampled_from(["linear", "sigmoid", "tanh"])),
            }
        elif kind in ("max", "average"):
            options = {"size": (draw(st.integers(1, 3)), draw(st.integers(1, 3))), "same": True}
        elif kind == "activate":
            options = {"f": draw(st.sampled_from(["silu", "softplus", "gelu_tanh"]))}
        else:
            options = {}
        layers.append((kind, options))
    layers.append(("flat", {}))
    for _ in range(draw(st.integers(0, 2))):
        layers.append(("dense", {"units": draw(st.integers(1, 70)), "f": "tanh"}))
    return shape, [*layers, ("dense", {"units": draw(st.integers(2, 12))})]


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(2, 19), st.sampled_from(FLOAT_ISAS), st.integers(1, 3))
def test_random_networks(network, n, isa, thread_count):
    shape, layers = network
    assert_gradients(Net(shape, layers, thread_count, isa), n, np.random.default_rng(n), probes=2)
