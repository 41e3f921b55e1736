"""Figures of how good a model is, class by class, and of how many images a class has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penmark.report.evaluation import Evaluation, wilson_interval
from penmark.report.figures.canvas import (
    SMALL_POINTS,
    TEXT_POINTS,
    finish,
    message_figure,
    new_figure,
    set_heading,
    style_axes,
)
from penmark.report.figures.theme import Theme, resolve_theme
from penmark.report.tint import confusion_tint
from penmark.report.wording import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from penmark.data.dataset import Dataset

# With more classes the cells get too small for a legible number.
MOST_CLASSES_WITH_NUMBERS = 24
NAME_LENGTH = 24


def confusion_matrix(evaluation: Evaluation, *, theme: str | Theme = "light") -> Figure:
    """Draw how often each true class (rows) was predicted as each class (columns).

    The diagonal, what was predicted correctly, is tinted by recall; all other cells by their
    share of the row, on a scale of their own (see `penmark.report.tint.confusion_tint`). Up to
    24 classes the counts stand in the cells.

    Args:
        evaluation: what to draw.
        theme: "light" or "dark".
    """
    from matplotlib.colors import to_rgb

    colors = resolve_theme(theme)
    counts = evaluation.confusion
    classes = evaluation.num_classes
    names = [shorten(name, NAME_LENGTH) for name in evaluation.class_names]
    longest = max(len(name) for name in names)
    numbered = classes <= MOST_CLASSES_WITH_NUMBERS
    digits = len(f"{counts.max():,}")
    cell = max(0.46, 0.09 * digits + 0.1) if numbered else 0.13
    side = max(cell * classes, 2.4)
    label_points = TEXT_POINTS if numbered else max(4.5, min(SMALL_POINTS, 72 * side / classes))
    margin = 0.011 * longest * label_points + 0.5
    figure = new_figure(side + margin + 0.3, side + margin + 0.5, colors)
    axes = figure.add_subplot()

    tint = confusion_tint(counts)
    surface = np.asarray(to_rgb(colors.surface))
    hue = np.broadcast_to(np.asarray(to_rgb(colors.wrong)), (classes, classes, 3)).copy()
    hue[np.diag_indices(classes)] = to_rgb(colors.right)
    strength = np.where(np.eye(classes, dtype=bool), 0.75, 0.85)[..., None] * tint[..., None]
    paint = surface + (hue - surface) * strength
    axes.imshow(paint, interpolation="nearest", aspect="equal")

    style_axes(axes, colors, grid=None)
    turned = longest > max(2, int(cell * 72 / (0.62 * label_points)))
    axes.set_xticks(
        np.arange(classes),
        names,
        rotation=90 if turned else 0,
        fontsize=label_points,
        color=colors.ink,
        parse_math=False,
    )
    axes.set_yticks(
        np.arange(classes), names, fontsize=label_points, color=colors.ink, parse_math=False
    )
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    # Gaps in the color of the background part the cells better than lines would.
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(visible=True, which="minor", color=colors.surface, linewidth=1.6 if numbered else 0.4)
    axes.set_axisbelow(False)
    axes.tick_params(which="minor", length=0)
    if numbered:
        for row, column in zip(*np.nonzero(counts), strict=True):
            axes.text(
                column,
                row,
                f"{counts[row, column]:,}",
                ha="center",
                va="center",
                fontsize=TEXT_POINTS if digits < 5 else SMALL_POINTS,
                fontweight="bold" if row == column else "normal",
                color=_readable_on(paint[row, column]),
            )
    set_heading(axes, "Confusion matrix", colors)
    return finish(figure)


def reliability_diagram(evaluation: Evaluation, *, theme: str | Theme = "light") -> Figure:
    """Draw how often the model is right where it says how sure it is, and how often it says so.

    Above: per bin of confidence the accuracy, with its 95% interval (Wilson); on the diagonal
    confidence and accuracy agree. Below: how many images fall into each bin.

    Args:
        evaluation: what to draw.
        theme: "light" or "dark".

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    colors = resolve_theme(theme)
    figure = new_figure(4.3, 5.0, colors)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    filled = [part for part in evaluation.reliability if part.count]
    confidence = np.array([part.confidence for part in filled])
    accuracy = np.array([part.accuracy for part in filled])
    intervals = [wilson_interval(round(part.accuracy * part.count), part.count) for part in filled]

    style_axes(upper, colors)
    upper.plot(
        [0, 1],
        [0, 1],
        color=colors.muted,
        linewidth=1.3,
        linestyle=(0, (4, 3)),
        label="as right as sure",
    )
    upper.vlines(
        confidence,
        [low for low, _ in intervals],
        [high for _, high in intervals],
        color=colors.right,
        linewidth=5.5,
        alpha=0.28,
        label="95% interval",
    )
    upper.plot(
        confidence,
        accuracy,
        color=colors.right,
        linewidth=1.4,
        marker="o",
        markersize=5.5,
        clip_on=False,
        zorder=3,
        label="model",
    )
    # matplotlib's "best" place does not see the intervals; data are rarely in both corners.
    in_upper_left = np.sum((confidence < 0.5) & (np.array([high for _, high in intervals]) > 0.78))
    in_lower_right = np.sum((confidence > 0.5) & (np.array([low for low, _ in intervals]) < 0.25))
    upper.legend(
        loc="upper left" if in_upper_left <= in_lower_right else "lower right",
        framealpha=0.85,
        facecolor=colors.surface,
        edgecolor="none",
        fontsize=SMALL_POINTS,
        labelcolor=colors.ink,
        handlelength=1.6,
    )
    upper.set_ylim(-0.02, 1.02)
    upper.set_xlim(0.0, 1.0)
    upper.set_ylabel("accuracy")
    set_heading(
        upper,
        "Calibration",
        colors,
        subtitle=f"mean gap to the diagonal (ECE): {100 * evaluation.ece:.1f} points",
    )

    style_axes(lower, colors)
    lower.bar(
        [part.lower for part in evaluation.reliability],
        [part.count for part in evaluation.reliability],
        width=0.9 / len(evaluation.reliability),
        align="edge",
        color=colors.right,
    )
    # The last bin holds nearly everything: on a linear scale the others would vanish.
    lower.set_yscale("log")
    top = max(part.count for part in filled)
    lower.set_ylim(0.5, 2.0 * top)
    decades = [10.0**power for power in range(0, len(str(top)), 2 if top >= 10_000 else 1)]
    lower.set_yticks(decades)
    lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    lower.yaxis.set_minor_locator(NullLocator())
    lower.yaxis.set_minor_formatter(NullFormatter())
    lower.set_ylabel("images\n(log scale)")
    lower.set_xlabel("confidence")
    for axis in (upper.yaxis, lower.xaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    return finish(figure)


def per_class(evaluation: Evaluation, *, theme: str | Theme = "light") -> Figure:
    """Draw precision and recall of each class, the hardest class (lowest F1) on top.

    Args:
        evaluation: what to draw.
        theme: "light" or "dark".
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    colors = resolve_theme(theme)
    # barh-like axes count upwards, so the last row drawn is the top one.
    rows = sorted(evaluation.per_class, key=lambda row: -row["f1"])
    positions = np.arange(len(rows))
    precision = np.array([row["precision"] for row in rows])
    recall = np.array([row["recall"] for row in rows])
    figure = new_figure(6.4, 1.5 + _row_height(len(rows)) * len(rows), colors)
    axes = figure.add_subplot()
    style_axes(axes, colors, grid="both" if len(rows) <= 40 else "x")
    axes.hlines(
        positions,
        np.minimum(precision, recall),
        np.maximum(precision, recall),
        color=colors.muted,
        linewidth=1.6,
        zorder=2,
    )
    size = 7.5 if len(rows) <= 40 else 5.0
    marks: dict[str, Any] = {
        "linestyle": "none",
        "zorder": 3,
        "markersize": size - 1.0,
        "clip_on": False,
    }
    axes.plot(
        precision,
        positions,
        marker="o",
        color=colors.right,
        label="precision: share of the images predicted as the class that belong to it",
        **marks,
    )
    axes.plot(
        recall,
        positions,
        marker="D",
        markerfacecolor="none",
        markeredgecolor=colors.wrong,
        markeredgewidth=1.7,
        label="recall: share of the images of the class that were found",
        **(marks | {"markersize": size + 1.5}),
    )
    lowest = float(min(precision.min(), recall.min()))
    highest = float(max(precision.max(), recall.max()))
    pad = max(0.06 * (highest - lowest), 0.01)
    axes.set_xlim(max(0.0, lowest - pad), min(1.0, highest + pad))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=(1, 2, 5, 10)))
    _name_rows(axes, [row["class"] for row in rows], colors)
    set_heading(axes, "Class by class", colors, subtitle="hardest on top")
    figure.legend(
        loc="outside lower left",
        frameon=False,
        fontsize=TEXT_POINTS,
        labelcolor=colors.ink,
        handlelength=1.0,
    )
    return finish(figure)


def most_confused(evaluation: Evaluation, *, k: int = 12, theme: str | Theme = "light") -> Figure:
    """Draw which class was most often taken for which other class.

    Args:
        evaluation: what to draw.
        k: how many pairs, from the most frequent on.
        theme: "light" or "dark".
    """
    colors = resolve_theme(theme)
    pairs = evaluation.most_confused()[:k]
    if not pairs:
        return message_figure(
            "Most confused", "Nothing was mixed up: every image was predicted correctly.", colors
        )
    pairs.reverse()
    figure = new_figure(6.4, 1.0 + 0.3 * len(pairs), colors)
    axes = figure.add_subplot()
    style_axes(axes, colors, grid=None)
    counts = [count for _, _, count in pairs]
    bars = axes.barh(np.arange(len(pairs)), counts, height=0.62, color=colors.wrong)
    axes.bar_label(
        bars, [f"{count:,}" for count in counts], padding=5, fontsize=TEXT_POINTS, color=colors.ink
    )
    axes.set_xticks([])
    axes.set_xlim(0, 1.12 * max(counts))
    axes.set_ylim(-0.6, len(pairs) - 0.4)
    labels = [
        f"{shorten(true, NAME_LENGTH)} → {shorten(predicted, NAME_LENGTH)}"
        for true, predicted, _ in pairs
    ]
    _name_rows(axes, labels, colors)
    set_heading(axes, "Most confused", colors, subtitle="true class → predicted class, images")
    return finish(figure)


def class_counts(dataset: Dataset, *, theme: str | Theme = "light") -> Figure:
    """Draw how many training and test images each class has.

    Args:
        dataset: what to count.
        theme: "light" or "dark".
    """
    colors = resolve_theme(theme)
    classes = dataset.num_classes
    splits = [("Training images", dataset.y_train)]
    if len(dataset.y_test):
        splits.append(("Test images", dataset.y_test))
    height = 1.1 + _row_height(classes) * classes
    figure = new_figure(1.6 + 3.2 * len(splits), height, colors)
    panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
    for axes, (title, labels) in zip(panels, splits, strict=True):
        style_axes(axes, colors, grid=None)
        counts = np.bincount(labels, minlength=classes)
        bars = axes.barh(np.arange(classes), counts, height=0.66, color=colors.right)
        axes.bar_label(
            bars,
            [f"{count:,}" for count in counts],
            padding=5,
            fontsize=TEXT_POINTS if classes <= 40 else 7.0,
            color=colors.ink,
        )
        axes.set_xticks([])
        axes.set_xlim(0, 1.18 * max(int(counts.max()), 1))
        set_heading(axes, title, colors, subtitle=f"{len(labels):,} in {classes} classes")
    # The first class belongs on top, where reading starts.
    panels[0].set_ylim(classes - 0.4, -0.6)
    _name_rows(panels[0], list(dataset.class_names), colors)
    return finish(figure)


def _readable_on(color: NDArray[np.float64]) -> str:
    """Black or white, whichever contrasts more with an RGB color, 0.0 to 1.0.

    Source: Web Content Accessibility Guidelines 2.2, "relative luminance" and "contrast ratio".
    """
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    # (1.05) / (L + 0.05) and (L + 0.05) / 0.05 are equal at L = 0.179.
    return "#000000" if luminance > 0.179 else "#ffffff"


def _row_height(rows: int) -> float:
    """Inches per row of a horizontal chart."""
    return 0.3 if rows <= 24 else 0.2 if rows <= 48 else 0.14


def _name_rows(axes: Axes, names: list[Any], theme: Theme) -> None:
    axes.set_yticks(
        np.arange(len(names)),
        [shorten(name, 2 * NAME_LENGTH + 3) for name in names],
        fontsize=TEXT_POINTS if len(names) <= 48 else 7.0,
        color=theme.ink,
        parse_math=False,
    )
