"""Digits as people write them: fresh variations of the training images for every epoch.

Every variation ends as `penmark.data.preparation` would hand it to a network: the longer side 20
pixels, the center of mass in the middle of 28×28, but for the small errors that reading makes.

Sources: elastic deformation after P. Simard, D. Steinkraus, J. Platt, "Best practices for
convolutional neural networks applied to visual document analysis", ICDAR 2003, with a cubic
B-spline grid in place of blurred noise; what is no digit is trained toward equal probabilities
after D. Hendrycks, M. Mazeika, T. Dietterich, "Deep anomaly detection with outlier exposure",
ICLR 2019.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from penmark.data.preparation import BOX, CENTER, SIDE
from penmark.recipes.strokes import draw

FloatArray = NDArray[np.float32]
UInt8Array = NDArray[np.uint8]

# Enough to keep NumPy busy, few enough for the work arrays to stay in cache.
_CHUNK = 512
# Pixels between the knots of the elastic grid: strokes bend, but keep their joints.
_KNOT_SPACING_PX = 6.0
_KNOTS = 8
_POSITIONS = np.arange(SIDE, dtype=np.float32) - CENTER


@dataclasses.dataclass(frozen=True)
class Variation:
    """How far handwriting may stray; standard deviations where nothing else is said.

    Args:
        turn_degrees, shear, aspect: of the whole digit (shear and aspect as factors, 0 for none).
        elastic_px: of the elastic grid's knots.
        stroke: largest change of the stroke's width, 0 for none to 1 for a pixel and more.
        scale, shift_px: what reading gets wrong in size and place.
        soiled: share of the digits with remnants of lines, neighbors, or a side cut off.
        grain: share of the digits with blur, noise or weak ink.
    """

    turn_degrees: float
    shear: float
    aspect: float
    elastic_px: float
    stroke: float
    scale: float
    shift_px: float
    soiled: float
    grain: float


MILD = Variation(6.0, 0.10, 0.06, 0.55, 0.35, 0.03, 0.6, 0.0, 0.1)
STRONG = Variation(9.0, 0.16, 0.12, 0.85, 1.0, 0.06, 0.9, 0.45, 0.6)


def vary(images: UInt8Array, variation: Variation, rng: np.random.Generator) -> UInt8Array:
    """Write every digit anew, a little different.

    Args:
        images: uint8, shape (n, 28, 28), light ink on black.
        variation: how much.
        rng: decides everything random.

    Returns:
        uint8, shape (n, 28, 28).
    """
    varied = np.empty_like(images)
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        ink = _with_other_pen(images[part], variation.stroke, rng)
        ink = _bent(ink, variation, rng)
        if variation.soiled:
            _soil(ink, images, variation.soiled, rng)
        varied[part] = _as_photographed(ink, variation.grain, rng)
    return varied


def adorn(images: UInt8Array, digits: NDArray[np.int64], rng: np.random.Generator) -> None:
    """In place: give some digits the strokes that other schools teach and MNIST hardly has.

    A 1 gets a hook, a foot or both, a 7 a bar, a 0 a slash.

    Args:
        images: uint8, shape (n, 28, 28).
        digits: int64, shape (n,), 0 to 9.
        rng: decides everything random.
    """
    lots = rng.random(len(images))
    chosen = np.flatnonzero(
        ((digits == 1) & (lots < 0.15))
        | ((digits == 7) & (lots < 0.12))
        | ((digits == 0) & (lots < 0.05))
    )
    strokes = np.full((len(chosen), 2, 4), np.nan, np.float32)
    widths = np.full(len(chosen), 2.0, np.float32)
    for place, index in enumerate(chosen):
        ink = images[index] > 96
        rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        if len(rows) < 8:
            continue
        top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]
        height = bottom - top
        # Along a level row a stroke is about as many pixels wide as the pen.
        widths[place] = np.clip(np.median(ink[rows].sum(axis=1)) * 0.8, 1.2, 3.5)
        a, b, c = rng.uniform(-1, 1, 3)
        if digits[index] == 1:
            kind = rng.integers(3)
            if kind != 1 and right - left < height:
                start = np.flatnonzero(ink[top + 1])
                column = start.mean() if len(start) else (left + right) / 2
                drop, reach = height * (0.3 + 0.12 * a), height * (0.28 + 0.12 * b)
                strokes[place, 0] = top + 1, column, top + drop, column - reach
            if kind != 0:
                start = np.flatnonzero(ink[bottom - 1])
                column = start.mean() if len(start) else (left + right) / 2
                reach = height * (0.25 + 0.1 * c)
                strokes[place, 1] = bottom - 0.5, column - reach, bottom - 0.5 + a, column + reach
        elif digits[index] == 7:
            row = (top + bottom) / 2 + 1 + 1.5 * a
            stem = np.flatnonzero(ink[int(row)])
            if len(stem):
                reach = 4.5 + 1.5 * b
                strokes[place, 0] = row + c, stem.mean() - reach, row - c, stem.mean() + reach
        else:
            out = 1.5 * b
            strokes[place, 0] = bottom + out, left + 2 * a - out / 2, top - out, right + c + out / 2
    drawn = 255 * draw(strokes, widths)
    images[chosen] = np.maximum(images[chosen], drawn.astype(np.uint8))


def _with_other_pen(images: UInt8Array, most: float, rng: np.random.Generator) -> FloatArray:
    """Thinner or thicker strokes, shape (n, 28, 28), 0 to 255."""
    ink = images.astype(np.float32)
    if most == 0:
        return ink
    change = most * rng.uniform(-1, 1, (len(ink), 1, 1)).astype(np.float32)
    thicker = np.flatnonzero(change[:, 0, 0] > 0)
    ink[thicker] += change[thicker] * (_widened(ink[thicker]) - ink[thicker])
    thinner = np.flatnonzero(change[:, 0, 0] < 0)
    # Compared with the strongest ink nearby, a blurred stroke has its ridge at 1 whatever its
    # width; what lies below a threshold goes.
    blurred = _blurred(ink[thinner])
    ridge = blurred / np.maximum(_widened(_widened(blurred)), 1)
    threshold = -0.75 * change[thinner]
    ink[thinner] *= np.clip((ridge - threshold) / (1 - threshold) * 2.5, 0, 1)
    return ink


def _widened(ink: FloatArray) -> FloatArray:
    """The strongest ink of each pixel and its eight neighbors."""
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    rows = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    widened: FloatArray = np.maximum(np.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])
    return widened


def _blurred(ink: FloatArray) -> FloatArray:
    """With the binomial (1, 2, 1) / 4 along both axes."""
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    blurred: FloatArray = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) * np.float32(
        1 / 16
    )
    return blurred


def _bent(ink: FloatArray, variation: Variation, rng: np.random.Generator) -> FloatArray:
    """Turned, sheared, stretched and bent; then in size and place as preparation leaves it."""
    n = len(ink)
    matrix = _matrices(n, variation, rng)
    knots = rng.normal(0, variation.elastic_px, (2, n, _KNOTS, _KNOTS)).astype(np.float32)
    zero, one = np.zeros((n, 1), np.float32), np.ones((n, 1), np.float32)
    # A first look shows how large the result is and where its mass lies; 1.25 as much is seen.
    wide = np.float32(1.25)
    first = _sampled(ink, matrix, knots, wide * one, zero, zero, bilinear=False)
    size, rows, columns = _extent(first)
    scale = wide * size / BOX * np.exp(rng.normal(0, variation.scale, (n, 1)))
    # Preparation takes for a part of the digit what lies beside it, and leaves the digit smaller.
    misled = rng.random((n, 1)) < variation.soiled / 2
    scale[misled] *= rng.uniform(1, 1.4, int(misled.sum()))
    shift = rng.normal(0, variation.shift_px, (2, n, 1)) * scale
    return _sampled(
        ink,
        matrix,
        knots,
        scale.astype(np.float32),
        (wide * rows + shift[0]).astype(np.float32),
        (wide * columns + shift[1]).astype(np.float32),
        bilinear=True,
    )


def _matrices(n: int, variation: Variation, rng: np.random.Generator) -> FloatArray:
    """Inverse affine maps, shape (n, 2, 2), of determinant 1."""
    turn = np.deg2rad(rng.normal(0, variation.turn_degrees, n))
    shear = rng.normal(0, variation.shear, n)
    stretch = np.exp(rng.normal(0, variation.aspect, n))
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    sheared = np.array([[1 / stretch, np.zeros(n)], [shear, stretch]])
    matrices: FloatArray = np.einsum("ijn,jkn->nik", turned, sheared).astype(np.float32)
    return matrices


def _extent(ink: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Longer side of the ink's box and center of mass from the middle, shape (n, 1) each, px."""
    visible: NDArray[np.bool_] = np.asarray(ink > 64)
    sides = []
    for axis in (2, 1):
        line = np.any(visible, axis=axis)
        first = line.argmax(axis=1)
        last = SIDE - 1 - line[:, ::-1].argmax(axis=1)
        sides.append(np.where(line.any(axis=1), last - first + 1, BOX))
    size = np.maximum(*sides).astype(np.float32)[:, None]
    mass = np.maximum(ink.sum(axis=(1, 2)), 1)
    rows = (ink.sum(axis=2) @ _POSITIONS / mass)[:, None]
    columns = (ink.sum(axis=1) @ _POSITIONS / mass)[:, None]
    return size, rows, columns


