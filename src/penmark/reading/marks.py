"""Marks: connected pieces of ink, and which of them cannot be part of a digit."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from penmark.reading.filters import Pieces, inner, label, maximum_filter, median
from penmark.reading.ink import Ink

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]

# No picture holds more digits; what has more pieces is noise, and the largest are kept.
_MOST_MARKS = 600
# Pictures up to this size show one digit, and no sheet with edges.
_ONE_DIGIT_PX = 64
# Where the ground under ink loses this share of its brightness, there ends a sheet; under something
# long a smaller share is enough.
_EDGE, _LONG_EDGE = 0.16, 0.08


@dataclasses.dataclass(frozen=True)
class Mark:
    """A piece of ink, or several taken together.

    Args:
        x, y: left and top in working pixels.
        ink: uint8, shape (height, width): its own ink, 0 elsewhere.
        area: pixels of certain ink.
        stroke: mean width of its strokes in pixels.
        darkness: mean of its ink, 0 to 1, before contrast was evened out.
        edge: how steeply the ground changes under most of it, 0 to 1.
        sharpness: share of its darkness that its rim gains within a pixel.
    """

    x: int
    y: int
    ink: UInt8Array
    area: int
    stroke: float
    darkness: float
    edge: float = 0.0
    sharpness: float = 1.0

    @property
    def width(self) -> int:
        return int(self.ink.shape[1])

    @property
    def height(self) -> int:
        return int(self.ink.shape[0])

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def length(self) -> float:
        """How far the pen went, in pixels."""
        return self.area / max(self.stroke, 1.0)

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.x, self.y, self.width, self.height

    @property
    def center(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2


def together(marks: list[Mark]) -> Mark:
    """Several marks as one."""
    if len(marks) == 1:
        return marks[0]
    x, y = min(mark.x for mark in marks), min(mark.y for mark in marks)
    right, bottom = max(mark.right for mark in marks), max(mark.bottom for mark in marks)
    ink = np.zeros((bottom - y, right - x), np.uint8)
    for mark in marks:
        part = ink[mark.y - y : mark.bottom - y, mark.x - x : mark.right - x]
        np.maximum(part, mark.ink, out=part)
    area = sum(mark.area for mark in marks)
    return Mark(
        x,
        y,
        ink,
        area,
        sum(mark.stroke * mark.area for mark in marks) / area,
        sum(mark.darkness * mark.area for mark in marks) / area,
    )


def find_marks(ink: Ink) -> list[Mark]:
    """The connected pieces of certain ink, specks left out, largest first."""
    pieces = label(ink.mask)
    longest = max(ink.mask.shape)
    least = max(3, round((longest / 500) ** 2))
    order = np.argsort(-pieces.areas, kind="stable")[:_MOST_MARKS]
    return [_mark(ink, pieces, n) for n in order.tolist() if pieces.areas[n] >= least]


def _mark(ink: Ink, pieces: Pieces, index: int) -> Mark:
    """One piece, with the paler ink of its rim."""
    rim = 2
    first_row, last_row, first_column, last_column = pieces.boxes[index].tolist()
    top, left = max(0, first_row - rim), max(0, first_column - rim)
    around = slice(top, last_row + rim), slice(left, last_column + rim)
    crop = pieces.labels[around]
    own = crop == index + 1
    area = int(pieces.areas[index])
    grown = maximum_filter(own, 2 * rim + 1) & (own | (crop == 0))
    amount = ink.amount[around] * grown
    outline = own & ~inner(own)
    values = ink.darkness[around]
    darkness = float(values[own].mean())
    if ink.edges is None:
        edge, sharpness = 0.0, 1.0
    else:
        edge = _median_edge(ink.edges, ink.mask.shape, own, (top, left))
        sharpness = _sharpness(values, outline, darkness)
    rows = np.flatnonzero(amount.any(axis=1))
    columns = np.flatnonzero(amount.any(axis=0))
    trimmed = amount[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    stroke = 2 * area / max(1, int(np.count_nonzero(outline)))
    x, y = left + int(columns[0]), top + int(rows[0])
    return Mark(x, y, trimmed, area, stroke, darkness, edge, sharpness)


def _sharpness(values: FloatArray, outline: Mask, darkness: float) -> float:
    """The share of its darkness that a mark's outline gains within a pixel."""
    if min(values.shape) <= 1:
        return 1.0
    down_slope, across_slope = (np.gradient(values, axis=axis)[outline] for axis in (0, 1))
    return median(np.hypot(down_slope, across_slope)) / max(darkness, 1e-6)


