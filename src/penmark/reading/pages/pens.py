"""What people write with: color, breadth, and how evenly it covers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from penmark.reading.pages.noise import smooth_noise

FloatArray = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Pen:
    """A writing instrument.

    Args:
        color: reflectance of its ink, linear, for red, green and blue.
        width: narrowest and broadest stroke as shares of the digit height; None for the digit's
            own stroke.
        grain: 0.0 (covers evenly) to 1.0 (only the tops of the surface's grain take color).
        fading: how much the ink's density wanders along the stroke, 0.0 to 1.0.
    """

    color: tuple[float, float, float]
    width: tuple[float, float] | None = None
    grain: float = 0.0
    fading: float = 0.0


PENS: Mapping[str, Pen] = {
    "felt-tip": Pen((0.03, 0.03, 0.035)),
    "black ballpoint": Pen((0.05, 0.05, 0.06), (0.04, 0.08), grain=0.1, fading=0.25),
    "blue ballpoint": Pen((0.05, 0.08, 0.36), (0.04, 0.08), grain=0.1, fading=0.25),
    "pencil": Pen((0.20, 0.20, 0.21), (0.04, 0.09), grain=0.5, fading=0.3),
    "red ink": Pen((0.60, 0.06, 0.07), (0.06, 0.12), fading=0.2),
    "marker": Pen((0.02, 0.02, 0.03), (0.13, 0.18), fading=0.05),
    "chalk": Pen((0.72, 0.71, 0.68), (0.08, 0.14), grain=0.6, fading=0.2),
    "light stylus": Pen((0.85, 0.86, 0.88), (0.06, 0.12)),
}


def covered(
    coverage: FloatArray, pen: Pen, *, height_px: float, rng: np.random.Generator
) -> FloatArray:
    """How densely the ink lies where a stroke covers the surface.

    Args:
        coverage: float32, shape (height, width), 0.0 to 1.0, the geometric stroke.
        pen: what wrote it.
        height_px: the digits' height, which sets the scale along which the ink's flow wanders.
        rng: decides the grain.

    Returns:
        float32, same shape, 0.0 to 1.0.
    """
    density = coverage
    if pen.grain:
        # Grain of paper and board is of the order of 0.1 mm, a hundredth of a digit.
        size_px = max(0.6, 0.012 * height_px)
        bumps = smooth_noise(coverage.shape, size_px, rng)
        density = density * np.clip(1.0 - pen.grain * (0.45 + 0.8 * bumps), 0.0, 1.0)
    if pen.fading:
        flow = smooth_noise(coverage.shape, 0.3 * height_px, rng)
        density = density * np.clip(1.0 - pen.fading * (0.5 + 0.5 * flow), 0.0, 1.0)
    return density.astype(np.float32)