def _sampled(
    ink: FloatArray,
    matrix: FloatArray,
    knots: FloatArray,
    scale: FloatArray,
    row_shift: FloatArray,
    column_shift: FloatArray,
    *,
    bilinear: bool,
) -> FloatArray:
    """Look up each pixel where the maps say it comes from; outside is paper.

    Args:
        ink: float32, shape (n, 28, 28).
        matrix: shape (n, 2, 2). knots: px, shape (2, n, knots, knots).
        scale, row_shift, column_shift: shape (n, 1), from the result's pixels to the plane on
            which matrix and knots work, both counted from pixel (14, 14).
        bilinear: False for the nearest pixel.
    """
    n = len(ink)
    rows = scale * _POSITIONS + row_shift
    columns = scale * _POSITIONS + column_shift
    across, down = _spline_weights(columns), _spline_weights(rows)
    places = []
    for axis in (0, 1):
        place = down @ knots[axis] @ across.transpose(0, 2, 1)
        place += (matrix[:, axis, 0, None] * rows)[:, :, None]
        place += (matrix[:, axis, 1, None] * columns)[:, None, :]
        place += CENTER + 1
        places.append(np.clip(place, 0, SIDE + 1))
    # A frame of paper around each image, and all of them in one row: one index finds a pixel.
    width = SIDE + 2
    flat = np.zeros(n * width * width + width + 1, np.float32)
    flat[: n * width * width].reshape(n, width, width)[:, 1:-1, 1:-1] = ink
    first = (np.arange(n) * width * width)[:, None, None]
    row, column = (np.floor(place) if bilinear else np.rint(place) for place in places)
    index = first + (row * width + column).astype(np.int32)
    if not bilinear:
        nearest: FloatArray = flat.take(index)
        return nearest
    down_share, right_share = places[0] - row, places[1] - column
    upper, lower = flat.take(index), flat.take(index + width)
    upper += right_share * (flat.take(index + 1) - upper)
    lower += right_share * (flat.take(index + width + 1) - lower)
    sampled: FloatArray = upper + down_share * (lower - upper)
    return sampled


