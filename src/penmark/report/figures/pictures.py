"""Figures made of the images themselves: what was read correctly, what was not, what there is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penmark.errors import DataError
from penmark.report.evaluation import Evaluation
from penmark.report.figures.canvas import SMALL_POINTS, finish, message_figure
from penmark.report.figures.picture_grid import picture_grid
from penmark.report.figures.theme import Theme, resolve_theme
from penmark.report.wording import percent, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A picture's caption has room for this many characters of each class name.
CAPTION_NAME_LENGTH = 16


def gallery(
    images: NDArray[np.uint8],
    evaluation: Evaluation,
    *,
    correct: bool = True,
    k: int = 9,
    theme: str | Theme = "light",
) -> Figure:
    """Show the first images that were predicted correctly, or wrongly, with both classes.

    Args:
        images: uint8, shape (n, height, width) or (n, height, width, channels), the evaluated
            images in the same order.
        evaluation: the answers to them.
        correct: show the correct ones (True) or the mistakes (False).
        k: how many images at most; the grid is as square as it can be.
        theme: "light" or "dark".

    Raises:
        DataError: the images do not fit the evaluation.
    """
    colors = resolve_theme(theme)
    check_images(images, evaluation.images)
    chosen = gallery_indices(evaluation, correct=correct, k=k)
    title = "Predicted correctly" if correct else "Predicted wrongly"
    if not chosen.size:
        sentence = (
            "Not one image was predicted correctly. That happens: is the training finished?"
            if correct
            else f"No mistakes: all {evaluation.images:,} images were predicted correctly."
        )
        return message_figure(title, sentence, colors)
    captions = [
        _caption_lines(f"Predicted {predicted}", f"class {true}")
        for predicted, true in _names(evaluation, chosen)
    ]
    return _draw(images[chosen], captions, title=title, theme=colors)


def top_losses(
    images: NDArray[np.uint8], evaluation: Evaluation, *, k: int = 9, theme: str | Theme = "light"
) -> Figure:
    """Show the worst errors, worst first: the least probability given to the true class.

    Args:
        images: uint8, shape (n, height, width) or (n, height, width, channels), the evaluated
            images in the same order.
        evaluation: the answers to them.
        k: how many images at most.
        theme: "light" or "dark".

    Raises:
        DataError: the images do not fit the evaluation.
    """
    colors = resolve_theme(theme)
    check_images(images, evaluation.images)
    chosen = evaluation.top_losses(k)
    title = "Worst errors first"
    if not chosen.size:
        sentence = f"No mistakes: all {evaluation.images:,} images were predicted correctly."
        return message_figure(title, sentence, colors)
    captions = [
        f"Predicted {predicted} ({percent(float(evaluation.confidence[index]))})\n"
        f"class {true} ({percent(float(evaluation.truth_probability[index]))})"
        for index, (predicted, true) in zip(chosen, _names(evaluation, chosen), strict=True)
    ]
    return _draw(images[chosen], captions, title=title, theme=colors)


def image_grid(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    class_names: Sequence[str],
    *,
    rows: int = 10,
    columns: int = 10,
    theme: str | Theme = "light",
) -> Figure:
    """Show a grid of images with their class names: one class per row where that fits.

    Where there are as many classes as rows, and each has images enough, row r shows the first
    images of class r; otherwise the first images come in their own order.

    Args:
        images: uint8, shape (n, height, width) or (n, height, width, channels).
        labels: integers, shape (n,), 0 to number of classes - 1.
        class_names: one name per class, in label order.
        rows, columns: size of the grid, at least 1 each.
        theme: "light" or "dark".

    Raises:
        DataError: images, labels and class names do not fit together, or there are no images.
    """
    colors = resolve_theme(theme)
    labels = np.asarray(labels)
    check_images(images, len(labels))
    if rows < 1 or columns < 1:
        raise DataError(f"a grid needs at least one row and column; got {rows} by {columns}")
    if not len(images):
        raise DataError("there are no images to show")
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise DataError(
            f"labels must run from 0 to {len(class_names) - 1} for {len(class_names)} class "
            f"names; got {int(labels.min())} to {int(labels.max())}"
        )
    chosen = _rows_by_class(labels, len(class_names), rows, columns)
    names = [shorten(class_names[label], 12) for label in labels[chosen]]
    return _draw(
        images[chosen],
        names,
        title="",
        theme=colors,
        columns=columns,
        picture_inches=0.62,
        points=7.0,
        caption_color=colors.muted,
    )


def gallery_indices(evaluation: Evaluation, *, correct: bool, k: int) -> NDArray[np.int64]:
    """Indices of the first `k` images predicted correctly, or wrongly; int64, shape (<= k,)."""
    found = np.flatnonzero(evaluation.correct if correct else ~evaluation.correct)
    return found[: max(0, k)].astype(np.int64)


def check_images(images: NDArray[np.uint8], count: int) -> None:
    """Make sure that `images` can be shown, and that there are `count` of them.

    Raises:
        DataError: wrong dtype, shape, number of channels or number of images.
    """
    drawable = images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3, 4))
    if images.dtype != np.uint8 or not drawable:
        raise DataError(
            "images must be uint8 of shape (n, height, width) or (n, height, width, channels) "
            f"with 1, 3 or 4 channels; got {images.dtype} of shape {images.shape}"
        )
    if len(images) != count:
        raise DataError(
            f"there are {len(images):,} images but {count:,} labels; give them in the same order"
        )


def _names(evaluation: Evaluation, chosen: NDArray[np.int64]) -> list[tuple[str, str]]:
    """(predicted, true) class names of the chosen images, short enough for a caption."""
    names = [shorten(name, CAPTION_NAME_LENGTH) for name in evaluation.class_names]
    return [
        (names[evaluation.predicted[index]], names[evaluation.y_true[index]]) for index in chosen
    ]


def _rows_by_class(
    labels: NDArray[np.integer[Any]], classes: int, rows: int, columns: int
) -> NDArray[np.int64]:
    counts = np.bincount(labels, minlength=classes)
    if classes == rows and counts.min() >= columns:
        return np.concatenate(
            [np.flatnonzero(labels == label)[:columns] for label in range(classes)]
        )
    return np.arange(min(len(labels), rows * columns))


def _caption_lines(first: str, second: str) -> str:
    """Two parts of a caption in one line, or in two where one would be wider than a picture."""
    line = f"{first}, {second}"
    return line if len(line) <= 24 else f"{first},\n{second}"


def _draw(
    pictures: NDArray[np.uint8],
    captions: Sequence[str],
    *,
    title: str,
    theme: Theme,
    columns: int | None = None,
    picture_inches: float = 1.7,
    points: float = SMALL_POINTS,
    caption_color: str | None = None,
) -> Figure:
    flat = pictures[..., 0] if pictures.ndim == 4 and pictures.shape[3] == 1 else pictures
    figure, _ = picture_grid(
        flat,
        captions,
        columns=math.ceil(math.sqrt(len(flat))) if columns is None else columns,
        picture_inches=picture_inches,
        points=points,
        theme=theme,
        caption_color=theme.ink if caption_color is None else caption_color,
        title=title,
        cmap="gray",
        vmin=0,
        vmax=255,
    )
    return finish(figure)
