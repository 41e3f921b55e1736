"""Seconds per epoch of the published networks: the engine and Keras in turn, in one run.

Machines that others use too swing in speed, so two runs at different times say nothing. Here the
engine and its peer take turns, epoch by epoch, and the medians are compared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from penmark import engine
from penmark.engine.backend import keras
from penmark.engine.core import missing_core
from penmark.errors import InputError
from penmark.recipes import Precision, Recipe, get

if TYPE_CHECKING:
    from penmark.data.dataset import Dataset, Int64Array, UInt8Array


def bench(
    recipes: Sequence[str],
    dataset: Dataset,
    *,
    runs: int = 3,
    images: int | None = None,
    profile: bool = False,
    precision: Precision = "float32",
    announce: Callable[[str], None] = lambda line: None,
) -> Iterator[dict[str, Any]]:
    """Time epochs of training as published, the native engine and Keras in turn.

    The first epoch of each is not timed: Keras compiles in it.

    Args:
        recipes: names of recipes; those that are not trained by gradient descent are refused.
        dataset: images to train on; all training images are one epoch.
        runs: timed epochs of each.
        images: time only so many images and scale the seconds up to an epoch, for a quick look.
        profile: also give the core's seconds per layer, as its first thread saw them.
        precision: of both; with "mixed_bfloat16" the engine in float32 takes turns with them too.
        announce: gets a line before each recipe.

    Yields:
        {"recipe", "engine", "precision", "seconds_per_epoch", "peer", "peer_seconds_per_epoch",
        "ratio", "share_of_peak", "gflops", "peak_gflops", "runs", "images", "threads"}, with
        `profile` "layers": [{"layer", "forward_seconds", "backward_seconds"}], and with
        "mixed_bfloat16" "float32_seconds_per_epoch" and "ratio_to_float32". Seconds are medians,
        ratios are the others' seconds over the engine's. `share_of_peak` relates the multiply-adds
        of the layers' matrix products to the peak in float32, measured between the epochs; it
        counts the whole epoch's time, so that everything that is no matrix product lowers it, and
        all multiply-adds, also those that the engine finds it can leave out: it may exceed 1.

    Raises:
        InputError: there is no native core, or a recipe is trained by a rule of its own.
    """
    reason = missing_core()
    if reason is not None:
        raise InputError(f"there is nothing to measure: {reason}")
    chosen = [get(name) for name in recipes]
    for recipe in chosen:
        if recipe.fit is not None:
            raise InputError(f"{recipe.name} is trained by a rule of its own, not by an engine")
    for recipe in chosen:
        announce(f"Timing {recipe.name}: {runs} epochs of each, in turn")
        yield _bench_one(recipe, dataset, runs, images, profile, precision)


def _bench_one(
    recipe: Recipe,
    dataset: Dataset,
    runs: int,
    images: int | None,
    profile: bool,
    precision: Precision,
) -> dict[str, Any]:
    from penmark.engine import _core

    x, y = dataset.x_train[:images], dataset.y_train[:images]
    scale = len(dataset.x_train) / len(x)

    models = {
        name: recipe.build(dataset, seed=0, precision=precision) for name in ("native", "keras")
    }
    if precision != "float32":
        models["float32"] = recipe.build(dataset, seed=0)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    peaks: list[float] = []
    threads = _core.available_threads()
    for run in range(runs + 1):
        peaks.append(_core.peak_gflops(threads))
        for name, model in models.items():
            started = time.perf_counter()
            engine.fit(
                model,
                x,
                y,
                engine="keras" if name == "keras" else "native",
                loss_from=recipe.loss_from,
                seed=run,
                batch_size=recipe.batch_size,
                verbose=0,
            )
            if run > 0:
                seconds[name].append(scale * (time.perf_counter() - started))
    ours, theirs = (statistics.median(seconds[name]) for name in ("native", "keras"))
    gflops = training_flops(models["native"]) * len(dataset.x_train) / ours / 1e9
    peak = statistics.median(peaks)
    row: dict[str, Any] = {
        "recipe": recipe.name,
        "engine": "native",
        "precision": precision,
        "seconds_per_epoch": ours,
        "peer": f"keras/{keras.backend.backend()}",
        "peer_seconds_per_epoch": theirs,
        "ratio": theirs / ours,
        "share_of_peak": gflops / peak,
        "gflops": gflops,
        "peak_gflops": peak,
        "runs": runs,
        "images": len(x),
        "threads": threads,
    }
    if "float32" in seconds:
        row["float32_seconds_per_epoch"] = statistics.median(seconds["float32"])
        row["ratio_to_float32"] = row["float32_seconds_per_epoch"] / ours
    if profile:
        row["layers"] = _profile(recipe, models["native"], x, y, scale)
    return row


def training_flops(model: Any) -> int:
    """Floating-point operations of the matrix products in training on one image.

    A product of (m, k) and (k, n) counts 2 m k n. Each layer with a kernel has three of equal size:
    forward, gradient to the weights, gradient to the input; the first has no use for the last.
    Convolutions count tap by tap, also where the core needs fewer multiplications.
    """
    total = 0
    passes = 2
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        positions = 1
        if isinstance(layer, keras.layers.Conv2D):
            _, height, width, _ = layer.output.shape
            positions = height * width
        sizes = 1
        for size in kernel.shape:
            sizes *= size
        total += passes * 2 * sizes * positions
        passes = 3
    return total


def _profile(
    recipe: Recipe, model: Any, x: UInt8Array, y: Int64Array, scale: float
) -> list[dict[str, Any]]:
    from penmark.engine.native import layer_times

    return [
        {"layer": layer, "forward_seconds": scale * forward, "backward_seconds": scale * backward}
        for layer, forward, backward in layer_times(model, x, y, batch_size=recipe.batch_size)
    ]
