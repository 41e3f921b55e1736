"""Digits in rows: where each one stands, and how close to its neighbor."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from penmark.errors import DataError
from penmark.reading.pages.strokes import draw_digit

FloatArray = NDArray[np.float32]
Bounds = tuple[int, int, int, int]  # left, top, right, bottom; the last two exclusive

MAX_ROWS = 8
MAX_DIGITS_IN_ROW = 12
# A page stays below about this size, so that the largest digits come in few and short rows.
_WIDTH_PX, _HEIGHT_PX = 1500, 1200
# How far to look up and down for the neighbor's ink, as a share of the digit height: people keep
# digits apart as shapes, and do not let the foot of one slip under the arm of the next.
_KERNING = 0.3


@dataclasses.dataclass(frozen=True, eq=False)
class Patch:
    """Something drawn, and where.

    Args:
        coverage: float32, shape (height, width), 0.0 to 1.0.
        left, top: of its first pixel, in pixels of the flat page.
    """

    coverage: FloatArray
    left: int
    top: int

    @property
    def bounds(self) -> Bounds:
        """(left, top, right, bottom), right and bottom exclusive."""
        height, width = self.coverage.shape
        return self.left, self.top, self.left + width, self.top + height

    def outline(self) -> NDArray[np.float64]:
        """Corners of the pixels at both ends of each row of ink: their convex hull is the ink's.

        Returns:
            float64, shape (n, 2): x, y on the flat page.
        """
        inked = self.coverage >= 0.5 * self.coverage.max()
        rows = np.flatnonzero(inked.any(axis=1))
        first = inked[rows].argmax(axis=1)
        last = inked.shape[1] - inked[rows][:, ::-1].argmax(axis=1)
        columns = np.concatenate([first, last, first, last]) + self.left
        return np.stack([columns, np.concatenate([rows, rows, rows + 1, rows + 1]) + self.top], 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A row of digits.

    Args:
        digits: from left to right.
        labels: as many, 0 to 9.
        baseline: where the row's digits stand at its left end, in pixels of the flat page.
    """

    digits: tuple[Patch, ...]
    labels: tuple[int, ...]
    baseline: float

    @property
    def text(self) -> str:
        return "".join(map(str, self.labels))

    @property
    def right(self) -> int:
        return max(patch.bounds[2] for patch in self.digits)


@dataclasses.dataclass(frozen=True)
class Writing:
    """How somebody writes.

    Args:
        height_px: of the digits.
        gap: from ink to ink, as a share of the height; negative overlaps.
        unevenness: standard deviation of the heights, as a share of the height; baselines wander
            by half of it, digits turn by 50° times it and rows by 20° times it.
        slant_degrees: lean to the right.
        pen_width: stroke width as a share of the height; None for the digits' own.
    """

    height_px: float
    gap: float
    unevenness: float
    slant_degrees: float
    pen_width: float | None


def write_rows(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    writing: Writing,
    *,
    rng: np.random.Generator,
) -> list[Row]:
    """Write 1 to 8 rows of 1 to 12 digits; fewer where the digits are large.

    Args:
        images: uint8, shape (n, 28, 28), 0 = background.
        labels: integers, shape (n,), 0 to 9.
        writing: size, spacing and habits.
        rng: decides which digits, how many, and how they vary.

    Raises:
        DataError: an image that was drawn has no ink.
    """
    height = writing.height_px
    # Drawn first and always as many, so that pages of one seed keep their digits while one axis
    # changes how they are written.
    lengths = rng.integers(1, MAX_DIGITS_IN_ROW + 1, rng.integers(1, MAX_ROWS + 1))
    line_pitch = height * rng.uniform(1.5, 2.3)
    chosen = rng.choice(
        len(images),
        (MAX_ROWS, MAX_DIGITS_IN_ROW),
        replace=len(images) < MAX_ROWS * MAX_DIGITS_IN_ROW,
    )
    variation = rng.standard_normal((MAX_ROWS, MAX_DIGITS_IN_ROW, 4))
    indents = rng.uniform(0.0, 0.6, MAX_ROWS)
    slopes = rng.standard_normal(MAX_ROWS)
    at_most_rows = max(1, int(_HEIGHT_PX / line_pitch))
    at_most_digits = max(1, int(_WIDTH_PX / (height * (0.75 + max(0.0, writing.gap)))))
    rows = []
    for number, length in enumerate(lengths[:at_most_rows]):
        indices = chosen[number, : min(length, at_most_digits)]
        patches = _write_row(
            [images[index] for index in indices],
            writing,
            variation[number],
            left=height * indents[number],
            baseline=line_pitch * number,
            slope=math.tan(math.radians(20 * writing.unevenness * slopes[number])),
        )
        for index, patch in zip(indices, patches, strict=True):
            if not patch.coverage.any():
                raise DataError(f"image {index} has no ink; leave it out")
        rows.append(
            Row(tuple(patches), tuple(int(labels[i]) for i in indices), line_pitch * number)
        )
    return rows


