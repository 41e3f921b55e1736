"""What a camera finds beside digits: letters, ticks, lines, blobs, print, parts of digits.

They are the outliers of D. Hendrycks, M. Mazeika, T. Dietterich, "Deep anomaly detection with
outlier exposure", ICLR 2019: a network that is trained to find no class likely for them shows by a
low top probability that something is no digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from penmark.data.preparation import CENTER, SIDE
from penmark.recipes.strokes import draw
from penmark.recipes.typeset import glyphs

FloatArray = NDArray[np.float32]
UInt8Array = NDArray[np.uint8]
Int64Array = NDArray[np.int64]
Maker = Callable[[int, UInt8Array, Int64Array, np.random.Generator], FloatArray]

# Straight strokes from corner to corner of a grid of 5 rows and 3 columns, numbered row by row
# from 0 to 14. No letter that could be a digit is among them: no B, D, G, I, J, L, O, Q, S, U, Z.
_LETTERS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "A": ((1, 12), (1, 14), (6, 8)),
    "E": ((0, 12), (0, 2), (6, 8), (12, 14)),
    "F": ((0, 12), (0, 2), (6, 8)),
    "H": ((0, 12), (2, 14), (6, 8)),
    "K": ((0, 12), (2, 6), (6, 14)),
    "M": ((0, 12), (0, 7), (7, 2), (2, 14)),
    "N": ((0, 12), (0, 14), (14, 2)),
    "P": ((0, 12), (0, 2), (2, 8), (8, 6)),
    "R": ((0, 12), (0, 2), (2, 8), (8, 6), (6, 14)),
    "T": ((0, 2), (1, 13)),
    "V": ((0, 13), (13, 2)),
    "W": ((0, 12), (12, 7), (7, 14), (14, 2)),
    "X": ((0, 14), (2, 12)),
    "Y": ((0, 7), (2, 7), (7, 13)),
    "#": ((3, 5), (9, 11), (1, 12), (2, 13)),
    "+": ((6, 8), (4, 10)),
    "=": ((3, 5), (9, 11)),
    "%": ((2, 12), (0, 0), (14, 14)),
    "?": ((0, 2), (2, 5), (5, 7), (7, 10), (13, 13)),
    "<": ((2, 6), (6, 14)),
    "//": ((1, 12), (2, 13)),
    "u": ((6, 12), (12, 14), (8, 14)),
    "m": ((6, 12), (6, 7), (7, 13), (7, 8), (8, 14)),
    "h": ((0, 12), (6, 8), (8, 14)),
    "n": ((6, 12), (6, 8), (8, 14)),
}
_MOST_STROKES = 5
_GRID = np.array(
    [(4 + 5 * row, 8 + 6 * column) for row in range(5) for column in range(3)], np.float32
)


def make(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> UInt8Array:
    """Images of things that are no digits in random order: a third printed letters, the other
    kinds in equal parts.

    Args:
        count: how many.
        images: uint8, shape (n, 28, 28): digits to take parts of.
        labels: int64, shape (n,): which digits they are.
        rng: decides everything random.

    Returns:
        uint8, shape (count, 28, 28), light on black.
    """
    made = np.zeros((count, SIDE, SIDE), np.float32)
    kinds = rng.permutation(np.resize(_MIX, count))
    for name, kind in KINDS.items():
        chosen = np.flatnonzero(kinds == name)
        made[chosen] = kind(len(chosen), images, labels, rng)
    pixels: UInt8Array = np.clip(made + 0.5, 0, 255).astype(np.uint8)
    return pixels


def _letters(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    alphabet = np.full((len(_LETTERS), _MOST_STROKES, 4), np.nan, np.float32)
    for place, letter in enumerate(_LETTERS.values()):
        for number, (start, end) in enumerate(letter):
            alphabet[place, number] = *_GRID[start], *_GRID[end]
    strokes = alphabet[rng.integers(0, len(alphabet), count)]
    strokes += rng.normal(0, 0.8, strokes.shape).astype(np.float32)
    return 255 * draw(strokes, _pens(count, rng))


def _typeset(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    """Printed letters and signs."""
    return glyphs()[rng.integers(0, len(glyphs()), count)].astype(np.float32)


def _scribbles(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    """A pen that wanders: five to seven strokes in one line."""
    corners = rng.uniform(3, 25, (count, 8, 2)).astype(np.float32)
    strokes = np.concatenate([corners[:, :-1], corners[:, 1:]], axis=2)
    strokes[:, 5:][rng.random((count, 2)) < 0.5] = np.nan
    return 255 * draw(strokes, _pens(count, rng))


def _ticks(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    """Check marks: a short stroke down and a long one up, which leans more than a 1 does."""
    corner = rng.uniform((19, 8), (25, 13), (count, 2))
    start = corner - rng.uniform((4, 3), (11, 8), (count, 2))
    end = corner + rng.uniform((-21, 8), (-12, 14), (count, 2))
    strokes = np.stack([np.hstack([start, corner]), np.hstack([corner, end])], axis=1)
    return 255 * draw(strokes.astype(np.float32), _pens(count, rng))


def _lines(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    """Rules, corners, crosses, squared paper: level and upright lines, never one upright alone."""
    level, upright = np.full((2, count, 3, 4), np.nan, np.float32)
    for lines, least in ((level, 1), (upright, 0)):
        place = rng.uniform(3, 25, (count, 3)).astype(np.float32)
        tilt = rng.normal(0, 0.7, (2, count, 3)).astype(np.float32)
        start = rng.choice((-2.0, 4.0, 10.0), (count, 3))
        end = rng.choice((18.0, 24.0, 30.0), (count, 3))
        lines[:] = np.stack([place + tilt[0], start, place + tilt[1], end], axis=2)
        lines[np.arange(3) >= rng.integers(least, 4, count)[:, None]] = np.nan
    strokes = np.concatenate([level, upright[..., [1, 0, 3, 2]]], axis=1)
    return rng.uniform(120, 255, (count, 1, 1)).astype(np.float32) * draw(
        strokes, _pens(count, rng)
    )


def _blobs(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    """Stains and shadows: smooth noise above a threshold, hard or soft at the edge."""
    positions = np.arange(SIDE, dtype=np.float32)
    spread = rng.uniform(2.0, 5.0, (count, 1, 1))
    bells = np.exp(-(((positions[:, None] - positions) / spread) ** 2)).astype(np.float32)
    smooth = bells @ rng.standard_normal((count, SIDE, SIDE), dtype=np.float32) @ bells
    smooth /= smooth.std(axis=(1, 2), keepdims=True)
    smooth -= ((positions - CENTER) ** 2 + (positions[:, None] - CENTER) ** 2) / 150
    threshold = rng.uniform(-0.8, 0.6, (count, 1, 1)).astype(np.float32)
    hardness = rng.uniform(60, 600, (count, 1, 1)).astype(np.float32)
    stains: FloatArray = np.clip(hardness * (smooth - threshold), 0, 255)
    return stains


def _noise(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    """Grain of any density, an even gray, next to nothing."""
    normal = rng.standard_normal((count, SIDE, SIDE), dtype=np.float32)
    grain = normal * rng.uniform(0, 120, (count, 1, 1)) + rng.uniform(-150, 120, (count, 1, 1))
    coarse = rng.random(count) < 0.4
    grain[coarse] = grain[coarse][:, ::2, ::2].repeat(2, axis=1).repeat(2, axis=2)
    grain[rng.random(count) < 0.1] *= 0
    return np.clip(grain, 0, 255).astype(np.float32)


def _print(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    """Words and lines of small type: one to three rows of tight little strokes."""
    made = np.zeros((count, SIDE, SIDE), np.float32)
    rows = rng.integers(1, 4, count)
    for row in range(3):
        chosen = np.flatnonzero(rows > row)
        height = 22 / np.maximum(rows[chosen], 1.6)[:, None]
        top = 3 + row * height
        begin = rng.uniform(0, 5, (len(chosen), 1))
        step = rng.uniform(2.2, 4.5, (len(chosen), 1))
        column = begin + step * np.arange(11)
        low, high = rng.uniform(0.05, 0.85, (2, len(chosen), 11))
        low = np.where(rng.random(low.shape) < 0.5, 0.85, low)
        lean = rng.choice([0.0, 0.0, -0.8, 0.8], low.shape) * step
        strokes = np.stack([top + low * height, column, top + high * height, column + lean], 2)
        gaps = rng.random(low.shape) < 0.15
        strokes[gaps | (column > rng.uniform(14, 27, (len(chosen), 1)))] = np.nan
        ink = 255 * draw(strokes.astype(np.float32), rng.uniform(0.8, 1.8, len(chosen)))
        made[chosen] = np.maximum(made[chosen], ink)
    return made


def _parts(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    """The left or the right half of a digit; never of a 1, and never what is as narrow as one."""
    usable = np.flatnonzero(labels != 1)
    made: FloatArray = images[rng.choice(usable, count)].astype(np.float32)
    to_left = rng.random(count) < 0.5
    made[to_left] = made[to_left][..., ::-1]
    mass = made.sum(axis=1)
    share = np.cumsum(mass, axis=1) / np.maximum(mass.sum(axis=1, keepdims=True), 1)
    kept = share > rng.uniform(0.4, 0.6, (count, 1))
    made *= kept[:, None, :]
    made[to_left] = made[to_left][..., ::-1]
    columns = (made > 64).any(axis=1).sum(axis=1)
    height = (made > 64).any(axis=2).sum(axis=1)
    narrow = np.flatnonzero(columns < 0.45 * height)
    made[narrow] = _letters(len(narrow), images, labels, rng)
    return made


def _pairs(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    """Two digits side by side at half their size, as where a row was not taken apart."""
    chosen = images[rng.integers(0, len(images), (2, count))].astype(np.float32)
    small = chosen.reshape(2, count, SIDE // 2, 2, SIDE // 2, 2).max(axis=(3, 5))
    made = np.zeros((count, SIDE, SIDE), np.float32)
    top, half = SIDE // 4, SIDE // 2
    near = rng.integers(0, 4, count)
    for overlap in range(4):
        here = near == overlap
        left, right = slice(overlap, overlap + half), slice(half - overlap, SIDE - overlap)
        made[here, top : top + half, left] = small[0, here]
        made[here, top : top + half, right] = np.maximum(
            made[here, top : top + half, right], small[1, here]
        )
    return made


def _mergers(
    count: int, images: UInt8Array, labels: Int64Array, rng: np.random.Generator
) -> FloatArray:
    """Two digits, neither a 1, one partly over the other."""
    usable = np.flatnonzero(labels != 1)
    first, second = images[rng.choice(usable, (2, count))].astype(np.float32)
    made = np.zeros((count, SIDE, SIDE), np.float32)
    apart = rng.integers(4, 7, count)
    for shift in range(4, 7):
        here = apart == shift
        made[here, :, :-shift] = first[here, :, shift:]
        made[here, :, shift:] = np.maximum(made[here, :, shift:], second[here, :, :-shift])
    return made


def _pens(count: int, rng: np.random.Generator) -> FloatArray:
    """Widths of strokes, in pixels."""
    return rng.uniform(0.8, 3.6, count).astype(np.float32)


KINDS: Mapping[str, Maker] = {
    "letters": _letters,
    "typeset": _typeset,
    "scribbles": _scribbles,
    "ticks": _ticks,
    "lines": _lines,
    "blobs": _blobs,
    "noise": _noise,
    "print": _print,
    "parts": _parts,
    "pairs": _pairs,
    "mergers": _mergers,
}
# Text stands beside digits more often than all the rest.
_MIX = (*KINDS, *("typeset",) * 4)
