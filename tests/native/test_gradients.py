"""Forward passes and gradients of every layer, on every instruction set and thread count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penmark.engine import _core
from tests.native.reference import ACTIVATIONS, Net, assert_gradients, conv2d

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


# From 128 features and up to 12 units, a layer holds its weights the other way round, in panels of
# 32 features; here the last one has 32, 7, 22 and 23 of them.
@isas
@threads
@pytest.mark.parametrize(
    ("features", "units"),
    [(128, 12), (128, 13), (127, 12), (135, 1), (150, 10), (150, 7), (311, 5)],
)
def test_dense_from_many_features_to_few_units(isa, threads, features, units, rng):
    layers = [
        HEAD[0],
        ("dense", {"units": features, "f": "tanh"}),
        ("dense", {"units": units, "f": "sigmoid"}),
        ("dense", {"units": 3}),
    ]
    for n in (1, 2, 37):
        assert_gradients(Net((4, 5, 1), layers, threads, isa), n, rng)


@isas
def test_dense_with_a_large_batch_and_a_long_reduction(isa, rng):
    layers = [("flat", {}), ("dense", {"units": 150, "f": "sigmoid"}), ("dense", {"units": 10})]
    assert_gradients(Net((20, 18, 1), layers, 2, isa), 260, rng)
    assert_gradients(
        Net((20, 18, 1), [layers[0], layers[1], layers[1], layers[2]], 2, isa), 70, rng
    )


# Of an input that is mostly zeros only the rest is multiplied, where there are four panels of units
# or more. The last panel here has 1, 6, 14 and 32 of them.
@isas
@threads
@pytest.mark.parametrize("n", [1, 6, 67])
@pytest.mark.parametrize("units", [97, 134, 174, 256])
def test_dense_on_mostly_zeros(isa, threads, n, units, rng):
    layers = [HEAD[0], ("dense", {"units": units, "f": "tanh"}), ("dense", {"units": 10})]
    for zeros in (0.85, 1.0):
        assert_gradients(Net((7, 19, 1), layers, threads, isa), n, rng, zeros=zeros)


# Where the activation below has no slope, the gradient to it is of no use. It is left out if most
# units are such, and above there are four panels of units or more.
@isas
@threads
@pytest.mark.parametrize(
    ("f", "zeros"), [("relu", 0.97), ("relu", 0.7), ("sigmoid", 0), ("tanh", 0)]
)
@pytest.mark.parametrize("units", [97, 134, 174, 256])
def test_dense_above_units_without_a_slope(isa, threads, f, zeros, units, rng):
    layers = [
        HEAD[0],
        ("dense", {"units": 133, "f": f}),
        ("dense", {"units": units, "f": "tanh"}),
        HEAD[1],
    ]
    for n in (1, 6, 67):
        net = Net((7, 19, 1), layers, threads, isa)
        assert_gradients(net, n, rng, probes=8, weights=net.randomize_flat(rng, zeros))


@isas
@pytest.mark.parametrize(
    "between", [[], [("max", {"size": (2, 2)})], [("activate", {"f": "relu"})]], ids=str
)
def test_dense_above_a_convolution_without_a_slope(isa, between, rng):
    conv = ("conv", {"filters": 20, "kernel": (3, 3), "f": "relu"})
    layers = [("conv", {"filters": 3, "kernel": (1, 1)}), conv, *between]
    net = Net((9, 8, 2), [*layers, HEAD[0], ("dense", {"units": 134}), HEAD[1]], 2, isa)
    weights = net.randomize(rng)
    weights[3] -= 4
    net.core.set(3, "weight", weights[3].astype(np.float32))
    assert_gradients(net, 7, rng, probes=8, weights=weights)


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


# 3x3 kernels at stride 1 between whole vectors of channels take Winograd's way.
POINTWISE = ("conv", {"filters": 16, "kernel": (1, 1)})


@isas
@threads
@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("size", [(6, 6), (7, 10), (9, 5)])
def test_conv2d_of_whole_vectors(isa, threads, same, size, rng):
    conv = ("conv", {"filters": 48, "kernel": (3, 3), "same": same, "f": "tanh"})
    assert_gradients(Net((*size, 2), [POINTWISE, conv, *HEAD], threads, isa), 5, rng)


@isas
@pytest.mark.parametrize("same", [False, True])
def test_conv2d_of_whole_vectors_in_several_blocks(isa, same, rng):
    convs = [
        ("conv", {"filters": 64, "kernel": (3, 3), "same": same, "f": "sigmoid"}),
        # So many weights that tiles are 2 by 2; the others' are 4 by 4.
        ("conv", {"filters": 128, "kernel": (3, 3), "same": same, "f": "sigmoid"}),
        ("conv", {"filters": 16, "kernel": (3, 3), "same": same}),
    ]
    assert_gradients(Net((37, 31, 1), [POINTWISE, *convs, *HEAD], 2, isa), 3, rng)


@isas
@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("size, tile", [((9, 6), 2), ((11, 8), 4)])
def test_conv2d_of_whole_vectors_to_the_last_bits(isa, same, size, tile, rng):
    """Outputs where every sum is exact, if tiles are 2 by 2; all else to float32's precision."""
    shape = (*size, 32) if same else (size[0] + 2, size[1] + 2, 32)
    n = 7
    core = _core.Network(shape, 2, isa, True)
    first = core.conv2d(0, 32, (1, 1), (1, 1), False, False, "linear", True, "first")
    second = core.conv2d(first, 48, (3, 3), (1, 1), same, True, "relu", True, "second")
    h, w, c = core.shape(second)
    output = core.reshape(second, (1, 1, h * w * c))
    core.set_loss(output, "mean_squared_error")
    core.set_optimizer("sgd")
    core.finish()
    # Multiples of 4: the transformed kernel has quarters.
    kernel = 4.0 * rng.integers(-4, 5, (3, 3, 32, 48))
    bias = rng.integers(-9, 10, 48).astype(np.float64)
    core.set(0, "weight", np.eye(32, dtype=np.float32).reshape(1, 1, 32, 32))
    core.set(1, "weight", kernel.astype(np.float32))
    core.set(2, "weight", bias.astype(np.float32))
    x = rng.integers(-4, 5, (n, *shape)).astype(np.float64)

    y = np.maximum(conv2d(x, kernel, bias, (1, 1), same), 0.0)
    outputs = core.predict(x.astype(np.float32), np.arange(n), n, output)
    assert (h, w) == size
    error = np.abs(outputs - y.reshape(n, -1))
    assert error.max() <= (0.0 if tile == 2 else 1.5e-6 * y.max())

    core.gradients(x.astype(np.float32), np.zeros((n, h * w * c), np.float32), 0)
    dz = 2 * y / y.size
    border = [(0, 0), (1, 1), (1, 1), (0, 0)] if same else [(0, 0)] * 4
    padded = np.pad(x, border)
    taps = [(r, s, padded[:, r : r + h, s : s + w]) for r in range(3) for s in range(3)]
    d_kernel, d_padded = np.zeros_like(kernel), np.zeros_like(padded)
    for r, s, under in taps:
        d_kernel[r, s] = np.einsum("npqc,npqk->ck", under, dz)
        d_padded[:, r : r + h, s : s + w] += dz @ kernel[r, s].T
    dx = d_padded[:, 1:-1, 1:-1] if same else d_padded
    d_first = np.einsum("nhwc,nhwd->cd", x, dx)
    for number, expected in enumerate([d_first, d_kernel, dz.sum(axis=(0, 1, 2))]):
        error = np.abs(core.get(number, "gradient") - expected.reshape(core.params()[number][1]))
        assert error.max() <= 3e-6 * np.abs(expected).max()
    assert core.first_overrun == -1


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
    sides = st.tuples(st.integers(1, 3), st.integers(1, 3))
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["conv", "max", "average", "norm", "activate"]))
        if kind == "conv":
            options = {
                "filters": draw(st.one_of(st.integers(1, 35), st.sampled_from([16, 32]))),
                "kernel": draw(st.one_of(st.just((3, 3)), sides)),
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
