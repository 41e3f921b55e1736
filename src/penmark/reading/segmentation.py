"""Which marks, or parts of marks, make one digit each: all likely ways are read, the best one wins.

Broken digits are several marks, touching digits are one; neither shows before reading. So wide or
doubtful marks are cut into pieces along paths of least ink, every run of neighboring pieces that
could be one digit is read by the network, and the runs are chosen that read best together.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11), 1998, section VI (heuristic over-segmentation).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from penmark.data.preparation import prepare_digits
from penmark.reading.layout import Line
from penmark.reading.marks import Mark, together

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
Classify = Callable[[UInt8Array], FloatArray]

# A mark this sure is one digit and is not cut, unless it is wider than a digit.
_SURE = 0.90
_MOST_PIECES = 8  # of one mark
_MOST_TOGETHER = 5  # pieces that make one digit
# In line heights.
_WIDEST_DIGIT = 1.35
_WIDEST_GAP = 0.28
_NARROW = 1.0
# What one more digit must bring, in probability for one line height of ink.
_PRICE_OF_A_CUT = 0.12
# Writing that runs up or down more than this is turned level before it is read.
_LEVEL = 0.06


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What may be one digit, as it was read.

    Args:
        mark: its ink.
        prepared: uint8, shape (28, 28).
        probabilities: float32, shape (10,).
        of_narrow: it was cut from a mark no wider than one digit: from digits that stand very
            close, or from a letter.
    """

    mark: Mark
    prepared: UInt8Array
    probabilities: FloatArray
    of_narrow: bool = False

    @property
    def probability(self) -> float:
        return float(self.probabilities.max())


@dataclasses.dataclass
class _Piece:
    """A mark or part of one; `whole` tells the pieces of one mark from those of another."""

    mark: Mark
    whole: int


def read_lines(lines: list[Line], classify: Classify) -> list[list[Candidate]]:
    """The digits of each line, from left to right.

    Args:
        lines: as from `find_lines`.
        classify: gives ten probabilities for each prepared image.
    """
    marks = [_stacked(line) for line in lines]
    slopes = [line.slope for line in lines]
    first = _read([mark for row in marks for mark in row], _each(slopes, marks), classify)
    wholes: list[list[Candidate]] = []
    pieces: list[list[_Piece]] = []
    for line, row in zip(lines, marks, strict=True):
        own, first = first[: len(row)], first[len(row) :]
        cut: list[_Piece] = []
        for whole, mark in enumerate(row):
            sure = own[whole].probability
            parts = _cut(mark, line.height) if _may_be_several(mark, line.height, sure) else [mark]
            cut += [_Piece(part, whole) for part in parts]
        wholes.append(own)
        pieces.append(cut)
    runs = [_runs(own, line.height) for own, line in zip(pieces, lines, strict=True)]
    # A run that holds one mark, all of it and no more, was read before its mark was cut.
    known = [{span: whole for whole, span in _spans(own).items()} for own in pieces]
    joined = [
        [together([piece.mark for piece in own[a:b]]) for a, b in row_runs if (a, b) not in spans]
        for own, row_runs, spans in zip(pieces, runs, known, strict=True)
    ]
    read = iter(_read([mark for row in joined for mark in row], _each(slopes, joined), classify))
    results: list[list[Candidate]] = []
    for line, own, row_pieces, row_runs, spans in zip(
        lines, wholes, pieces, runs, known, strict=True
    ):
        candidates = [own[spans[run]] if run in spans else next(read) for run in row_runs]
        results.append(_best(row_pieces, row_runs, candidates, line.height))
    return results


def _spans(pieces: list[_Piece]) -> dict[int, tuple[int, int]]:
    """For each mark the first of its pieces and the one after its last; they are neighbors."""
    spans: dict[int, tuple[int, int]] = {}
    for place, piece in enumerate(pieces):
        first, _ = spans.get(piece.whole, (place, place))
        spans[piece.whole] = first, place + 1
    return spans


def _each(slopes: list[float], rows: list[list[Mark]]) -> list[float]:
    return [slope for slope, row in zip(slopes, rows, strict=True) for _ in row]


def _read(marks: list[Mark], slopes: list[float], classify: Classify) -> list[Candidate]:
    inks = [_leveled(mark.ink, slope) for mark, slope in zip(marks, slopes, strict=True)]
    prepared = prepare_digits(inks)
    probabilities = classify(prepared)
    return [
        Candidate(mark, image, row)
        for mark, image, row in zip(marks, prepared, probabilities, strict=True)
    ]


def _leveled(ink: UInt8Array, slope: float) -> UInt8Array:
    """Turn the ink of slanted writing so that its line runs level."""
    if abs(slope) < _LEVEL:
        return ink
    angle = math.degrees(math.atan(slope))
    turned = Image.fromarray(ink).rotate(angle, Image.Resampling.BILINEAR, expand=True)
    return np.asarray(turned)


