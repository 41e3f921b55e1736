"""A digit's ink as MNIST would show it: the one preparation for training, reading and the web.

Everything here is sums and products of small matrices with rounding spelled out, so that another
language gives the same 28×28 bytes.

Source of the convention: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning
applied to document recognition", Proceedings of the IEEE 86(11), 1998, section III.A: the digit's
aspect kept in a box of 20×20, anti-aliased, its center of mass in the middle of 28×28.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from penmark.data.dataset import UInt8Array
from penmark.errors import DataError

SIDE = 28
BOX = 20
# The center of mass of every MNIST image lies within half a pixel of pixel (14, 14).
CENTER = 14
# Fainter pixels, compared with the darkest ink, do not widen the box. MNIST's boxes are the same
# for anything from 0 to 24.
FAINTEST = 16 / 255
# Mean of ink weighted by ink: how saturated the strokes are. MNIST's least is 159, one image in a
# hundred has less than 187, the median is 217; strokes thinner than a pixel fall below all of them.
THIN, FAINT, TYPICAL = 159.0, 187.0, 217.0
# Products that differ in their last bit between machines must not be rounded apart at a half.
HALF = 0.5 + 1e-6


def prepare_digit(ink: UInt8Array) -> UInt8Array:
    """Bring one digit to MNIST's size, place and stroke.

    The ink is cropped, scaled so that its longer side is 20 pixels, and shifted by whole pixels
    until its center of mass lies in pixel (14, 14), as far as the box stays inside. Strokes that
    would come out thinner than MNIST's thinnest are widened and strengthened; others keep their
    width. An image of MNIST comes out as it went in, with very few exceptions.

    Args:
        ink: uint8, shape (height, width), of any size: 0 is paper, 255 is full ink. Without ink
            (or without pixels) the result is all 0.

    Returns:
        uint8, shape (28, 28).

    Raises:
        DataError: `ink` is not a two-dimensional array of uint8.
    """
    if not isinstance(ink, np.ndarray) or ink.ndim != 2 or ink.dtype != np.uint8:
        got = f"{ink.dtype} {ink.shape}" if isinstance(ink, np.ndarray) else type(ink).__name__
        raise DataError(f"a digit's ink must be a uint8 array (height, width); got {got}")
    field = np.zeros((SIDE, SIDE), np.uint8)
    digit = _cropped(ink)
    if digit.size == 0:
        return field
    # One pixel more on each side holds what little ink a scaled border pixel reaches out.
    small = _shrunk(digit, BOX)
    saturation = _saturation(small)
    if saturation < THIN:
        small = _strengthened(_widened(_shrunk(digit, BOX - 2), saturation), TYPICAL)
    else:
        small = small[1:-1, 1:-1]
        if saturation < FAINT:
            small = _strengthened(small, FAINT)
    pixels = np.floor(small + HALF).astype(np.uint8)
    top, left = (_start(pixels.sum(axis=axis, dtype=np.int64)) for axis in (1, 0))
    field[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return field


def prepare_digits(inks: Sequence[UInt8Array]) -> UInt8Array:
    """`prepare_digit` for each of many, in one array of shape (n, 28, 28). Raises DataError."""
    prepared = np.zeros((len(inks), SIDE, SIDE), np.uint8)
    for index, ink in enumerate(inks):
        prepared[index] = prepare_digit(ink)
    return prepared


def _cropped(ink: UInt8Array) -> UInt8Array:
    """The smallest rectangle with all but the faintest ink; of size 0 where there is none."""
    if ink.size == 0 or not ink.any():
        return ink[:0]
    # Integers: v > m * 16 / 255 for every whole v.
    visible = ink > int(ink.max() * FAINTEST)
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _shrunk(digit: UInt8Array, box: int) -> NDArray[np.float64]:
    """Scale so that the longer side is `box`, and one pixel more at each end; float64, 0 to 255."""
    longest = max(digit.shape)
    rows, columns = (scaling_weights(side, longest, box) for side in digit.shape)
    return rows @ digit.astype(np.float64) @ columns.T


@functools.lru_cache(maxsize=64)
def scaling_weights(given: int, longest: int, box: int) -> NDArray[np.float64]:
    """How much each given pixel of an axis counts in each scaled one.

    A triangle as wide as two scaled pixels, or two given ones where the image is enlarged; the
    middle of the axis stays its middle, and outside is paper. The last few are kept: pieces of the
    same writing, and the same writing a stroke later, have many sides in common.

    Args:
        given: pixels along the axis.
        longest: pixels along the longer axis, which become `box`.
        box: pixels wanted along the longer axis.

    Returns:
        float64, shape (ceil(given * box / longest) + 2, given): one more at each end. Read-only.
    """
    wanted = -(-given * box // longest) + 2
    step = longest / box  # given pixels for each scaled one
    reach = max(step, 1.0)
    # Centers of the scaled pixels, in given pixels, where pixel k spans k to k + 1.
    centers = (np.arange(wanted) + 0.5 - wanted / 2) * step + given / 2
    margin = int(reach) + 1
    positions = np.arange(-margin, given + margin) + 0.5
    weights = np.maximum(1 - np.abs(positions[None, :] - centers[:, None]) / reach, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    weights.flags.writeable = False
    return weights[:, margin : margin + given]


def _saturation(pixels: NDArray[np.float64]) -> float:
    return float((pixels * pixels).sum() / pixels.sum())


def _strengthened(pixels: NDArray[np.float64], wanted: float) -> NDArray[np.float64]:
    """Multiplied, and cut off at 255, so that the saturation comes near `wanted`."""
    return np.minimum(pixels * max(wanted / _saturation(pixels), 1.0), 255.0)


def _widened(thin: NDArray[np.float64], saturation: float) -> NDArray[np.float64]:
    """Blurred with (b, 1 - 2b, b) along both axes, more the thinner the strokes are."""
    b = 0.25 * min((THIN - saturation) / (0.2 * THIN), 1.0)
    wide = np.pad(thin, 1)
    wide = (1 - 2 * b) * wide[1:-1] + b * (wide[:-2] + wide[2:])
    return (1 - 2 * b) * wide[:, 1:-1] + b * (wide[:, :-2] + wide[:, 2:])


def _start(mass: NDArray[np.int64]) -> int:
    """Where to put an axis of the box so that its center of mass falls on pixel 14.

    Args:
        mass: int64, ink in each row or column.
    """
    total = int(mass.sum())
    moment = int((mass * np.arange(len(mass))).sum())
    start = (2 * (CENTER * total - moment) + total) // (2 * total)  # rounded, halves up
    return min(max(start, 0), SIDE - len(mass))
