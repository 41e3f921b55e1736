"""The core's layers in float64 NumPy, written for reading, and random networks made of them."""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist
from typing import Any

import numpy as np

from penmark.engine import _core

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(x / 2)


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "gelu": lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x * sigmoid(x),
    "elu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "selu": lambda x: 1.05070098 * np.where(x < 0, 1.67326324 * np.expm1(np.minimum(x, 0)), x),
    "leaky_relu": lambda x: np.where(x < 0, x, x),  # slope 1.0, the alpha that the tests pass
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exponential": np.exp,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "relu6": lambda x: np.clip(x, 0, 6),
}


def padding(size: int, window: int, stride: int, same: bool) -> tuple[int, int, int]:
    """Outputs, zeros before and zeros after along one axis."""
    if not same:
        return (size - window) // stride + 1, 0, 0
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + window - size, 0)
    return outputs, total // 2, total - total // 2


def windows(x, kernel, strides, same, fill):
    """(n, P, Q, R, S, C) view of a padded copy of x (n, H, W, C)."""
    rows, top, bottom = padding(x.shape[1], kernel[0], strides[0], same)
    columns, left, right = padding(x.shape[2], kernel[1], strides[1], same)
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    view = view[:, :: strides[0], :: strides[1]][:, :rows, :columns]
    return view.transpose(0, 1, 2, 4, 5, 3)


def conv2d(x, kernel, bias, strides, same):
    patches = windows(x, kernel.shape[:2], strides, same, 0.0)
    return np.einsum("npqrsc,rsck->npqk", patches, kernel) + bias


def max_pool(x, size, strides, same):
    return windows(x, size, strides, same, -np.inf).max(axis=(3, 4))


def average_pool(x, size, strides, same):
    total = windows(x, size, strides, same, 0.0).sum(axis=(3, 4))
    return total / windows(np.ones_like(x), size, strides, same, 0.0).sum(axis=(3, 4))


