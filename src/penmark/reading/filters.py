"""The image filters that reading needs, in NumPy alone.

Importing an image library takes longer than reading a page with one, and the command line pays for
it at every start. Each function names what it equals in `scipy.ndimage`: floats to rounding,
anything else exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)
# A NumPy function of two arrays that gives one of their type.
Combine = Callable[..., Any]

# Pixels at a time: what is made of them on the way stays in the processor's cache.
_BAND = 1 << 15


def gaussian_filter(values: FloatArray, deviation: float) -> FloatArray:
    """Blur, as `gaussian_filter(values, deviation)`; around the picture it lies mirrored.

    Args:
        values: float32, shape (height, width).
        deviation: standard deviation in pixels; the Gaussian is cut off at four of them.
    """
    radius = int(4 * deviation + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    return _weighted(_weighted(values, weights, 0), weights, 1)


def _weighted(values: FloatArray, weights: FloatArray, axis: int) -> FloatArray:
    """The sum of each pixel and its neighbors along an axis, with weights that are symmetric."""
    radius = len(weights) // 2
    padded = np.pad(values, _along(axis, radius, radius), mode="symmetric")
    neighbors = sliding_window_view(padded, len(weights), axis)
    result = np.empty_like(values)
    rows = max(1, _BAND // values.shape[1])
    for top in range(0, len(values), rows):
        band = neighbors[top : top + rows]
        total = np.multiply(band[..., radius], weights[radius], out=result[top : top + rows])
        pair = np.empty_like(total)
        for k in range(radius):
            np.add(band[..., k], band[..., -1 - k], out=pair)
            pair *= weights[k]
            total += pair
    return result


def uniform_filter(values: FloatArray, size: int) -> FloatArray:
    """Means of squares, as `uniform_filter(values, size)`; around the picture it lies mirrored.

    Args:
        values: float32, shape (height, width).
        size: side of the square around each pixel, odd.
    """
    for axis in (0, 1):
        padded = np.pad(values, _along(axis, size // 2, size // 2), mode="symmetric")
        sums = np.pad(padded.cumsum(axis, dtype=np.float64), _along(axis, 1, 0))
        differences = sums[size:] - sums[:-size] if axis == 0 else sums[:, size:] - sums[:, :-size]
        values = (differences / size).astype(np.float32)
    return values


def mean_of_four(values: FloatArray) -> FloatArray:
    """Mean of each pixel, the ones above and to its left, and the one between those.

    As `uniform_filter(values, 2)`; around the picture its outermost pixels go on.

    Args:
        values: float32, shape (height, width).
    """
    padded = np.pad(values, ((1, 0), (1, 0)), mode="edge")
    pairs = (padded[:-1] + padded[1:]) * np.float32(0.5)
    means: FloatArray = (pairs[:, :-1] + pairs[:, 1:]) * np.float32(0.5)
    return means


def maximum_filter(values: NDArray[Scalar], size: int) -> NDArray[Scalar]:
    """The largest value of the square around each pixel, as `maximum_filter(values, size)`.

    Of a mask this is the dilation by a square: nothing is set beyond the border.

    Args:
        values: of any type, shape (height, width).
        size: side of the square in pixels, odd.
    """
    return _each_way(np.maximum, np.pad(values, size // 2, mode="edge"), size)


def minimum_filter(values: NDArray[Scalar], size: int) -> NDArray[Scalar]:
    """The least value of the square around each pixel, as `minimum_filter(values, size)`.

    Args:
        values, size: as for `maximum_filter`.
    """
    return _each_way(np.minimum, np.pad(values, size // 2, mode="edge"), size)


def closing(values: NDArray[Scalar], size: int) -> NDArray[Scalar]:
    """What is dark and narrower than a square filled up, as `grey_closing(values, (size, size))`.

    Here the outermost pixels go on around the picture.

    Args:
        values, size: as for `maximum_filter`.
    """
    around = np.pad(values, 2 * (size // 2), mode="edge")
    return _each_way(np.minimum, _each_way(np.maximum, around, size), size)


def maximum_down(mask: Mask, size: int) -> Mask:
    """Whether a pixel at most `size // 2` above or below is set, or the pixel itself.

    As `maximum_filter1d(mask, size, axis=0)`.

    Args:
        mask: bool, shape (height, width).
        size: pixels, odd.
    """
    return _running(np.logical_or, np.pad(mask, _along(0, size // 2, size // 2)), size)


def opening_down(mask: Mask, size: int) -> Mask:
    """What reaches at least `size` pixels up and down together: columns' runs as long as that.

    As `binary_opening(mask, np.ones((size, 1)))`.

    Args:
        mask: bool, shape (height, width).
        size: pixels.
    """
    starts = np.pad(mask, _along(0, size - 1, size - 1))
    return _running(np.logical_or, _running(np.logical_and, starts, size), size)


def _running(combine: Combine, values: NDArray[Scalar], size: int) -> NDArray[Scalar]:
    """`combine` over each `size` neighbors down, where all of them are there.

    Windows are put together from two that are half as long: the cost grows with the logarithm of
    the size. Source: R. van den Boomgaard, R. van Balen, "Methods for fast morphological image
    transforms using bitmapped binary images", CVGIP: Graphical Models and Image Processing 54,
    1992.
    """
    reach = 1
    while reach < size:
        step = min(reach, size - reach)
        values = combine(values[:-step], values[step:])
        reach += step
    return values


def _each_way(combine: Combine, values: NDArray[Scalar], size: int) -> NDArray[Scalar]:
    """`combine` over each square of `size` pixels, one axis after the other."""
    return _running(combine, _running(combine, values, size).T, size).T


def _along(axis: int, before: int, after: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """As `np.pad` takes it: so many pixels at the ends of an axis, none at those of the other."""
    return ((before, after), (0, 0)) if axis == 0 else ((0, 0), (before, after))


def median_of_nine(values: UInt8Array) -> UInt8Array:
    """Median of each pixel and its eight neighbors, as `median_filter(values, 3)`.

    Source: J. Smith, "Implementing median filters in XC4000E FPGAs", Xcell 23, 1996.

    Args:
        values: uint8, shape (height, width).
    """
    padded = np.pad(values, 1, mode="edge")
    low, middle, high = _sorted(padded[:-2], padded[1:-1], padded[2:])
    lows = np.maximum(np.maximum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    highs = np.minimum(np.minimum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    _, middles, _ = _sorted(middle[:, :-2], middle[:, 1:-1], middle[:, 2:])
    _, median, _ = _sorted(lows, middles, highs)
    return median


def _sorted(a: UInt8Array, b: UInt8Array, c: UInt8Array) -> tuple[UInt8Array, ...]:
    """Three arrays so that at each place the least comes first."""
    a, b = np.minimum(a, b), np.maximum(a, b)
    b, c = np.minimum(b, c), np.maximum(b, c)
    return np.minimum(a, b), np.maximum(a, b), c


def median_filter1d(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Median of each value and its neighbors, as `median_filter(values, size, mode="nearest")`.

    Args:
        values: float64, shape (n,).
        size: how many; of an even number one more comes before than after, and the upper of the
            two in the middle is taken.
    """
    padded = np.pad(values, (size // 2, (size - 1) // 2), mode="edge")
    medians: NDArray[np.float64] = np.sort(sliding_window_view(padded, size))[:, size // 2]
    return medians


def quantiles(values: NDArray[Any], shares: Sequence[float]) -> NDArray[np.float64]:
    """As `numpy.quantile(values, shares, axis=-1)`, which loads `numpy.ma` at its first call.

    Args:
        values: real numbers, none of them NaN, shape (..., n) with n at least 1.
        shares: between 0 and 1.

    Returns:
        float64, shape (shares, ...).
    """
    places = np.array(shares) * (values.shape[-1] - 1)
    lower = places.astype(np.intp)
    upper = np.minimum(lower + 1, values.shape[-1] - 1)
    ordered = np.partition(values, np.concatenate([lower, upper]), axis=-1)
    low, high = ordered[..., lower], ordered[..., upper]
    between: NDArray[np.float64] = low + (high - low) * (places - lower)
    return np.moveaxis(between, -1, 0)


def median(values: npt.ArrayLike) -> float:
    """Median of all values, as `numpy.median(values)`.

    Args:
        values: real numbers, at least one, none of them NaN.
    """
    return float(quantiles(np.ravel(values), (0.5,))[0])


def inner(mask: Mask) -> Mask:
    """Pixels that have all four neighbors, as `binary_erosion(mask)`; beyond is nothing.

    Args:
        mask: bool, shape (height, width).
    """
    padded = np.pad(mask, 1)
    kept: Mask = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return kept


@dataclasses.dataclass(frozen=True)
class Pieces:
    """The connected pieces of a mask, numbered from 1 in the order of their first pixels.

    Args:
        labels: int32, shape (height, width): the number of the piece, 0 where there is none.
        areas: int64, shape (pieces,): their pixels.
        boxes: int64, shape (pieces, 4): top, bottom, left, right; bottom and right are the first
            row and column without them.
    """

    labels: NDArray[np.int32]
    areas: IntArray
    boxes: IntArray


def label(mask: Mask) -> Pieces:
    """Pieces whose pixels touch by sides or corners, as `label(mask, np.ones((3, 3)))` numbers
    them and `find_objects` bounds them.

    Not pixels are joined but runs, the pixels of a row that are set without a gap.

    Source: L. He, Y. Chao, K. Suzuki, "A run-based two-scan labeling algorithm", IEEE Transactions
    on Image Processing 17, 2008.

    Args:
        mask: bool, shape (height, width).
    """
    height, width = mask.shape
    # All rows in one, an unset pixel before each and one at the end, so that every run ends.
    pitch = width + 1
    row = np.zeros(height * pitch + 1, np.bool_)
    row[:-1].reshape(height, pitch)[:, 1:] = mask
    changes = np.flatnonzero(row[1:] != row[:-1]) + 1
    starts, ends = changes[::2], changes[1::2]
    # The runs that touch a run from the row above are neighbors: from the first that ends late
    # enough to the last that starts early enough.
    first = np.searchsorted(ends, starts - pitch, "left")
    counts = np.searchsorted(starts, ends - pitch, "right") - first
    below = np.repeat(np.arange(len(starts)), counts)
    above = np.arange(len(below)) + np.repeat(first - np.cumsum(counts) + counts, counts)
    roots = _roots(len(starts), above, below)
    is_first = roots == np.arange(len(starts))
    numbers = np.cumsum(is_first)[roots] - 1
    lengths = ends - starts
    labels = np.zeros(row.shape, np.int32)
    labels[row] = np.repeat(numbers + 1, lengths)
    top, left = np.divmod(starts, pitch)
    boxes = np.stack([top, top + 1, left - 1, left - 1 + lengths], axis=1)
    merged = boxes[is_first]
    for side, combine in enumerate((np.minimum, np.maximum, np.minimum, np.maximum)):
        combine.at(merged[:, side], numbers, boxes[:, side])
    areas = np.bincount(numbers, lengths, len(merged)).astype(np.int64)
    return Pieces(labels[:-1].reshape(height, pitch)[:, 1:], areas, merged)


def _roots(count: int, above: IntArray, below: IntArray) -> IntArray:
    """For each of `count` nodes the least one that is connected to it.

    Each round hangs every tree below the least of the trees that it touches, and then every node
    directly below its root.

    Source: Y. Shiloach, U. Vishkin, "An O(log n) parallel connectivity algorithm", Journal of
    Algorithms 3, 1982.

    Args:
        count: number of nodes.
        above, below: int64, shape (edges,): the nodes that each edge connects.
    """
    parents = np.arange(count)
    while len(above):
        np.minimum.at(parents, np.maximum(above, below), np.minimum(above, below))
        while True:
            grandparents = parents[parents]
            if np.array_equal(grandparents, parents):
                break
            parents = grandparents
        above, below = parents[above], parents[below]
        apart = above != below
        above, below = above[apart], below[apart]
    return parents
