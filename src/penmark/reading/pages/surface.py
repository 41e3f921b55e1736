"""What is written on: paper and boards, their texture and lines, and the desk around them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from penmark.reading.pages.camera import View
from penmark.reading.pages.noise import smooth_noise

FloatArray = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Surface:
    """A kind of surface.

    Args:
        color: its reflectance (of a screen: its light), linear, for red, green and blue.
        smears: standard deviation of broad smears, as an eraser leaves on a board.
    """

    color: tuple[float, float, float]
    smears: float = 0.0


SURFACES: Mapping[str, Surface] = {
    "white paper": Surface((0.84, 0.84, 0.83)),
    "yellow paper": Surface((0.86, 0.78, 0.42)),
    "recycled paper": Surface((0.62, 0.59, 0.52)),
    "whiteboard": Surface((0.86, 0.87, 0.88), smears=0.012),
    "chalkboard": Surface((0.055, 0.085, 0.068), smears=0.14),
    "light screen": Surface((1.0, 1.0, 1.0)),
    "dark screen": Surface((0.012, 0.012, 0.014)),
}

# How much more or less than the average a line takes of red, green and blue.
_LINE_COLORS = ((1.45, 0.95, 0.30), (1.0, 1.0, 1.0), (1.1, 0.9, 1.0))
_RED_MARGIN = (0.25, 1.25, 1.15)

# Reflectance of table tops: two woods, gray cloth, black and near white laminate.
_DESKS = (
    (0.30, 0.16, 0.08), (0.12, 0.06, 0.035), (0.17, 0.17, 0.18), (0.03, 0.03, 0.03),
    (0.55, 0.54, 0.51),
)  # fmt: skip


def bare_surface(
    shape: tuple[int, int], surface: Surface, *, texture: float, rng: np.random.Generator
) -> FloatArray:
    """Reflectance of an empty surface.

    Args:
        shape: (height, width) in pixels.
        surface: which one.
        texture: standard deviation as a share of the reflectance: fibers, unevenness, waves.
        rng: decides the texture.

    Returns:
        float32, shape (height, width, 3).
    """
    size = max(shape)
    shades = np.ones(shape, np.float32)
    if texture:
        # Half of the variance lies in fibers, a quarter each in flocks and in waves of the sheet.
        parts = ((0.7, 0.71), (0.008 * size, 0.5), (0.12 * size, 0.5))
        for sigma_px, weight in parts:
            shades += np.float32(texture * weight) * smooth_noise(shape, sigma_px, rng)
    if surface.smears:
        for sigma_px in (0.02 * size, 0.1 * size):
            shades += np.float32(surface.smears * 0.7) * smooth_noise(shape, sigma_px, rng)
    return np.clip(shades, 0.05, 2.0)[..., None] * np.array(surface.color, np.float32)


def rule(
    surface: FloatArray,
    view: View,
    *,
    darkness: float,
    height_px: float,
    baseline: float,
    pitch: float,
    left: float,
    rng: np.random.Generator,
) -> tuple[FloatArray, str]:
    """Print ruled lines (with a margin) or squares on a surface.

    Ruled lines stand where the rows do, as people write on them, or twice as close. Squares
    measure half to all of a digit's height, from 5 mm squares with digits over two of them to
    digits in one.

    Args:
        surface: float32, shape (height, width, 3), reflectance in the picture.
        view: where the flat page lies in the picture.
        darkness: light that a line takes, 0.0 to 1.0.
        height_px: of the digits.
        baseline, pitch: of the rows, in pixels of the flat page.
        left: where writing begins.
        rng: decides kind, spacing and color.

    Returns:
        The surface with lines, and their kind: "ruled" or "squared".
    """
    kind = "squared" if rng.random() < 0.5 else "ruled"
    color = np.array(_LINE_COLORS[int(rng.integers(len(_LINE_COLORS)))], np.float32)
    width = height_px * rng.uniform(0.02, 0.04)
    side = height_px * rng.uniform(0.5, 1.0)
    offset = height_px * rng.uniform(0.02, 0.12)
    closer = 2 if rng.random() < 0.5 else 1
    if kind == "ruled":
        covered = view.lines(1, baseline + offset, pitch / closer, width)
        margin = view.lines(0, left - 0.5 * height_px, 1e6, width)
        lost = covered[..., None] * color + margin[..., None] * np.array(_RED_MARGIN, np.float32)
    else:
        covered = np.maximum(
            view.lines(1, baseline + offset, side, width),
            view.lines(0, left + side * rng.random(), side, width),
        )
        lost = covered[..., None] * color
    return surface * np.clip(1 - np.float32(darkness) * lost, 0.05, 1.0), kind


def lay_on_desk(
    surface: FloatArray,
    view: View,
    sheet: tuple[float, float, float, float],
    *,
    rng: np.random.Generator,
) -> FloatArray:
    """Show a desk wherever the sheet does not reach, with the sheet's thin shadow on it.

    Args:
        surface: float32, shape (height, width, 3).
        view: where the flat page lies in the picture.
        sheet: (left, top, right, bottom) on the flat page.
        rng: decides the desk.
    """
    from PIL import Image

    height, width = surface.shape[:2]
    color = np.array(_DESKS[int(rng.integers(len(_DESKS)))], np.float32)
    # Grain runs from left to right: noise twenty times as long as it is broad.
    narrow = Image.fromarray(smooth_noise((height, width // 20 + 2), 1.2, rng))
    grain = np.asarray(narrow.resize((width, height), Image.Resampling.BICUBIC))
    desk = color * np.clip(1 + 0.12 * grain, 0.3, 2.0)[..., None]
    inside = view.distance_inside(sheet)
    rim = 0.006 * max(height, width)
    desk *= (1 - 0.5 * np.exp(np.minimum(inside, 0) / np.float32(rim)))[..., None]
    share = np.clip(inside + 0.5, 0.0, 1.0)[..., None]
    laid: FloatArray = (share * surface + (1 - share) * desk).astype(np.float32)
    return laid
