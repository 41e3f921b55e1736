"""Every figure of a run as a PNG file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penmark.atomic import storage_error
from penmark.report import figures
from penmark.report.evaluation import Evaluation
from penmark.report.figures.canvas import detached
from penmark.report.figures.curves import read_curve
from penmark.report.figures.pictures import check_images
from penmark.report.figures.weights import kernel_fits
from penmark.report.rendering import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_NAMES = (
    "training_curves",
    "confusion_matrix",
    "reliability_diagram",
    "per_class",
    "most_confused",
    "correct",
    "wrong",
    "top_losses",
    "first_layer",
)


def write_figures(
    folder: Path | str,
    *,
    history: Mapping[str, Sequence[float]],
    evaluation: Evaluation,
    images: NDArray[np.uint8],
    first_layer_kernel: NDArray[np.floating[Any]] | None,
    image_shape: Sequence[int],
    theme: str = "light",
) -> list[Path]:
    """Write every figure that has data as a PNG file; each appears whole or not at all.

    A figure without data (no history, no mistakes, a kernel that is no picture) is skipped, and
    an older file of its name is removed, so that the folder never shows another evaluation.

    Args:
        folder: where to write; made if missing.
        history: lists as in `keras.callbacks.History.history`; may be empty.
        evaluation: the answers to the test images.
        images: uint8, shape (n, height, width) or (n, height, width, channels), the evaluated
            images in the same order.
        first_layer_kernel: (inputs, units) of a dense first layer or (height, width, channels,
            filters) of a convolution; None if there is neither.
        image_shape: (height, width) or (height, width, channels).
        theme: "light" or "dark".

    Returns:
        The files written: `training_curves.png` and so on, see `FIGURE_NAMES`.

    Raises:
        DataError: the images do not fit the evaluation.
        StorageError: the file system refused.
    """
    check_images(images, evaluation.images)
    draw: dict[str, Callable[..., Figure]] = {
        "confusion_matrix": partial(figures.confusion_matrix, evaluation),
        "reliability_diagram": partial(figures.reliability_diagram, evaluation),
        "per_class": partial(figures.per_class, evaluation),
    }
    if any(read_curve(history, metric) is not None for metric in ("accuracy", "loss")):
        draw["training_curves"] = partial(figures.training_curves, history)
    if evaluation.errors < evaluation.images:
        draw["correct"] = partial(figures.gallery, images, evaluation)
    if evaluation.errors:
        draw["most_confused"] = partial(figures.most_confused, evaluation)
        draw["wrong"] = partial(figures.gallery, images, evaluation, correct=False)
        draw["top_losses"] = partial(figures.top_losses, images, evaluation)
    if first_layer_kernel is not None and kernel_fits(first_layer_kernel, image_shape):
        draw["first_layer"] = _first_layer(first_layer_kernel, image_shape, evaluation)

    written = []
    for name in FIGURE_NAMES:
        path = Path(folder) / f"{name}.png"
        if name not in draw:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise storage_error(error, path) from error
            continue
        with detached():
            figure = draw[name](theme=theme)
        save_figure(figure, path)
        written.append(path)
    return written


def _first_layer(
    kernel: NDArray[np.floating[Any]], image_shape: Sequence[int], evaluation: Evaluation
) -> Callable[..., Figure]:
    if kernel.ndim == 4:
        return partial(figures.filters, kernel)
    return partial(
        figures.weights_as_images, kernel, image_shape, class_names=evaluation.class_names
    )