def _spline_weights(positions: FloatArray) -> FloatArray:
    """Weight of each knot at each position: the cubic B-spline, shape (n, 28, knots)."""
    knots = (np.arange(_KNOTS, dtype=np.float32) - (_KNOTS - 1) / 2) * np.float32(_KNOT_SPACING_PX)
    t = np.abs((positions[:, :, None] - knots) * np.float32(1 / _KNOT_SPACING_PX))
    # (2 - t)^3 - 4 (1 - t)^3, each cube from 0 on, is the spline's two pieces in one.
    outer, inner = np.maximum(2 - t, 0), np.maximum(1 - t, 0)
    weights: FloatArray = (outer * outer * outer - 4 * (inner * inner * inner)) * np.float32(1 / 6)
    return weights


def _soil(ink: FloatArray, neighbors: UInt8Array, share: float, rng: np.random.Generator) -> None:
    """In place: remnants of ruled lines and of neighboring digits, specks, a side cut off."""
    n = len(ink)
    lot = rng.random(n) / share
    _draw_lines(ink, np.flatnonzero(lot < 0.4), rng)
    _add_neighbors(ink, np.flatnonzero((lot >= 0.3) & (lot < 0.65)), neighbors, rng)
    _add_specks(ink, np.flatnonzero((lot >= 0.6) & (lot < 0.8)), rng)
    _cut(ink, np.flatnonzero((lot >= 0.8) & (lot < 1)), rng)


