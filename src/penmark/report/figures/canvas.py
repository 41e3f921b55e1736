"""Making a figure and giving it the house style, artist by artist.

matplotlib's style sheets and `rc_context` change process-wide state, which a thread of the
studio's server must not do to a notebook's; so colors and sizes are set on the artists.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from penmark.report.figures.theme import Theme
from penmark.report.wording import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT_POINTS = 9.5
SMALL_POINTS = 8.5
TITLE_POINTS = 12.0

_detached = contextvars.ContextVar("penmark_figures_detached", default=False)


@contextlib.contextmanager
def detached() -> Iterator[None]:
    """Inside this block figures are made without pyplot, for writing files only.

    A figure known to pyplot would pop up in the notebook, and stay in memory.
    """
    token = _detached.set(True)
    try:
        yield
    finally:
        _detached.reset(token)


def new_figure(
    width: float,
    height: float,
    theme: Theme,
    *,
    layout: Literal["constrained", "none"] = "constrained",
) -> Figure:
    """An empty figure of `width` by `height` inches.

    Where the program has imported pyplot the figure is registered there, so that `plt.show()`
    and notebooks show it; otherwise pyplot, and with it a window system, is not touched.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # "none" and not None, which would ask the user's style sheet.
    engine: Any = "none"  # which matplotlib takes, though its types do not say so
    if layout == "constrained":
        engine = ConstrainedLayoutEngine(w_pad=0.13, h_pad=0.13, wspace=0.02, hspace=0.02)
    size = (width, height)
    if "matplotlib.pyplot" in sys.modules and not _detached.get():
        from matplotlib import pyplot

        # pyplot's own types are too loose for mypy to know that this is a Figure.
        shown: Figure = pyplot.figure(figsize=size, layout=engine, facecolor=theme.surface, dpi=100)
        return shown
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout=engine, facecolor=theme.surface, dpi=100)


def style_axes(axes: Axes, theme: Theme, *, grid: Literal["x", "y", "both"] | None = "y") -> None:
    """Bare axes: no frame but a baseline, hairlines behind the data along `grid`, quiet ticks."""
    axes.set_facecolor(theme.surface)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom" and grid == "y")
        spine.set_color(theme.muted)
        spine.set_linewidth(0.8)
    axes.tick_params(
        colors=theme.muted, labelcolor=theme.muted, labelsize=TEXT_POINTS, length=0, pad=5
    )
    axes.tick_params(which="minor", length=0)
    axes.grid(visible=False)
    if grid is not None:
        axes.grid(visible=True, axis=grid, color=theme.grid, linewidth=0.9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(theme.muted)
        axis.label.set_fontsize(TEXT_POINTS)


def set_heading(axes: Axes, title: str, theme: Theme, *, subtitle: str = "") -> None:
    """A bold title, flush left with the axes, and under it one quiet line."""
    axes.set_title(
        plain(title),
        loc="left",
        fontsize=TITLE_POINTS,
        fontweight="bold",
        color=theme.ink,
        pad=24 if subtitle else 9,
    )
    if subtitle:
        axes.annotate(
            plain(subtitle),
            xy=(0.0, 1.0),
            xycoords="axes fraction",
            xytext=(0.0, 8.0),
            textcoords="offset points",
            fontsize=TEXT_POINTS,
            color=theme.muted,
            va="baseline",
            ha="left",
            parse_math=False,
        )


def message_figure(title: str, sentence: str, theme: Theme) -> Figure:
    """A figure that says in words why there is nothing to draw."""
    figure = new_figure(6.0, 1.3, theme)
    axes = figure.add_subplot()
    axes.set_axis_off()
    set_heading(axes, title, theme)
    axes.text(
        0.0,
        0.95,
        sentence,
        transform=axes.transAxes,
        fontsize=TEXT_POINTS + 1,
        color=theme.muted,
        va="top",
        wrap=True,
    )
    return finish(figure)


def finish(figure: Figure) -> Figure:
    """Take every text literally: a class named "$5" is no formula."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    return figure
