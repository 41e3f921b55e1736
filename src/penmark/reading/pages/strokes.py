"""A 28×28 digit as ink at any size: its outline redrawn, or its path drawn again by another pen."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float32]

# MNIST's digits fill a box of 20 pixels in their 28 (LeCun et al. 1998).
BOX_PX = 20
# A pixel's gray is the share of it that ink covered, so the outline runs where that is a half; a
# little lower keeps hairlines whole that are narrower than a pixel.
OUTLINE = 0.4
# The steps of MNIST's pixel grid are smoothed by this much: no pen makes them.
_SMOOTHING_PX = 0.35
# Small digits are drawn larger and averaged down: a stroke may be narrower than a pixel.
_SUPERSAMPLED_BELOW_PX = 64
# Large digits are drawn at about this height, then enlarged: the field behind them is smooth.
_DRAWN_UP_TO_PX = 90
# Path and distances are found on a grid so much finer than MNIST's.
_FINE = 4
# A junction of strokes is up to this many times as deep as a stroke.
_FILLED = 1.45
# Empty border around the ink, so that broad pens and smoothing stay inside, in MNIST pixels.
_BORDER = 3


def draw_digit(
    image: NDArray[np.uint8],
    *,
    height_px: float,
    pen_width: float | None = None,
    slant_degrees: float = 0.0,
    rotation_degrees: float = 0.0,
) -> FloatArray:
    """Draw a digit with smooth edges at any size.

    Without a pen width the digit's own outline is drawn: the gray values, which say how much of
    each pixel the ink covered, are interpolated by cubic convolution, and the curve where they
    pass a threshold is filled. With a pen width, the path of the pen (the skeleton of the ink) is
    stroked with a round pen. Either way a pixel's value is the share of it that ink covers, from
    the distance to the edge.

    Args:
        image: uint8, shape (28, 28), 0 = background.
        height_px: the height that MNIST's box of 20 pixels becomes.
        pen_width: width of the stroke as a share of that height; None keeps the digit's own.
        slant_degrees: lean to the right.
        rotation_degrees: turn, clockwise.

    Returns:
        float32, shape (height, width), 0.0 to 1.0, cut to where there is ink; all 0 for an image
        without ink.
    """
    factor = min(3, 1 + int(_SUPERSAMPLED_BELOW_PX / height_px)) if height_px < 64 else 1
    enlarged = max(1, round(height_px / _DRAWN_UP_TO_PX))
    scale = factor * height_px / enlarged / BOX_PX  # drawn pixels for each MNIST pixel
    shear, turn = math.tan(math.radians(slant_degrees)), math.radians(rotation_degrees)
    # (x, y) of the digit -> (x, y) of the drawing, both from the middle and in MNIST pixels.
    forward = np.array(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    ) @ np.array([[1.0, -shear], [0.0, 1.0]])
    if pen_width is None:
        field, fine = _gray(image), 1
    else:
        field, fine = _distance_to_path(image.tobytes()), _FINE
    corners = np.array([[x, y] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    reach = np.abs(corners * field.shape[::-1] / fine @ forward.T).max(axis=0) * scale
    width, height = (int(math.ceil(2 * extent / factor)) * factor for extent in reach)
    seen = _sample(field, np.linalg.inv(forward) * (fine / scale), (width, height), enlarged)
    if pen_width is None:
        slope = np.hypot(*np.gradient(seen))
        coverage = np.clip(0.5 + (seen - OUTLINE) / np.maximum(slope, 1e-3), 0.0, 1.0)
    else:
        depth_px = (pen_width * BOX_PX / 2 - seen) * (scale * enlarged)
        coverage = np.clip(0.5 + depth_px, 0.0, 1.0)
    if factor > 1:
        coverage = coverage.reshape(height // factor, factor, width // factor, factor)
        coverage = coverage.mean(axis=(1, 3))
    return _trimmed(coverage.astype(np.float32))


def _sample(
    field: FloatArray, backward: NDArray[np.float64], size: tuple[int, int], enlarged: int
) -> FloatArray:
    """A field seen through an affine map about its middle, then enlarged by a whole number.

    Args:
        field: float32, shape (height, width).
        backward: float64, shape (2, 2): (x, y) of the result -> (x, y) of the field.
        size: (width, height) of the result before it is enlarged.
        enlarged: how many times.
    """
    from PIL import Image

    # Beyond its edges the field goes on as it ends.
    margin = 2 + int(max(size) * float(np.abs(backward).sum(axis=1).max()) / 2)
    wide = np.pad(field, margin, mode="edge")
    offset = np.array(wide.shape[::-1]) / 2 - backward @ (np.array(size) / 2)
    affine = (*backward[0], offset[0], *backward[1], offset[1])
    seen = Image.fromarray(wide).transform(
        size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC
    )
    if enlarged > 1:
        seen = seen.resize((size[0] * enlarged, size[1] * enlarged), Image.Resampling.BICUBIC)
    return np.asarray(seen)


def _gray(image: NDArray[np.uint8]) -> FloatArray:
    """Gray values, 0.0 to 1.0, around the ink, without the steps of the pixel grid."""
    gray = np.pad(_trimmed((image / np.float32(255)).astype(np.float32)), _BORDER)
    smooth: FloatArray = ndimage.gaussian_filter(gray, _SMOOTHING_PX)
    return smooth


def _trimmed(coverage: FloatArray) -> FloatArray:
    inked = coverage > 0
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    if not rows.size:
        return coverage
    return coverage[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@functools.lru_cache(maxsize=4096)
def _distance_to_path(image: bytes) -> FloatArray:
    """Distance to the pen's path in MNIST pixels, on a grid `_FINE` times finer."""
    from PIL import Image

    side = math.isqrt(len(image))
    gray = _gray(np.frombuffer(image, np.uint8).reshape(side, side))
    size = (gray.shape[1] * _FINE, gray.shape[0] * _FINE)
    smooth = np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC))
    ink = smooth > OUTLINE
    path = thinned(ink)
    if not path.any():
        return np.full(smooth.shape, np.float32(side))
    # Where ink lies deeper than the stroke is broad, a loop was filled in. The pen's path would
    # leave it out, and make a C of a 6.
    depth = ndimage.distance_transform_edt(ink)
    path |= depth > _FILLED * np.median(depth[path])
    # A path on a grid has steps. Smoothing hides them, but rounds the valley of the distance,
    # |x| becoming sqrt(x² + 2 sigma²/pi) on average; taking that off restores a sharp path.
    sigma = 1.5
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(~path), sigma)
    sharp = np.sqrt(np.maximum(distance**2 - 2 / math.pi * sigma**2, 0.0)) / _FINE
    return np.asarray(sharp, np.float32)


