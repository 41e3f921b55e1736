"""What the core promises as a whole: repeatability, interruption, refusals, guard bytes."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from penmark.engine import _core
from tests.native.reference import Net

FLOAT_ISAS = ("scalar", "avx2", "avx512")
LAYERS = [
    ("conv", {"filters": 9, "kernel": (3, 3), "f": "relu"}),
    ("max", {"size": (2, 2)}),
    ("flat", {}),
    ("dense", {"units": 40, "f": "sigmoid"}),
    ("dense", {"units": 10}),
]


def data(rng, n=50):
    return rng.integers(0, 256, (n, 10, 10, 1), dtype=np.uint8), rng.integers(0, 10, n)


def dropout_network(threads, seed_weights=0):
    net = _core.Network((1, 1, 100), threads, "", True)
    t = net.dense(0, 64, True, "relu", True, "a")
    t = net.dropout(t, 0.4)
    t = net.dense(t, 10, True, "linear", True, "b")
    net.set_optimizer("adam", beta1=0.9, beta2=0.999, epsilon=1e-7)
    net.set_loss(t, "softmax_cross_entropy")
    net.finish()
    rng = np.random.default_rng(seed_weights)
    for number, (_, shape, _) in enumerate(net.params()):
        net.set(number, "weight", rng.normal(size=shape).astype(np.float32) * 0.1)
    return net


def train(net, x, y, seed=3, progress=None, batch=8, order=None):
    order = np.arange(len(x)) if order is None else order
    rates = np.full(-(-len(order) // batch), 1e-3, np.float32)
    return net.train(x, y, order, batch, rates, 0, seed, None, progress)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_seed_and_threads_give_the_same_bits(threads, rng):
    x, y = data(rng)
    x = x.reshape(50, 100)
    runs = []
    for _ in range(2):
        net = dropout_network(threads)
        sums = train(net, x, y)
        runs.append((sums["loss"], [net.get(i) for i in range(4)]))
        assert net.first_overrun == -1
    assert runs[0][0] == runs[1][0]
    for first, second in zip(runs[0][1], runs[1][1], strict=True):
        np.testing.assert_array_equal(first, second)


def test_little_work_is_left_to_one_thread(rng, monkeypatch):
    monkeypatch.setenv("PENMARK_THREADS", "3")
    x, y = data(rng)
    x = x.reshape(50, 100)
    chosen, one = dropout_network(0), dropout_network(1)
    assert chosen.threads == 3
    assert train(chosen, x, y)["loss"] == train(one, x, y)["loss"]
    for number in range(4):
        np.testing.assert_array_equal(chosen.get(number), one.get(number))


def test_another_seed_drops_others(rng):
    x, y = data(rng)
    x = x.reshape(50, 100)
    nets = [dropout_network(1), dropout_network(1)]
    losses = [train(net, x, y, seed)["loss"] for seed, net in enumerate(nets)]
    assert losses[0] != losses[1]


def test_dropout_keeps_the_mean_and_drops_the_rate(rng):
    net = _core.Network((1, 1, 1000), 2)
    t = net.dense(net.dropout(0, 0.25), 1000, False, "linear", True, "a")
    net.set_loss(t, "mean_squared_error")
    net.set_optimizer("sgd")
    net.finish()
    net.set(0, "weight", np.eye(1000, dtype=np.float32))
    x = np.ones((64, 1000), np.float32)
    # The gradient to the weights is x^T (2 y / size): its diagonal tells what was dropped.
    net.gradients(x, np.zeros((64, 1000), np.float32), 5)
    kept = np.diag(net.get(0, "gradient")) * 1000 / 2 * 0.75**2
    assert abs(kept.mean() - 0.75) < 0.01


def test_orders_select_images(rng):
    x, y = data(rng)
    first, second = (Net((10, 10, 1), LAYERS) for _ in range(2))
    first.randomize(np.random.default_rng(0))
    second.randomize(np.random.default_rng(0))
    order = rng.permutation(50)[:31]
    train(first.core, x, y, order=order)
    train(second.core, np.ascontiguousarray(x[order]), y[order])
    for number in range(len(first.core.params())):
        np.testing.assert_array_equal(first.core.get(number), second.core.get(number))


def test_predictions_do_not_depend_on_the_batch_size(rng):
    x, _ = data(rng)
    net = Net((10, 10, 1), LAYERS, 2)
    net.randomize(rng)
    order = np.arange(50)
    whole = net.core.predict(x, order, 50, net.output)
    np.testing.assert_array_equal(whole, net.core.predict(x, order, 7, net.output))
    np.testing.assert_array_equal(whole[:1], net.core.predict(x[:1], order[:1], 1, net.output))


@pytest.mark.parametrize("isa", [isa for isa in _core.usable_isas() if isa in FLOAT_ISAS])
@pytest.mark.parametrize("features", [133, 784])
def test_leaving_out_zeros_changes_no_bit(isa, features, rng):
    layers = [
        ("dense", {"units": 150, "f": "relu"}),
        ("dense", {"units": 130, "f": "sigmoid"}),
        ("dense", {"units": 10}),
    ]
    net = Net((1, 1, features), layers, 2, isa)
    weights = net.randomize(rng)
    weights[1] -= 2  # nearly all units of the first layer give 0
    net.core.set(1, "weight", weights[1].astype(np.float32))
    sparse = rng.normal(size=(37, features)).astype(np.float32)
    sparse *= rng.random(sparse.shape) < 0.1
    # In company of these no zeros are looked for, neither in the images nor between the layers.
    dense = rng.normal(size=(400, features)).astype(np.float32) * 5
    both = np.concatenate([sparse, dense])
    alone = net.core.predict(sparse, np.arange(37), 37, net.output)
    np.testing.assert_array_equal(
        alone, net.core.predict(both, np.arange(437), 437, net.output)[:37]
    )
    expected = net.forward(sparse.reshape(37, 1, 1, features), weights)
    np.testing.assert_allclose(alone, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("isa", [isa for isa in _core.usable_isas() if isa in FLOAT_ISAS])
def test_leaving_out_zeros_changes_no_bit_of_a_gradient(isa, rng):
    net = Net(
        (1, 1, 133), [("dense", {"units": 150, "f": "relu"}), ("dense", {"units": 10})], 2, isa
    )
    net.randomize(rng)
    # In company of images of weight 0 that are dense, no zeros are looked for. A mean over four
    # times as many images is a quarter, to the bit.
    x = rng.normal(size=(256, 133)).astype(np.float32)
    x[:64] *= rng.random((64, 133)) < 0.1
    classes = rng.integers(0, 10, 256)
    net.core.gradients(x[:64], classes[:64], 0)
    alone = net.core.get(0, "gradient")
    net.core.gradients(x, classes, 0, (np.arange(256) < 64).astype(np.float32))
    np.testing.assert_array_equal(alone, 4 * net.core.get(0, "gradient"))
    assert np.count_nonzero(alone) > 10_000


@pytest.mark.parametrize("isa", [isa for isa in _core.usable_isas() if isa in FLOAT_ISAS])
def test_weights_of_a_unit_without_a_slope_do_not_reach_its_gradient(isa, rng):
    layers = [("flat", {}), ("dense", {"units": 133, "f": "sigmoid"})]
    net = Net((1, 1, 50), [*layers, ("dense", {"units": 150}), ("dense", {"units": 10})], 2, isa)
    weights = net.randomize_flat(rng)
    weights[1] -= 800  # most sigmoids are 0: those are left out on the way to the outputs, too
    weights[1][5] = -1e5  # this one for all images
    net.core.set(1, "weight", weights[1].astype(np.float32))
    x, classes = rng.normal(size=(40, 50)).astype(np.float32), rng.integers(0, 10, 40)
    gradients = []
    for value in (0.0, np.inf):  # times the slope: not a number
        weights[2][5] = value
        net.core.set(2, "weight", weights[2].astype(np.float32))
        net.core.gradients(x, classes, 0)
        gradients.append(net.core.get(0, "gradient"))
    np.testing.assert_array_equal(*gradients)
    assert np.count_nonzero(gradients[0]) > 3_000


# In company of images of weight 0 that have slopes, the gradient to the units is computed for all.
@pytest.mark.parametrize("isa", [isa for isa in _core.usable_isas() if isa in FLOAT_ISAS])
@pytest.mark.parametrize("f", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("threads", [1, 2])
def test_dropped_units_have_the_gradient_that_they_have_among_others(isa, f, threads, rng):
    net = _core.Network((1, 1, 50), threads, isa, True)
    below = net.dropout(net.dense(0, 133, True, f, True, "below"), 0.7)
    above = net.dense(below, 134, True, "linear", True, "above")
    net.set_loss(net.dense(above, 10, True, "linear", True, "top"), "softmax_cross_entropy")
    net.set_optimizer("sgd")
    net.finish()
    for number, (_, shape, _) in enumerate(net.params()):
        net.set(number, "weight", rng.normal(size=shape).astype(np.float32) * 0.2)
    x = rng.normal(size=(512, 50)).astype(np.float32)
    net.set(0, "weight", np.abs(net.get(0, "weight")))
    net.set(1, "weight", np.full(133, -0.2, np.float32))
    x[:64] *= 0.1 if f == "relu" else 500
    x[64:] = np.abs(x[64:]) * 0.1
    classes = rng.integers(0, 10, 512)
    net.gradients(x[:64], classes[:64], 0)
    alone = net.get(0, "gradient")
    net.gradients(x, classes, 0, (np.arange(512) < 64).astype(np.float32))
    among = 8 * net.get(0, "gradient")
    assert np.count_nonzero(alone) > 500
    np.testing.assert_allclose(alone, among, rtol=1e-5, atol=1e-5 * np.abs(among).max())


@pytest.mark.parametrize("threads", [1, 2])
def test_the_norm_of_a_gradient_has_nothing_of_missing_units(threads, rng):
    net = _core.Network((1, 1, 133), threads, "", True)
    output = net.dense(0, 134, False, "linear", True, "only")  # six units in the last panel
    net.set_optimizer("sgd", clip_norm=0.5)
    net.set_loss(output, "softmax_cross_entropy")
    net.finish()
    before = rng.normal(size=(133, 134)).astype(np.float32)
    net.set(0, "weight", before)
    x = (rng.normal(size=(40, 133)) * (rng.random((40, 133)) < 0.1)).astype(np.float32)
    classes = rng.integers(0, 134, 40)
    net.gradients(x, classes, 0)
    gradient = net.get(0, "gradient").astype(np.float64)
    net.train(x, classes, np.arange(40), 40, np.ones(1, np.float32), 0, 0)
    norm = np.linalg.norm(gradient)
    assert norm > 0.5
    np.testing.assert_allclose(
        before - net.get(0, "weight"), gradient * 0.5 / norm, rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("isa", [isa for isa in _core.usable_isas() if isa in FLOAT_ISAS])
@pytest.mark.parametrize("clip_value", [0.0, 0.25])
def test_adam_from_zero_to_infinity(isa, clip_value):
    targets = np.resize(np.float32([0.5, 0.5 + 1e-6, 0.6, -3, 1e9, 1e25, np.nan]), (1, 43))
    net = _core.Network((1, 1, 1), 1, isa, True)
    output = net.dense(0, 43, False, "linear", True, "only")
    net.set_optimizer("adam", beta1=0.9, beta2=0.999, epsilon=1e-7, clip_value=clip_value)
    net.set_loss(output, "mean_squared_error")
    net.finish()
    w = np.full((1, 43), 0.5, np.float32)
    net.set(0, "weight", w)
    m = v = np.zeros_like(w)
    for step in range(1, 4):
        image, order = np.ones((1, 1, 1, 1), np.float32), np.zeros(1, np.int64)
        rates = np.full(1, 0.01, np.float32)
        net.train(image, targets, order, 1, rates, step - 1, 0, None, None)
        with np.errstate(over="ignore", invalid="ignore"):
            g = 2 * (w - targets) / np.float32(43)
            g = np.clip(g, -clip_value, clip_value) if clip_value else g
            m = m + (g - m) * np.float32(0.1)
            v = v + (g * g - v) * np.float32(0.001)
            rate = 0.01 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            w = w - np.float32(rate) * m / (np.sqrt(v) + np.float32(1e-7))
        np.testing.assert_allclose(net.get(0, "weight"), w, rtol=2e-6)
        if step == 1:  # v of the sixth is infinite, and what is divided by it moves nothing
            assert (w[0, 5] == 0.5) == (clip_value == 0) and np.isnan(w[0, 6])


def test_one_hot_labels_become_classes():
    classes = np.array([2, 0, 1, 2])
    one_hot = np.eye(3, dtype=np.float32)[classes]
    np.testing.assert_array_equal(_core.one_hot_classes(one_hot), classes)
    assert _core.one_hot_classes(one_hot[:0]).shape == (0,)
    for row in ([0.9, 0.1, 0], [1, 1, 0], [0, 0, 0], [0, 2, 0], [1, -1, 1], [np.nan, 1, 0]):
        assert _core.one_hot_classes(np.array([one_hot[0], row], np.float32)) is None, row


def test_progress_can_stop_and_errors_come_through(rng):
    x, y = data(rng, 4000)
    net = Net((10, 10, 1), LAYERS, 2)
    net.randomize(rng)

    def fail(done, sums):
        raise KeyError("stop here")

    with pytest.raises(KeyError, match="stop here"):
        train(net.core, x, y, progress=fail, batch=1)
    assert train(net.core, x, y, progress=lambda done, sums: False, batch=1)["images"] <= 4000
    assert train(net.core, x, y)["images"] == 4000  # and it goes on working


def test_control_c_interrupts_an_epoch(rng):
    x, y = data(rng, 2000)
    net = Net((10, 10, 1), LAYERS, 2)
    net.randomize(rng)
    order = np.tile(np.arange(2000), 500)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        train(net.core, x, y, order=order, batch=1)
    timer.join()


def test_bad_input_is_refused_before_work_starts(rng):
    x, y = data(rng)
    net = Net((10, 10, 1), LAYERS)
    for labels in (y + 5, y - 5):
        with pytest.raises(ValueError, match="not one of the classes"):
            train(net.core, x, labels)
    with pytest.raises(ValueError, match="no images"):
        train(net.core, x, y, order=np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="outside"):
        train(net.core, x, y, order=np.array([50]))
    with pytest.raises(ValueError, match="each image must hold"):
        train(net.core, x[:, :9].copy(), y)
    with pytest.raises(ValueError, match="uint8 or float32"):
        train(net.core, x.astype(np.float64), y)
    with pytest.raises(ValueError, match="one label per image"):
        train(net.core, x, y[:-1])
    with pytest.raises(ValueError, match="another shape"):
        net.core.set(0, "weight", np.zeros((3, 3), np.float32))
    with pytest.raises(ValueError, match="2\\^30"):
        _core.Network((1 << 20, 1 << 20, 4))
    with pytest.raises(ValueError, match="does not fit"):
        _core.Network((4, 4, 1)).conv2d(0, 1, (5, 5), (1, 1), False, True, "relu", True, "c")


def test_not_a_number_spreads_and_does_not_crash():
    net = Net((10, 10, 1), LAYERS, 2)
    net.randomize(np.random.default_rng(0))
    x = np.full((5, 10, 10, 1), np.nan, np.float32)
    assert np.isnan(train(net.core, x, np.zeros(5, np.int64))["loss"])


def test_not_a_number_among_zeros_spreads():
    net = Net((1, 1, 200), [("dense", {"units": 130, "f": "relu"}), ("dense", {"units": 10})], 2)
    net.randomize(np.random.default_rng(0))
    x = np.zeros((6, 1, 1, 200), np.float32)
    x[3, 0, 0, 77] = np.nan
    scores = net.core.predict(x, np.arange(6), 6, net.output)
    assert np.isnan(scores[3]).all() and np.isfinite(np.delete(scores, 3, axis=0)).all()
    assert np.isnan(train(net.core, x, np.zeros(6, np.int64))["loss"])


@pytest.mark.parametrize("variable, value", [("PENMARK_ISA", "sse9"), ("PENMARK_THREADS", "many")])
def test_environment_variables_are_checked(variable, value):
    code = "from penmark.engine import _core; _core.Network((1, 1, 4))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
    )
    assert f"ValueError: {variable} must be" in result.stderr


def test_environment_variables_are_obeyed():
    code = (
        "from penmark.engine import _core as c; n = c.Network((1, 1, 4)); print(n.isa, n.threads)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PENMARK_ISA": "scalar", "PENMARK_THREADS": "3"},
        capture_output=True,
        text=True,
    )
    assert result.stdout.split() == ["scalar", "3"]


@pytest.mark.parametrize(
    "kind", ["conv", "conv above one that trains", "dense", "few units", "norm"]
)
def test_frozen_layers_keep_their_weights(kind, rng):
    x, y = data(rng)
    net = _core.Network((10, 10, 1), 2, "", True)
    t = 0
    if kind == "conv above one that trains":
        t = net.conv2d(t, 16, (2, 2), (1, 1), False, True, "relu", True, "below")
        t = net.conv2d(t, 16, (3, 3), (1, 1), False, True, "relu", False, "frozen")
    elif kind in ("conv", "norm"):
        t = net.conv2d(t, 5, (3, 3), (1, 1), False, True, "relu", False, "frozen")
    if kind == "norm":
        t = net.batch_norm(t, 0.9, 1e-3, True, True, False, "frozen_norm")
    h, w, c = net.shape(t)
    t = net.reshape(t, (1, 1, h * w * c))
    if kind == "dense":
        t = net.dense(t, 40, True, "relu", False, "frozen")
    if kind == "few units":
        t = net.dense(t, 200, True, "relu", True, "below")
        t = net.dense(t, 12, True, "relu", False, "frozen")
    t = net.dense(t, 10, True, "linear", True, "trained")
    net.set_optimizer("sgd")
    net.set_loss(t, "softmax_cross_entropy")
    net.finish()
    for number, (_, shape, _) in enumerate(net.params()):
        net.set(number, "weight", rng.random(shape).astype(np.float32))
    before = [net.get(number) for number in range(len(net.params()))]
    train(net, x, y)
    assert net.first_overrun == -1
    for number, (name, _, trainable) in enumerate(net.params()):
        assert np.array_equal(before[number], net.get(number)) != trainable, name


@pytest.mark.parametrize("shape", [(3, 5), (130, 70), (127, 12), (128, 12), (150, 7), (785, 1)])
def test_weights_and_slots_come_back_as_they_were_given(shape, rng):
    net = _core.Network((1, 1, shape[0]), 1, "", True)
    t = net.dense(0, shape[1], False, "linear", True, "dense")
    net.set_optimizer("adam", beta1=0.9, beta2=0.999, epsilon=1e-7)
    net.set_loss(t, "mean_squared_error")
    net.finish()
    given = {what: rng.random(shape, np.float32) for what in ("weight", "slot0", "slot1")}
    for what, values in given.items():
        net.set(0, what, values)
    for what, values in given.items():
        assert np.array_equal(net.get(0, what), values)
    with pytest.raises(ValueError, match="has no gradient"):
        net.get(0, "gradient")


def test_answers_need_neither_the_optimizer_nor_room_for_large_batches(rng):
    """Activations stay below 32 MB."""
    net = _core.Network((64, 64, 1), 2, "", True)
    t = net.conv2d(0, 16, (3, 3), (1, 1), True, True, "relu", True, "a")
    t = net.pool(t, True, (4, 4), (4, 4), False)
    t = net.reshape(t, (1, 1, 16 * 16 * 16))
    t = net.dense(t, 10, True, "linear", True, "b")
    net.set_optimizer("adam", beta1=0.9, beta2=0.999, epsilon=1e-7)
    net.set_loss(t, "softmax_cross_entropy")
    net.finish(trains=False)
    weights = 4 * (3 * 3 * 16 + 16 + 16 * 16 * 16 * 10 + 10)
    assert weights <= net.bytes < 1.1 * weights
    for number, (_, shape, _) in enumerate(net.params()):
        net.set(number, "weight", rng.normal(size=shape).astype(np.float32) * 0.05)
    x = rng.integers(0, 256, (250, 64, 64, 1), dtype=np.uint8)
    y, order = rng.integers(0, 10, 250), np.arange(250)
    small, large = (net.predict(x, order, batch, t) for batch in (7, 250))
    np.testing.assert_allclose(large, small, rtol=1e-5, atol=1e-5 * np.abs(small).max())
    assert net.evaluate(x, y, order, 250)["loss"] == pytest.approx(
        net.evaluate(x, y, order, 7)["loss"], rel=1e-5
    )
    assert net.bytes < 33e6 + weights
    assert net.first_overrun == -1
    with pytest.raises(ValueError, match="a/kernel has no slot1"):
        net.get(0, "slot1")
    with pytest.raises(ValueError, match=r"finish\(trains=True\) comes before training"):
        train(net, x, y)
