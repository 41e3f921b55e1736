"""The layers of `cnn` in float32 and in bfloat16: seconds per epoch, each layer's best step.

    python benchmarks/precision.py [--threads 1] [--steps 100]

Both networks take turns, a training step of 32 images each; the least time of each layer counts,
scaled to 60,000 images. So the figures hold for a machine with nothing else to do.
"""

from __future__ import annotations

import argparse

import numpy as np

from penmark.engine import _core

BATCH, IMAGES = 32, 60_000
Times = dict[str, tuple[float, float]]


def cnn(threads: int, bf16: bool) -> _core.Network:
    net = _core.Network((28, 28, 1), threads)
    t = 0
    for number, filters in enumerate((32, 32, 64, 64), start=1):
        name = f"conv_{number}"
        t = net.conv2d(t, filters, (3, 3), (1, 1), False, True, "relu", True, name, bf16)
        if number % 2 == 0:
            t = net.pool(t, True, (2, 2), (2, 2), False)
    t = net.reshape(t, (1, 1, 1024))
    for name in ("dense_1", "dense_2"):
        t = net.dropout(net.dense(t, 1024, True, "sigmoid", True, name, bf16), 0.2)
    t = net.dense(t, 10, True, "linear", True, "probabilities")
    net.set_optimizer("adam", beta1=0.9, beta2=0.999, epsilon=1e-7)
    net.set_loss(t, "softmax_cross_entropy")
    net.finish()
    rng = np.random.default_rng(0)
    for number, (_, shape, _) in enumerate(net.params()):
        scale = (2 / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else 0.0
        net.set(number, "weight", (rng.normal(size=shape) * scale).astype(np.float32))
    return net


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (BATCH, 28, 28, 1), dtype=np.uint8)
    y, order = rng.integers(0, 10, BATCH), np.arange(BATCH)
    networks = [cnn(arguments.threads, bf16) for bf16 in (False, True)]
    before: list[Times] = [{}, {}]
    best: list[Times] = [{}, {}]
    for step in range(arguments.steps + 1):
        for i, net in enumerate(networks):
            net.train(x, y, order, BATCH, np.full(1, 1e-3, np.float32), step, step)
            now = {name: (fwd, bwd) for name, fwd, bwd in net.training_times()}
            for name, (fwd, bwd) in now.items() if step else ():
                old = best[i].get(name, (np.inf, np.inf))
                first = before[i][name]
                best[i][name] = (min(old[0], fwd - first[0]), min(old[1], bwd - first[1]))
            before[i] = now
    scale = IMAGES / BATCH
    print(f"{networks[1].isa}, {arguments.threads} threads{'float32':>16}{'bfloat16':>18}")
    for name in best[0]:
        pairs = (best[0][name], best[1][name])
        cells = "".join(f"{scale * f:9.2f}{scale * b:9.2f}" for f, b in pairs)
        print(f"{name:26}{cells}")
    totals = [scale * sum(f + b for f, b in times.values()) for times in best]
    print(f"all: {totals[0]:.1f} s and {totals[1]:.1f} s, {totals[0] / totals[1]:.2f}×")


if __name__ == "__main__":
    main()