def _write_row(
    images: Sequence[NDArray[np.uint8]],
    writing: Writing,
    variation: NDArray[np.float64],
    *,
    left: float,
    baseline: float,
    slope: float,
) -> list[Patch]:
    height = writing.height_px
    # Right edge of the ink so far, for each line of pixels around the baseline.
    above = int(2.5 * height)
    edge = np.full(above + int(1.5 * height), -np.inf)
    patches: list[Patch] = []
    for image, (size, shift, turn, gap) in zip(images, variation, strict=False):
        coverage = draw_digit(
            image,
            height_px=height * max(0.5, 1 + writing.unevenness * size),
            pen_width=writing.pen_width,
            slant_degrees=writing.slant_degrees,
            rotation_degrees=50 * writing.unevenness * turn,
        )
        position = left if not patches else patches[-1].bounds[2]
        drop = slope * (position - left) + writing.unevenness / 2 * height * shift
        top = int(round(drop)) - coverage.shape[0]
        lines = slice(above + top, above + top + coverage.shape[0])
        if patches:
            inked = coverage >= 0.5
            starts = np.where(inked.any(axis=1), inked.argmax(axis=1), np.inf)
            reach = ndimage.maximum_filter1d(edge, 1 + 2 * int(_KERNING * height))[lines]
            touching = (reach - starts).max()
            wanted = writing.gap * height * float(np.clip(1 + 0.2 * gap, 0.5, 1.5))
            # Nobody writes a digit under its neighbor.
            least = 0.5 * (patches[-1].left + patches[-1].bounds[2])
            position = max(touching + wanted if np.isfinite(touching) else position, least)
        x = int(round(position))
        patches.append(Patch(coverage, x, top + int(round(baseline))))
        inked = coverage >= 0.5
        ends = np.where(
            inked.any(axis=1), x + coverage.shape[1] - inked[:, ::-1].argmax(axis=1), -np.inf
        )
        edge[lines] = np.maximum(edge[lines], ends)
    return patches


def bounds_of(patches: Sequence[Patch]) -> Bounds:
    """(left, top, right, bottom) of what contains all of them."""
    edges = np.array([patch.bounds for patch in patches])
    low, high = edges.min(axis=0), edges.max(axis=0)
    return int(low[0]), int(low[1]), int(high[2]), int(high[3])


def lay_down(patches: Sequence[Patch], bounds: Bounds) -> FloatArray:
    """One layer with all patches on it; where two cover a pixel, the higher coverage counts.

    Args:
        patches: anywhere; what lies outside the bounds is cut off.
        bounds: (left, top, right, bottom) of the layer.

    Returns:
        float32, shape (bottom - top, right - left).
    """
    left, top, right, bottom = bounds
    layer = np.zeros((bottom - top, right - left), np.float32)
    for patch in patches:
        x, y, x_end, y_end = patch.bounds
        x_from, x_to = max(x, left), min(x_end, right)
        y_from, y_to = max(y, top), min(y_end, bottom)
        if x_from >= x_to or y_from >= y_to:
            continue
        place = layer[y_from - top : y_to - top, x_from - left : x_to - left]
        np.maximum(place, patch.coverage[y_from - y : y_to - y, x_from - x : x_to - x], out=place)
    return layer


def writing_from(
    values: Mapping[str, float],
    levels: Mapping[str, float],
    *,
    pen_width: float | None,
    rng: np.random.Generator,
) -> Writing:
    """The writing that axes' physical values ask for; which way it leans is drawn."""
    sign = 1 if rng.random() < 0.8 else -1  # most people lean to the right
    if levels.get("thinness", 0.0) > 0:
        pen_width = min(pen_width or 1.0, values["thinness"] / 100)
    small = levels.get("smallness", 0.0) > 0
    return Writing(
        height_px=values["smallness" if small else "largeness"],
        gap=values["spacing"] / 100,
        unevenness=values["unevenness"] / 100,
        slant_degrees=sign * values["slant"],
        pen_width=pen_width,
    )
