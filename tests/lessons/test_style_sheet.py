"""The style sheet for a user's own figures, and penmark's figures beside it."""

from __future__ import annotations

import matplotlib.style
import numpy as np
from matplotlib import rc_context, rcParams

from penmark.report import figures
from penmark.report.figures.canvas import TEXT_POINTS, TITLE_POINTS
from penmark.report.figures.theme import LIGHT

STYLE = "penmark.report.figures.light"


def rgb_pixels(figure: object) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def test_its_colors_and_sizes_are_those_of_the_theme() -> None:
    with matplotlib.style.context(STYLE):
        colors = rcParams["axes.prop_cycle"].by_key()["color"]
        assert tuple(f"#{color.lstrip('#')}" for color in colors) == LIGHT.series
        expected = {
            "figure.facecolor": LIGHT.surface,
            "axes.facecolor": LIGHT.surface,
            "text.color": LIGHT.ink,
            "axes.titlecolor": LIGHT.ink,
            "axes.edgecolor": LIGHT.muted,
            "axes.labelcolor": LIGHT.muted,
            "xtick.color": LIGHT.muted,
            "ytick.color": LIGHT.muted,
            "grid.color": LIGHT.grid,
        }
        for key, color in expected.items():
            assert f"#{rcParams[key].lstrip('#')}" == color, key
        assert rcParams["font.size"] == rcParams["axes.labelsize"] == TEXT_POINTS
        assert rcParams["axes.titlesize"] == TITLE_POINTS


def test_pictures_look_the_same_under_any_style_sheet(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, size=(4, 28, 28)).astype(np.uint8)
    labels = np.arange(4)

    def drawn() -> np.ndarray:
        return rgb_pixels(figures.image_grid(images, labels, list("abcd"), rows=2, columns=2))

    plain = drawn()
    with matplotlib.style.context(STYLE):
        assert np.array_equal(drawn(), plain)
    with rc_context({"axes.grid": True, "axes.spines.left": False, "axes.titlelocation": "right"}):
        assert np.array_equal(drawn(), plain)
