"""How a page is lit: one lamp, shadows, the color of the light."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def illumination(
    shape: tuple[int, int],
    *,
    falloff: float,
    shadow: float,
    rng: np.random.Generator,
) -> FloatArray:
    """The light that reaches each pixel of the picture, 1.0 where it is brightest.

    Args:
        shape: (height, width) of the picture in pixels.
        falloff: light lost from the brightest to the darkest place, 0.0 to below 1.0.
        shadow: light lost in the depth of a shadow, 0.0 to below 1.0.
        rng: decides where lamp and shadow are.

    Returns:
        float32 of that shape.
    """
    height, width = shape
    y, x = np.ogrid[0:height, 0:width]
    y, x = y.astype(np.float32), x.astype(np.float32)
    light = _lamp(x, y, falloff, rng) if rng.random() < 0.65 else _flash(x, y, falloff)
    return light * (1 - np.float32(shadow) * _shadow(x, y, rng)) if shadow else light


def _lamp(x: FloatArray, y: FloatArray, falloff: float, rng: np.random.Generator) -> FloatArray:
    """A lamp above a point of the page: inverse square of the distance, cosine of incidence.

    At a distance r from that point the light is (1 + r²/h²)**-1.5 of what it is there, h being
    the height of the lamp; h follows from the falloff.
    """
    width, height = x.size, y.size
    foot_x, foot_y = rng.uniform(0.0, 1.0) * width, rng.choice([0.08, 0.92]) * height
    if rng.random() < 0.5:
        foot_x, foot_y = rng.choice([0.08, 0.92]) * width, rng.uniform(0.0, 1.0) * height
    square = (x - np.float32(foot_x)) ** 2 + (y - np.float32(foot_y)) ** 2
    steepness = ((1 - falloff) ** (-2 / 3) - 1) / float(square.max())
    lit: FloatArray = (1 + np.float32(steepness) * square) ** np.float32(-1.5)
    return lit


def _flash(x: FloatArray, y: FloatArray, falloff: float) -> FloatArray:
    """A flash beside the lens, and the lens's own vignetting: cos⁴ of the angle to its axis."""
    square = (x - x.size / np.float32(2)) ** 2 + (y - y.size / np.float32(2)) ** 2
    steepness = ((1 - falloff) ** -0.5 - 1) / float(square.max())
    lit: FloatArray = (1 + np.float32(steepness) * square) ** np.float32(-2)
    return lit


def _shadow(x: FloatArray, y: FloatArray, rng: np.random.Generator) -> FloatArray:
    """0.0 in the light, 1.0 in the shadow of a phone (a rounded box) or an arm (a capsule).

    The penumbra is as wide as a lamp of 10 to 20 cm at a meter makes it for something held 10 to
    40 cm above the page: 1 to 8 cm.
    """
    width, height = x.size, y.size
    size = math.hypot(width, height)
    angle = rng.uniform(0.0, 2 * math.pi)
    center = rng.uniform(0.25, 0.75, 2) * (width, height)
    penumbra = rng.uniform(0.01, 0.06) * size
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    along = cos * (x - np.float32(center[0])) + sin * (y - np.float32(center[1]))
    across = cos * (y - np.float32(center[1])) - sin * (x - np.float32(center[0]))
    if rng.random() < 0.5:
        half_length, half_width = 0.24 * size, 0.13 * size
        outside = np.hypot(
            np.maximum(np.abs(along) - np.float32(half_length), 0),
            np.maximum(np.abs(across) - np.float32(half_width), 0),
        )
        distance = outside - np.float32(0.03 * size)
    else:
        radius = rng.uniform(0.08, 0.16) * size
        distance = np.hypot(np.maximum(along, 0), across) - np.float32(radius)
    shade: FloatArray = 1 / (1 + np.exp(np.clip(distance / np.float32(penumbra / 2), -30, 30)))
    return shade


def color_gains(cast: float) -> NDArray[np.float32]:
    """Red, green and blue gains of light that lost a share of its blue, of unchanged luminance.

    Green loses 0.4 of what blue loses, as on the way from daylight to a lamp of 2700 K.
    """
    gains = np.array([1.0, 1.0 - 0.4 * cast, 1.0 - cast], np.float32)
    return gains / np.float32(gains @ LUMINANCE)


# Weights of linear red, green and blue (ITU-R BT.709).
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