def _stacked(line: Line) -> list[Mark]:
    """The marks of a line, where those that stand over one another are one."""
    stacks: list[_Stack] = []
    for mark in sorted(line.marks, key=lambda mark: mark.x):
        for stack in stacks:
            if stack.takes(mark, line.height):
                stack.add(mark)
                break
        else:
            stacks.append(_Stack([mark], mark.x, mark.right, mark.height))
    stacked = [together(stack.marks) for stack in stacks]
    return sorted(stacked, key=lambda mark: mark.center[0])


@dataclasses.dataclass
class _Stack:
    """Marks that stand over one another, their left and right ends and the highest one's height."""

    marks: list[Mark]
    left: int
    right: int
    tallest: int

    def takes(self, mark: Mark, height: float) -> bool:
        """Whether a mark belongs here, in a line of this height."""
        overlap = min(self.right, mark.right) - max(self.left, mark.x)
        if overlap <= 0:
            return False
        narrow = min(self.right - self.left, mark.width)
        total = max(self.right, mark.right) - min(self.left, mark.x)
        both_tall = min(self.tallest, mark.height) > 0.6 * height
        return overlap > (0.85 if both_tall else 0.5) * narrow and total < 1.4 * height

    def add(self, mark: Mark) -> None:
        self.marks.append(mark)
        self.left, self.right = min(self.left, mark.x), max(self.right, mark.right)
        self.tallest = max(self.tallest, mark.height)


def _may_be_several(mark: Mark, height: float, sure: float) -> bool:
    if mark.width > 1.15 * max(mark.height, 0.7 * height):
        return True
    return sure < _SURE and mark.width > 0.45 * height and mark.height > 0.5 * height


def _cut(mark: Mark, height: float) -> list[Mark]:
    """Cut a mark along paths of least ink from top to bottom; one mark where there is no path."""
    paths = _paths(mark, height)
    if not paths:
        return [mark]
    columns = np.arange(mark.width)
    side = np.zeros(mark.ink.shape, np.int64)
    for path in paths:
        side += columns[None, :] >= path[:, None]
    parts = []
    for number in range(len(paths) + 1):
        ink = np.where(side == number, mark.ink, 0).astype(np.uint8)
        rows, spanned = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        if rows.size == 0:
            continue
        ink = ink[rows[0] : rows[-1] + 1, spanned[0] : spanned[-1] + 1]
        area = int((ink > 127).sum())
        if area == 0:
            continue
        x, y = mark.x + int(spanned[0]), mark.y + int(rows[0])
        parts.append(Mark(x, y, ink, area, mark.stroke, mark.darkness))
    return parts


