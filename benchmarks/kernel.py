"""Matrix products of the core against the machine's peak, on each instruction set, one thread.

    python benchmarks/kernel.py [--seconds 0.3] [--json FILE]

The peak is measured in the same run by a small C program of independent FMAs (24 accumulators of
the machine's widest vectors), in turn with the products, so that both see the same neighbors.
Layers run through `Network.gradients` with their widths in the published `cnn` and MLPs; time is
CPU time, so that other processes count little.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from penmark.engine import _core

PEAK_SOURCE = r"""
typedef float V __attribute__((vector_size(64)));
/* 24 independent chains hide the FMA's latency on every machine with two FMA ports. */
float peak(long rounds) {
  V a[24], x = {1.0f}, y = {1e-9f};
  for (int i = 0; i < 24; ++i) a[i] = x * (float)i;
  for (long r = 0; r < rounds; ++r)
    _Pragma("GCC unroll 24") for (int i = 0; i < 24; ++i) a[i] = a[i] * x + y;
  V sum = x;
  for (int i = 0; i < 24; ++i) sum += a[i];
  return sum[0];
}
"""


def peak_function() -> ctypes.CDLL:
    folder = Path(tempfile.mkdtemp())
    (folder / "peak.c").write_text(PEAK_SOURCE)
    command = ["cc", "-O2", "-march=native", "-mprefer-vector-width=512", "-ffp-contract=fast"]
    subprocess.run([*command, "-shared", "-fPIC", "-o", folder / "peak.so", folder / "peak.c"],
                   check=True)  # fmt: skip
    library = ctypes.CDLL(str(folder / "peak.so"))
    library.peak.restype = ctypes.c_float
    library.peak.argtypes = [ctypes.c_long]
    return library


def peak_gflops(library: ctypes.CDLL, rounds: int = 4_000_000) -> float:
    start = time.process_time()
    library.peak(rounds)
    return rounds * 24 * 16 * 2 / (time.process_time() - start) / 1e9


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
    steps, start = 0, time.process_time()
    while time.process_time() - start < seconds:
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
    library = peak_function()
    peak_gflops(library)
    rows = []
    for isa in _core.usable_isas():
        for layer in LAYERS:
            peaks, pairs = [], []
            for _ in range(3):  # in turn, so that both see the same machine
                peaks.append(peak_gflops(library))
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
