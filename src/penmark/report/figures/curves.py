"""Curves over the epochs of a training: one run, or several compared."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penmark.errors import DataError
from penmark.report.figures.canvas import TEXT_POINTS, finish, new_figure, set_heading, style_axes
from penmark.report.figures.theme import Theme, resolve_theme
from penmark.report.wording import percent, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Mapping[str, Sequence[float]]

# Keras names the accuracy after the metric it was asked for.
ACCURACY_KEYS = (
    "accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "binary_accuracy",
)
# Above this ratio of highest to lowest loss, all but the first epochs would lie on the axis.
LOG_SCALE_RATIO = 40.0

# Ticks at 91.5%, 93%, 94.5% are hard to count in.
ROUND_STEPS = (1, 2, 5, 10)


@dataclasses.dataclass(frozen=True)
class Curve:
    """One panel's numbers: a metric over the epochs.

    Args:
        metric: "accuracy" or "loss".
        training, validation: float64, shape (epochs,); validation may be empty.
    """

    metric: str
    training: NDArray[np.float64]
    validation: NDArray[np.float64]

    @property
    def leading(self) -> NDArray[np.float64]:
        """The series that tells how good the model is: validation where there is one."""
        return self.validation if self.validation.size else self.training

    @property
    def best_epoch(self) -> int | None:
        """Epoch (from 1) of the highest accuracy or lowest loss; None if no value is finite."""
        values = self.leading
        finite = np.flatnonzero(np.isfinite(values))
        if not finite.size:
            return None
        pick = np.argmax if self.metric == "accuracy" else np.argmin
        return int(finite[int(pick(values[finite]))]) + 1


def read_curve(history: History, metric: str) -> Curve | None:
    """The series of `metric` ("accuracy" or "loss") in a Keras history; None if it has none."""
    keys = ACCURACY_KEYS if metric == "accuracy" else (metric,)
    for key in keys:
        training = np.asarray(history.get(key, ()), dtype=np.float64)
        validation = np.asarray(history.get(f"val_{key}", ()), dtype=np.float64)
        if training.size or validation.size:
            return Curve(metric, training, validation)
    return None


def training_curves(
    history: History,
    *,
    metrics: Sequence[str] = ("accuracy", "loss"),
    theme: str | Theme = "light",
) -> Figure:
    """Draw accuracy and loss over the epochs, training and validation, best epoch marked.

    Args:
        history: lists of equal length, as in `keras.callbacks.History.history`: "accuracy",
            "loss" and, where there was a validation split, "val_accuracy" and "val_loss".
            Other keys are ignored.
        metrics: the panels to draw, from left to right.
        theme: "light" or "dark".

    Raises:
        DataError: the history holds none of the metrics.
    """
    colors = resolve_theme(theme)
    curves = _read_curves(history, metrics)
    figure = new_figure(4.3 * len(curves), 3.6, colors)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, curve in zip(panels, curves, strict=True):
        _draw_training(axes, curve, colors)
    return finish(figure)


def compare_curves(
    histories: Mapping[str, History],
    *,
    metrics: Sequence[str] = ("accuracy", "loss"),
    theme: str | Theme = "light",
) -> Figure:
    """Draw several runs' accuracy and loss over the epochs into the same panels.

    Of each run the validation curve is drawn; of a run without one, the training curve, and the
    legend says so.

    Args:
        histories: name of the run -> its history, as for `training_curves`.
        metrics: the panels to draw, from left to right.
        theme: "light" or "dark".

    Raises:
        DataError: there is no run, or no run holds one of the metrics.
    """
    colors = resolve_theme(theme)
    panels_of = {
        metric: {
            name: curve
            for name, history in histories.items()
            if (curve := read_curve(history, metric)) is not None
        }
        for metric in metrics
    }
    drawn = [metric for metric in metrics if panels_of[metric]]
    if not drawn:
        raise DataError(f"no run to compare has a history with {' or '.join(metrics)} in it")
    names = list(histories)
    columns = 2 if len(names) > 1 else 1
    legend_rows = math.ceil(len(names) / columns)
    figure = new_figure(4.3 * len(drawn), 3.6 + 0.22 * legend_rows, colors)
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    handles: dict[str, Any] = {}
    for axes, metric in zip(panels, drawn, strict=True):
        curves = panels_of[metric]
        for name, curve in curves.items():
            rank = names.index(name)
            (line,) = _draw_series(
                axes,
                curve.leading,
                color=colors.series[rank % len(colors.series)],
                # A hue comes round again after seven runs; the dashes then tell them apart.
                linestyle=("-", "--", ":", "-.")[(rank // len(colors.series)) % 4],
            )
            handles.setdefault(name, line)
            suffix = "" if curve.validation.size else " (training)"
            line.set_label(shorten(name, 40) + suffix)
        _finish_panel(axes, list(curves.values()), colors)
        split = (
            "validation" if any(curve.validation.size for curve in curves.values()) else "training"
        )
        set_heading(axes, metric.capitalize(), colors, subtitle=f"on {split} images")
    legend = figure.legend(
        handles=list(handles.values()),
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=TEXT_POINTS,
        labelcolor=colors.ink,
    )
    legend.set_in_layout(True)
    return finish(figure)


def _read_curves(history: History, metrics: Sequence[str]) -> list[Curve]:
    curves = [curve for metric in metrics if (curve := read_curve(history, metric)) is not None]
    if not curves:
        raise DataError(
            f"the history has no {' or '.join(metrics)} in it; "
            f"it holds {', '.join(history) or 'nothing'}"
        )
    return curves


def _draw_training(axes: Axes, curve: Curve, theme: Theme) -> None:
    if curve.training.size:
        _draw_series(axes, curve.training, color=theme.muted, label="training", linewidth=1.6)
    if curve.validation.size:
        _draw_series(axes, curve.validation, color=theme.right, label="validation", linewidth=2.2)
    best = curve.best_epoch
    subtitle = ""
    if best is not None:
        value = float(curve.leading[best - 1])
        number = percent(value) if curve.metric == "accuracy" else f"{value:.3g}"
        split = "validation" if curve.validation.size else "training"
        word = "highest" if curve.metric == "accuracy" else "lowest"
        subtitle = f"{word} in {split}: {number}, epoch {best}"
    if best is not None and len(curve.leading) > 1:
        axes.axvline(best, color=theme.grid, linewidth=1.4, zorder=1)
        axes.plot(
            [best],
            [curve.leading[best - 1]],
            marker="o",
            markersize=8.5,
            markerfacecolor=theme.surface,
            markeredgecolor=theme.right if curve.validation.size else theme.ink,
            markeredgewidth=2.0,
            linestyle="none",
            zorder=4,
        )
    _finish_panel(axes, [curve], theme)
    set_heading(axes, curve.metric.capitalize(), theme, subtitle=subtitle)
    # Accuracy rises and loss falls, so these corners are the empty ones.
    legend = axes.legend(
        loc="lower right" if curve.metric == "accuracy" else "upper right",
        frameon=True,
        framealpha=0.9,
        facecolor=theme.surface,
        edgecolor="none",
        fontsize=TEXT_POINTS,
        labelcolor=theme.ink,
        handlelength=1.4,
    )
    legend.set_zorder(5)


def _draw_series(axes: Axes, values: NDArray[np.float64], **style: Any) -> Any:
    """One line over the epochs 1, 2, …; a single epoch is a point, since a line needs two."""
    look: dict[str, Any] = {"linewidth": 2.0, "solid_capstyle": "round"} | style
    if len(values) == 1:
        look |= {"marker": "o", "markersize": 6.5, "linestyle": "none"}
    return axes.plot(np.arange(1, len(values) + 1), values, **look)


def _finish_panel(axes: Axes, curves: Sequence[Curve], theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    style_axes(axes, theme)
    axes.set_xlabel("epoch")
    epochs = max(max(len(curve.training), len(curve.validation)) for curve in curves)
    axes.set_xlim((0.5, 1.5) if epochs == 1 else (1 - 0.03 * epochs, epochs + 0.03 * epochs))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
    values = np.concatenate(
        [part for curve in curves for part in (curve.training, curve.validation)]
    )
    values = values[np.isfinite(values)]
    if not values.size:
        return
    lowest, highest = float(values.min()), float(values.max())
    if curves[0].metric == "accuracy":
        pad = max(0.08 * (highest - lowest), 0.005)
        axes.set_ylim(max(-0.01, lowest - pad), min(1.0 + pad / 4, highest + pad))
        axes.yaxis.set_major_formatter(FuncFormatter(_percent_tick))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=ROUND_STEPS))
    elif lowest > 0 and highest / lowest > LOG_SCALE_RATIO:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylabel("log scale")
    else:
        axes.set_ylim(0.0, 1.08 * highest if highest > 0 else 1.0)


def _percent_tick(value: float, _: int | None = None) -> str:
    return f"{100 * value:.4g}%"
