"""Matrix products of the core against the machine's peak, on each instruction set, one thread.

    python benchmarks/kernel.py [--seconds 0.3] [--json FILE]

The peak (the core's own multiply-add loop with the fastest instruction set) is measured in turn
with the layers, so that both see the same neighbors. Layers run through `Network.gradients` with
their widths in the published `cnn` and MLPs. Times are the core's wall-clock times: run it on a
machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from penmark.engine import _core

# (name, input shape, filters or units, kernel); FLOPs of one pass for one image follow from them.
LAYERS = [
    ("conv 26x26x32 -> 32", (26, 26, 32), 32, 3, 32),
    ("conv 12x12x32 -> 64", (12, 12, 32), 64, 3, 32),
    ("conv 10x10x64 -> 64", (10, 10, 64), 64, 3, 32),
    ("dense 1024 -> 1024", (1, 1, 1024), 1024, 0, 32),
    ("dense 784 -> 800", (1, 1, 784), 800, 0, 64),
    ("dense 784 -> 784", (1, 1, 784), 784, 0, 500),
]


def build(
    isa: str, shape: tuple[int, int, int], width: int, kernel: int
) -> tuple[_core.Network, int]:
    net = _core.Network(shape, 1, isa)
    t = 0
    if kernel:
        t = net.conv2d(t, width, (kernel, kernel), (1, 1), False, True, "relu", True, "layer")
        h, w, c = net.shape(t)
        t = net.reshape(t, (1, 1, h * w * c))
    else:
        t = net.dense(t, width, True, "relu", True, "layer")
    net.set_loss(t, "mean_squared_error")
    net.set_optimizer("sgd")
    net.finish()
    return net, t


def gflops(isa: str, layer: tuple, seconds: float) -> tuple[float, float]:
    """GFLOP/s of the forward pass and of the gradient to the weights, from the core's own clock."""
    _, shape, width, kernel, n = layer
    net, _ = build(isa, shape, width, kernel)
    rng = np.random.default_rng(0)
    for number, (_, sizes, _) in enumerate(net.params()):
        net.set(number, "weight", (rng.normal(size=sizes) * 0.05).astype(np.float32))
    if kernel:
        pixels = (shape[0] - kernel + 1) * (shape[1] - kernel + 1)
        flops = 2 * pixels * kernel * kernel * shape[2] * width
    else:
        pixels, flops = 1, 2 * shape[2] * width
    x = rng.normal(size=(n, *shape)).astype(np.float32)
    y = np.zeros((n, pixels * width), np.float32)
    net.gradients(x, y, 0)
    before = {name: (f, b) for name, f, b in net.training_times()}
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        net.gradients(x, y, 0)
        steps += 1
    for name, fwd, bwd in net.training_times():
        if name.endswith("layer/kernel"):
            f0, b0 = before[name]
            return (flops * n * steps / (fwd - f0) / 1e9, flops * n * steps / (bwd - b0) / 1e9)
    raise LookupError("the layer has no time")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--json", default="")
    arguments = parser.parse_args()
    rows = []
    for isa in _core.usable_isas():
        for layer in LAYERS:
            peaks, pairs = [], []
            for _ in range(3):  # in turn, so that both see the same machine
                peaks.append(_core.peak_gflops(1))
                pairs.append(gflops(isa, layer, arguments.seconds))
            peak = statistics.median(peaks)
            fwd, bwd = (statistics.median(p[i] for p in pairs) for i in (0, 1))
            rows.append({"isa": isa, "layer": layer[0], "batch": layer[4], "fwd_gflops": fwd,
                         "bwd_w_gflops": bwd, "peak_gflops": peak})  # fmt: skip
            print(
                f"{isa:7} {layer[0]:20} batch {layer[4]:3}  fwd {fwd:6.1f} GFLOP/s "
                f"{100 * fwd / peak:3.0f} %   bwd_w {bwd:6.1f} {100 * bwd / peak:3.0f} %   "
                f"peak {peak:.0f}",
                flush=True,
            )
    if arguments.json:
        text = json.dumps(rows, indent=2)
        if arguments.json == "-":
            sys.stdout.write(text + "\n")
        else:
            Path(arguments.json).write_text(text + "\n")


if __name__ == "__main__":
    main()