def _draw_lines(ink: FloatArray, chosen: NDArray[np.intp], rng: np.random.Generator) -> None:
    """One or two thin straight lines, more likely near an edge, level or upright."""
    n = len(chosen)
    if n == 0:
        return
    lines = np.full((n, 2, 4), np.nan, np.float32)
    edge = np.where(rng.random((n, 2)) < 0.7, 1.0, 0.0)
    side = rng.choice([-1.0, 1.0], (n, 2))
    place = 13.5 + side * np.where(
        edge > 0, rng.uniform(9, 13.5, (n, 2)), rng.uniform(0, 9, (n, 2))
    )
    slope = rng.normal(0, 1.0, (n, 2))
    begin = np.where(rng.random((n, 2)) < 0.6, -2.0, rng.uniform(0, 14, (n, 2)))
    end = np.where(rng.random((n, 2)) < 0.6, 30.0, rng.uniform(14, 28, (n, 2)))
    level = np.stack([place - slope, begin, place + slope, end], axis=-1)
    upright = level[..., [1, 0, 3, 2]]
    lines[:] = np.where(rng.random((n, 1, 1)) < 0.7, level, upright)
    lines[rng.random(n) < 0.7, 1] = np.nan
    strength = rng.uniform(60, 255, (n, 1, 1)).astype(np.float32)
    drawn = strength * draw(lines, rng.uniform(0.6, 1.8, n).astype(np.float32))
    ink[chosen] = np.maximum(ink[chosen], drawn)


def _add_neighbors(
    ink: FloatArray, chosen: NDArray[np.intp], images: UInt8Array, rng: np.random.Generator
) -> None:
    """The edge of another digit, left or right (seldom above or below)."""
    reach = 4
    for index, other in zip(chosen, rng.integers(0, len(images), len(chosen)), strict=True):
        width = int(rng.integers(1, reach + 1))
        side = int(rng.choice(4, p=[0.4, 0.4, 0.1, 0.1]))
        digit = np.rot90(images[other], -(side // 2))
        columns = np.flatnonzero(digit.any(axis=0))
        if len(columns) == 0:
            continue
        place = ink[index] if side < 2 else ink[index].T
        if side % 2:
            strip, target = digit[:, columns[0] : columns[0] + width], slice(SIDE - width, SIDE)
        else:
            strip = digit[:, columns[-1] + 1 - width : columns[-1] + 1]
            target = slice(0, width)
        if strip.shape[1] < width:  # too near its own image's edge to give that much
            continue
        strip = np.roll(strip, int(rng.integers(-4, 5)), axis=0)
        place[:, target] = np.maximum(place[:, target], strip)


def _add_specks(ink: FloatArray, chosen: NDArray[np.intp], rng: np.random.Generator) -> None:
    """One to four dots and dashes anywhere."""
    n = len(chosen)
    if n == 0:
        return
    start = rng.uniform(0, SIDE, (n, 4, 2))
    specks = np.concatenate([start, start + rng.normal(0, 1.0, (n, 4, 2))], axis=2)
    specks[rng.random((n, 4)) < 0.5] = np.nan
    strength = rng.uniform(80, 255, (n, 1, 1)).astype(np.float32)
    drawn = strength * draw(specks.astype(np.float32), rng.uniform(0.6, 1.6, n).astype(np.float32))
    ink[chosen] = np.maximum(ink[chosen], drawn)


def _cut(ink: FloatArray, chosen: NDArray[np.intp], rng: np.random.Generator) -> None:
    """One side lost, at most an eighth of the digit."""
    for index, side, depth in zip(
        chosen, rng.integers(0, 4, len(chosen)), rng.integers(1, 4, len(chosen)), strict=True
    ):
        turned = np.rot90(ink[index], int(side))
        rows = np.flatnonzero(turned.any(axis=1))
        if len(rows):
            turned[rows[0] : rows[0] + int(depth)] = 0


def _as_photographed(ink: FloatArray, share: float, rng: np.random.Generator) -> UInt8Array:
    """Blur, weak or strong ink and noise on a share of the images each; as uint8."""
    lots = rng.random((3, len(ink))) < share * np.array([[0.5], [0.6], [0.35]])
    soft = np.flatnonzero(lots[0])
    amount = rng.uniform(0.2, 1.0, (len(soft), 1, 1)).astype(np.float32)
    ink[soft] += amount * (_blurred(ink[soft]) - ink[soft])
    toned = np.flatnonzero(lots[1])
    gain = np.exp(rng.uniform(np.log(0.55), np.log(1.7), (len(toned), 1, 1))).astype(np.float32)
    ink[toned] *= gain
    noisy = np.flatnonzero(lots[2])
    noise = rng.standard_normal((len(noisy), SIDE, SIDE), dtype=np.float32)
    noise *= rng.uniform(2, 24, (len(noisy), 1, 1)).astype(np.float32)
    # Preparation takes the paper away, so that more of the noise is left on the ink.
    noise *= np.where(ink[noisy] > 16, 1, rng.choice([0, 0.3, 1], (len(noisy), 1, 1)))
    ink[noisy] += noise
    pixels: UInt8Array = np.clip(ink + 0.5, 0, 255).astype(np.uint8)
    return pixels