def batch_norm(x, gamma, beta, epsilon):
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes), x.var(axes)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def cross_entropy(logits, classes):
    """Mean over the batch of -log softmax(logits)[class]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return (log_sum - shifted[np.arange(len(classes)), classes]).mean()


@dataclasses.dataclass
class Net:
    """A chain of layers, in the core and in NumPy. A layer is (kind, options)."""

    shape: tuple[int, int, int]
    layers: list[tuple[str, dict[str, Any]]]
    threads: int = 1
    isa: str = ""
    guards: bool = True
    bf16: bool = False

    def __post_init__(self) -> None:
        self.core = _core.Network(self.shape, self.threads, self.isa, self.guards)
        t = 0
        for kind, o in self.layers:
            if kind == "dense":
                t = self.core.dense(
                    t, o["units"], True, o.get("f", "linear"), True, "dense", self.bf16
                )
            elif kind == "conv":
                t = self.core.conv2d(
                    t,
                    o["filters"],
                    o["kernel"],
                    o.get("strides", (1, 1)),
                    o.get("same", False),
                    True,
                    o.get("f", "linear"),
                    True,
                    "conv",
                    self.bf16,
                )
            elif kind in ("max", "average"):
                t = self.core.pool(
                    t, kind == "max", o["size"], o.get("strides", o["size"]), o.get("same", False)
                )
            elif kind == "activate":
                t = self.core.activate(t, o["f"], 1.0)
            elif kind == "norm":
                t = self.core.batch_norm(t, 0.9, 1e-3, True, True, True, "norm")
            elif kind == "flat":
                h, w, c = self.core.shape(t)
                t = self.core.reshape(t, (1, 1, h * w * c))
        self.output = t
        self.classes = self.core.shape(t)[2]
        self.core.set_loss(t, "softmax_cross_entropy")
        self.core.set_optimizer("sgd")
        self.core.finish()

    def randomize(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Give all weights random values; returns them in float64."""
        weights = []
        for number, (name, shape, _) in enumerate(self.core.params()):
            scale = 0.3 if len(shape) == 1 else 1.5 / np.sqrt(np.prod(shape[:-1]))
            value = (rng.normal(size=shape) * scale).astype(np.float32)
            if name.endswith(("gamma", "variance")):
                value = np.abs(value) + 0.5
            self.core.set(number, "weight", value.astype(np.float32))
            weights.append(value.astype(np.float64))
        return weights

    def randomize_flat(self, rng: np.random.Generator, zeros: float = 0.97) -> list[np.ndarray]:
        """As randomize, but few units of the first layer, a dense one, have a slope for an image.

        A ReLU's are zero for that share of images, in the mean; each of a sigmoid or tanh is
        usually at one of its limits.
        """
        weights = self.randomize(rng)
        spread = 1.5  # of a unit before its activation
        if self.layers[1][1]["f"] == "relu":
            weights[1] -= spread * NormalDist().inv_cdf(zeros)
        else:
            weights[0] *= 400
            weights[1] = 400 * 1.8 * spread * rng.choice([-1, 1], weights[1].shape)
        for number in (0, 1):
            self.core.set(number, "weight", weights[number].astype(np.float32))
            weights[number] = self.core.get(number, "weight").astype(np.float64)
        return weights

    def forward(self, x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
        """Logits, float64. x: (n, H, W, C)."""
        rest = iter(weights)
        y = x.astype(np.float64)
        for kind, o in self.layers:
            if kind == "dense":
                y = y.reshape(len(y), -1) @ next(rest) + next(rest)
            elif kind == "conv":
                kernel, bias = next(rest), next(rest)
                y = conv2d(y, kernel, bias, o.get("strides", (1, 1)), o.get("same", False))
            elif kind in ("max", "average"):
                pool = max_pool if kind == "max" else average_pool
                y = pool(y, o["size"], o.get("strides", o["size"]), o.get("same", False))
            elif kind == "norm":
                gamma, beta, _, _ = next(rest), next(rest), next(rest), next(rest)
                y = batch_norm(y, gamma, beta, 1e-3)
            elif kind == "flat":
                y = y.reshape(len(y), -1)
            if "f" in o:
                y = ACTIVATIONS[o["f"]](y)
        return y.reshape(len(y), -1)


def assert_gradients(
    net: Net,
    n: int,
    rng: np.random.Generator,
    probes: int = 4,
    zeros: float = 0.0,
    weights: list[np.ndarray] | None = None,
) -> None:
    """Loss and gradients of the core against float64 and its central differences.

    The core works in float32 on sums of up to some thousand products: errors of 1e-4 of the largest
    gradient are rounding, a wrong term is hundreds of times larger. `zeros`: share of the input
    that is zero. `weights`: those that the core has, random ones if None.
    """
    x = rng.normal(size=(n, *net.shape)).astype(np.float32)
    x *= rng.random(x.shape) >= zeros
    classes = rng.integers(0, net.classes, n)
    if weights is None:
        weights = net.randomize(rng)
    sums = net.core.gradients(x, classes, 0)
    expected = cross_entropy(net.forward(x, weights), classes)
    assert abs(sums["loss"] / n - expected) <= 1e-4 * (1 + abs(expected))
    step = 1e-5
    for number, (name, shape, trainable) in enumerate(net.core.params()):
        if not trainable:
            continue
        gradient = net.core.get(number, "gradient")
        scale = np.abs(gradient).max() + 1e-3
        for _ in range(probes):
            at = tuple(int(rng.integers(size)) for size in shape)
            kept = weights[number][at]
            ends = []
            for shifted in (kept + step, kept - step):
                weights[number][at] = shifted
                ends.append(cross_entropy(net.forward(x, weights), classes))
            weights[number][at] = kept
            numeric = (ends[0] - ends[1]) / (2 * step)
            assert abs(gradient[at] - numeric) <= 1e-3 * scale, (name, at, gradient[at], numeric)
    assert net.core.first_overrun == -1