def _paths(mark: Mark, height: float) -> list[NDArray[np.int64]]:
    """Cuts from left to right: for each row of the mark the first column right of the cut."""
    size = min(max(mark.height, 0.6 * height), 1.6 * height)
    step = 0.16 * size
    margin = 0.16 * size
    count = int((mark.width - 2 * margin) / step) + 1
    if mark.width < 0.35 * size or count < 1:
        return []
    shrink = max(1, mark.height // 48)
    cost = _pooled((mark.ink / 255).astype(np.float32), shrink)
    centers = np.linspace(margin, mark.width - margin, count)
    reach = 0.22 * size
    lows = np.maximum(0, ((centers - reach) / shrink).astype(np.int64))
    highs = np.minimum(cost.shape[1], ((centers + reach) / shrink).astype(np.int64) + 1)
    is_wide = highs - lows >= 2
    if not is_wide.any():
        return []
    totals, paths = _least_paths(cost, lows[is_wide], highs[is_wide])
    totals *= shrink
    paths = paths[:, np.minimum(np.arange(mark.height) // shrink, paths.shape[1] - 1)] * shrink
    # A path may cross two strokes, not more; among near ones the cheapest stays.
    kept: list[NDArray[np.int64]] = []
    for number in np.argsort(totals, kind="stable"):
        if totals[number] > 3.2 * max(mark.stroke, 1.5) + 2:
            break
        path = paths[number]
        if all(float(np.abs(path - other).mean()) > 0.1 * size for other in kept):
            kept.append(path)
        if len(kept) == _MOST_PIECES - 1:
            break
    kept.sort(key=lambda path: float(path.mean()))
    # Paths that cross each other are put in order row by row.
    return list(np.sort(np.array(kept), axis=0)) if kept else []


def _pooled(values: FloatArray, size: int) -> FloatArray:
    """Means of squares of `size` pixels."""
    if size == 1:
        return values
    height, width = values.shape
    padded = np.pad(values, ((0, -height % size), (0, -width % size)))
    rows, columns = padded.shape[0] // size, padded.shape[1] // size
    pooled: FloatArray = padded.reshape(rows, size, columns, size).mean(axis=(1, 3))
    return pooled


def _least_paths(
    cost: FloatArray, lows: NDArray[np.int64], highs: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The paths from the top row to the bottom row that meet least ink; moves aside cost a bit.

    Args:
        cost: float32, shape (rows, columns).
        lows, highs: int64, shape (paths,): the first column that each path may take, and the one
            after the last.

    Returns:
        The ink that each path meets, float64 of shape (paths,), and its column in each row, int64
        of shape (paths, rows).
    """
    count, rows, columns = len(lows), len(cost), int((highs - lows).max())
    places = np.arange(columns)
    costs = cost[:, np.minimum(lows[:, None] + places, cost.shape[1] - 1)].astype(np.float64)
    costs[:, places >= (highs - lows)[:, None]] = np.inf
    # A column beyond either side that no path takes.
    total = np.full((count, columns + 2), np.inf)
    total[:, 1:-1] = costs[0]
    choices = np.empty((3, count, columns))
    best = np.zeros((rows, count, columns), np.int64)
    for row in range(1, rows):
        choices[0] = total[:, 1:-1]
        np.add(total[:, :-2], 0.05, out=choices[1])
        np.add(total[:, 2:], 0.05, out=choices[2])
        np.argmin(choices, axis=0, out=best[row])
        np.add(choices.min(axis=0), costs[row], out=total[:, 1:-1])
    total = total[:, 1:-1]
    moves = np.array([0, -1, 1])[best]
    # From the middle out, so that a free way is taken where it lies nearest to the middle.
    middles = (highs - lows - 1)[:, None] / 2
    every = np.arange(count)
    column = (total + np.abs(places - middles) * 1e-6).argmin(axis=1)
    least = total[every, column]
    paths = np.zeros((count, rows), np.int64)
    for row in range(rows - 1, -1, -1):
        paths[:, row] = column
        column = column + moves[row, every, column]
    return least, paths + lows[:, None]


def _runs(pieces: list[_Piece], height: float) -> list[tuple[int, int]]:
    """Runs (first, after last) of neighboring pieces that could be one digit."""
    runs = []
    spans = _spans(pieces)
    for first in range(len(pieces)):
        left, right = pieces[first].mark.x, pieces[first].mark.right
        runs.append((first, first + 1))
        for after in range(first + 2, min(first + _MOST_TOGETHER, len(pieces)) + 1):
            last = pieces[after - 1]
            gap = last.mark.x - right
            left, right = min(left, last.mark.x), max(right, last.mark.right)
            same = last.whole == pieces[after - 2].whole
            if (gap > _WIDEST_GAP * height and not same) or right - left > _WIDEST_DIGIT * height:
                break
            if not same and _both_whole(pieces[first:after], height):
                break
            runs.append((first, after))
        whole = spans[pieces[first].whole]
        if whole[0] == first and whole not in runs[-_MOST_TOGETHER:]:
            runs.append(whole)
    return runs


def _both_whole(pieces: list[_Piece], height: float) -> bool:
    """Whether two separate marks of a digit's height stand side by side: never one digit."""
    tall = {piece.whole for piece in pieces if piece.mark.height > 0.75 * height}
    return len(tall) > 1


def _best(
    pieces: list[_Piece], runs: list[tuple[int, int]], read: list[Candidate], height: float
) -> list[Candidate]:
    """The runs that cover all pieces and read best, weighted by how much ink they hold."""
    best = [0.0] + [-math.inf] * len(pieces)
    chosen = [-1] * (len(pieces) + 1)
    for number in sorted(range(len(runs)), key=lambda number: runs[number]):
        first, after = runs[number]
        ink = sum(piece.mark.area for piece in pieces[first:after])
        strokes = ink / max(pieces[first].mark.stroke, 1.0) / max(height, 1.0)
        # A stroke as long as the line is high weighs 1.
        value = best[first] + strokes * read[number].probability - _PRICE_OF_A_CUT
        if value > best[after]:
            best[after], chosen[after] = value, number
    found = []
    spans = _spans(pieces)
    after = len(pieces)
    while after > 0:
        first = runs[chosen[after]][0]
        of_narrow = _is_cut_from_narrow(pieces, spans, first, after, height)
        found.append(dataclasses.replace(read[chosen[after]], of_narrow=of_narrow))
        after = first
    return found[::-1]


def _is_cut_from_narrow(
    pieces: list[_Piece],
    spans: dict[int, tuple[int, int]],
    first: int,
    after: int,
    height: float,
) -> bool:
    """Whether a run holds a part, not all, of a mark no wider than a digit."""
    for start, end in {spans[piece.whole] for piece in pieces[first:after]}:
        width = pieces[end - 1].mark.right - pieces[start].mark.x
        if not (first <= start and end <= after) and width <= _NARROW * height:
            return True
    return False