def thinned(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The skeleton of a shape: lines one pixel wide that keep its topology.

    Args:
        ink: bool, shape (height, width).

    Source: Zhang and Suen, "A fast parallel algorithm for thinning digital patterns",
    Communications of the ACM 27, 1984.
    """
    shape = np.pad(ink, 1).astype(np.uint8)
    inner = shape[1:-1, 1:-1]
    passes = _removable()
    while True:
        before = np.count_nonzero(inner)
        for removable in passes:
            inner[removable[_neighborhood(shape)]] = 0
        if np.count_nonzero(inner) == before:
            return inner.astype(bool)


# P2 to P9 of the paper, clockwise from the neighbor above: bit i of a neighborhood's number.
_RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def _neighborhood(shape: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The eight neighbors of each pixel but the outermost, as a number of eight bits."""
    height, width = shape.shape
    code = np.zeros((height - 2, width - 2), np.uint8)
    for bit, (down, right) in enumerate(_RING):
        code |= shape[1 + down : height - 1 + down, 1 + right : width - 1 + right] << np.uint8(bit)
    return code


@functools.cache
def _removable() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each of the 256 neighborhoods, whether the first and the second pass remove a pixel."""
    ring = (np.arange(256)[:, None] >> np.arange(8)) & 1 == 1
    p2, p4, p6, p8 = ring[:, 0], ring[:, 2], ring[:, 4], ring[:, 6]
    neighbors = ring.sum(axis=1)
    rises = (~ring & np.roll(ring, -1, axis=1)).sum(axis=1)
    border = (neighbors >= 2) & (neighbors <= 6) & (rises == 1)
    first = border & ~(p2 & p4 & p6) & ~(p4 & p6 & p8)
    second = border & ~(p2 & p4 & p8) & ~(p2 & p6 & p8)
    return first, second