def _median_edge(
    edges: FloatArray, shape: tuple[int, ...], own: Mask, start: tuple[int, int]
) -> float:
    """How steeply the ground changes under most of a mark that begins at `start` of a picture."""
    rows, columns = np.nonzero(own)
    step = max(1, len(rows) // 200)
    down, across = (a / b for a, b in zip(edges.shape, shape, strict=True))
    under = edges[
        ((rows[::step] + start[0]) * down).astype(int),
        ((columns[::step] + start[1]) * across).astype(int),
    ]
    return median(under)


def digit_marks(marks: list[Mark], shape: tuple[int, int]) -> list[Mark]:
    """Without frames, edges of the sheet, long lines, faint shades and specks.

    Args:
        marks: as from `find_marks`.
        shape: height and width of the picture.
    """
    if max(shape) > _ONE_DIGIT_PX:
        marks = [mark for mark in marks if mark.edge < _EDGE and not _is_edge(mark, shape)]
    if not marks:
        return []
    marks = [mark for mark, frame in zip(marks, _frames(marks, shape), strict=True) if not frame]
    if not marks:
        return []
    # Texture and shadows are paler and softer than ink, however much of them there is.
    lengths = [mark.length for mark in marks]
    darkness = weighted_quantile([mark.darkness for mark in marks], lengths, 0.75)
    sharpness = weighted_quantile([mark.sharpness for mark in marks], lengths, 0.75)
    marks = [
        mark
        for mark in marks
        if mark.darkness > 0.35 * darkness and mark.sharpness > 0.35 * sharpness
    ]
    if not marks:
        return []
    height = usual_height([mark for mark in marks if mark.edge < _LONG_EDGE] or marks)
    return [
        mark
        for mark in marks
        if max(mark.width, mark.height) >= 0.12 * height
        and not _is_long_line(mark, height)
        and not (mark.edge > _LONG_EDGE and max(mark.width, mark.height) > 1.5 * height)
    ]


def usual_height(marks: list[Mark]) -> float:
    """The height of what most of the ink belongs to."""
    return weighted_quantile(
        [float(max(mark.height, mark.width / 2)) for mark in marks],
        [mark.length for mark in marks],
        0.5,
    )


def weighted_quantile(values: list[float], weights: list[float], share: float) -> float:
    """The value below which this share of the weights lies."""
    order = np.argsort(values)
    reached = np.cumsum(np.asarray(weights)[order])
    return float(np.asarray(values)[order][np.searchsorted(reached, reached[-1] * share)])


def _is_edge(mark: Mark, shape: tuple[int, int]) -> bool:
    """Ground beside the sheet: at the border of the picture, and long or solid."""
    height, width = shape
    sides = [mark.x <= 1, mark.y <= 1, mark.right >= width - 1, mark.bottom >= height - 1]
    if not any(sides):
        return False
    length = max(mark.width, mark.height)
    is_solid = mark.stroke > 0.25 * length and length > 0.05 * max(shape)
    along_x = (sides[1] or sides[3]) and mark.width > 0.6 * width and mark.height < 0.3 * height
    along_y = (sides[0] or sides[2]) and mark.height > 0.6 * height and mark.width < 0.2 * width
    # A crop as tight as its digit touches opposite sides; nothing else is in such a picture.
    is_tight = sum(sides) >= 3
    return is_solid or ((along_x or along_y) and not is_tight)


def _frames(marks: list[Mark], shape: tuple[int, int]) -> Mask:
    """Which marks have other marks of some size inside their boxes: bool, shape (marks,)."""
    x, y, width, height = np.array([mark.box for mark in marks]).T
    area = np.array([mark.area for mark in marks])
    stroke = np.array([mark.stroke for mark in marks])
    right, bottom = x + width, y + height
    touching = (x <= 1) * 1 + (y <= 1) + (right >= shape[1] - 1) + (bottom >= shape[0] - 1)
    # Down the marks that may be frames, across those that may stand inside.
    frame = np.s_[:, None]
    across, down = x + width / 2, y + height / 2
    inside = (
        (x[frame] < across)
        & (across < right[frame])
        & (y[frame] < down)
        & (down < bottom[frame])
        & (height > 0.06 * height[frame])
        & (height < 0.6 * height[frame])
        & (area < area[frame])
        & ((stroke > 0.3 * stroke[frame]) | (touching[frame] >= 2))
    )
    enclosing: Mask = inside.sum(axis=1) >= np.where(touching >= 2, 1, 3)
    return enclosing


def _is_long_line(mark: Mark, height: float) -> bool:
    """A line that lies: a dash under or between the digits. Standing lines may be a 1."""
    return (
        mark.width > 1.5 * height
        and mark.height < 0.25 * mark.width
        and (mark.stroke > 0.3 * mark.height or mark.height < 0.12 * mark.width)
    )
