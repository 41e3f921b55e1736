"""How the accuracy of reading falls as one difficulty of the pages grows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penmark.errors import DataError
from penmark.report.figures.canvas import (
    SMALL_POINTS,
    TEXT_POINTS,
    finish,
    new_figure,
    style_axes,
)
from penmark.report.figures.theme import Theme, resolve_theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Difficulty:
    """One panel's numbers.

    Args:
        name: of the difficulty.
        levels: from 0.0 (absent) to 1.0 (hardest), rising.
        ends: what levels 0 and 1 are in physical units, such as ("0°", "45°").
        digit_accuracy, row_accuracy: shares, 0.0 to 1.0, one for each level.
    """

    name: str
    levels: tuple[float, ...]
    ends: tuple[str, str]
    digit_accuracy: tuple[float, ...]
    row_accuracy: tuple[float, ...]


def accuracy_by_difficulty(
    panels: Sequence[Difficulty], *, columns: int = 5, theme: str | Theme = "light"
) -> Figure:
    """Draw a small panel for each difficulty: digit and row accuracy over its level.

    All panels share their vertical axis, so that falls can be compared.

    Args:
        panels: what to draw, row by row.
        columns: panels in a row.
        theme: "light" or "dark".

    Raises:
        DataError: there are no panels.
    """
    if not panels:
        raise DataError("there is no difficulty to draw; measure at least one")
    colors = resolve_theme(theme)
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(1.9 * columns + 0.3, 1.65 * rows + 0.5, colors)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for index, axes in enumerate(grid.ravel()):
        if index < len(panels):
            _draw(axes, panels[index], colors)
        else:
            axes.set_axis_off()
    lines = grid[0, 0].get_lines()
    figure.legend(
        handles=lines[:2],
        loc="outside lower left",
        ncols=2,
        frameon=False,
        fontsize=TEXT_POINTS,
        labelcolor=colors.ink,
    )
    return finish(figure)


def _draw(axes: Axes, panel: Difficulty, theme: Theme) -> None:
    style_axes(axes, theme)
    look: dict[str, Any] = {"markersize": 4.0, "marker": "o", "linewidth": 1.8, "clip_on": False}
    axes.plot(
        panel.levels, panel.digit_accuracy, color=theme.series[0], label="digits right", **look
    )
    # Where both are equal, the digits' line lies on top.
    axes.plot(
        panel.levels,
        panel.row_accuracy,
        color=theme.series[4],
        label="rows right",
        **(look | {"zorder": 1.9}),
    )
    axes.set_xlim(-0.06, 1.06)
    axes.set_ylim(0.0, 1.04)
    axes.set_yticks([0.0, 0.5, 1.0], ["0%", "50%", "100%"])
    axes.set_xticks([0.0, 1.0], list(panel.ends))
    axes.tick_params(labelsize=SMALL_POINTS)
    first, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    axes.set_title(
        panel.name, loc="left", fontsize=TEXT_POINTS, fontweight="bold", color=theme.ink, pad=6
    )
