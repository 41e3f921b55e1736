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
from collections.abc import Callable, Sequence

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
# What a step aside adds to the cost of a cutting path: as much as one twentieth of a pixel of ink.
_STEP_ASIDE = 0.05
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
    reach = 0.22 * size
    windows: list[tuple[int, int]] = []
    for center in np.linspace(margin, mark.width - margin, count):
        low = max(0, int((center - reach) / shrink))
        high = min(cost.shape[1], int((center + reach) / shrink) + 1)
        if high - low >= 2:
            windows.append((low, high))
    if not windows:
        return []
    totals, paths = _least_paths(cost, windows)
    rows = np.minimum(np.arange(mark.height) // shrink, len(cost) - 1)
    totals, paths = totals * shrink, paths[:, rows] * shrink
    # A path may cross two strokes, not more; among near ones the cheapest stays.
    most = 3.2 * max(mark.stroke, 1.5) + 2
    kept: list[NDArray[np.int64]] = []
    for number in np.argsort(totals, kind="stable"):
        if totals[number] > most or len(kept) == _MOST_PIECES - 1:
            break
        path = paths[number]
        if not kept or float(np.abs(np.array(kept) - path).mean(axis=1).min()) > 0.1 * size:
            kept.append(path)
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
    cost: FloatArray, windows: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each window of columns the path from top to bottom that meets least ink.

    A step straight down costs nothing of its own, a step aside a bit. All windows are searched at
    once, row by row.

    Args:
        cost: float32, shape (rows, columns).
        windows: (first column, column after the last) of each, at least one.

    Returns:
        The cost of each path, float64 (windows,), and its column in each row, int64
        (windows, rows).
    """
    rows, count = len(cost), len(windows)
    lows, sizes = np.array([(low, high - low) for low, high in windows]).T[:, :, None]
    columns = np.arange(int(sizes.max()))
    inside = columns < sizes
    steps = np.where(inside, cost[:, np.minimum(lows + columns, cost.shape[1] - 1)], np.inf)
    # A column beyond either side that no path takes.
    total = np.full((rows, count, len(columns) + 2), np.inf)
    total[0, :, 1:-1] = steps[0]
    reached = np.empty((count, len(columns)))
    for row in range(1, rows):
        above = total[row - 1]
        np.minimum(above[:, :-2], above[:, 2:], out=reached)
        reached += _STEP_ASIDE
        np.minimum(reached, above[:, 1:-1], out=reached)
        np.add(reached, steps[row], out=total[row, :, 1:-1])
    from_left, from_right = total[:-1, :, :-2] + _STEP_ASIDE, total[:-1, :, 2:] + _STEP_ASIDE
    straight = total[:-1, :, 1:-1] <= np.minimum(from_left, from_right)
    moves = np.where(straight, 0, np.where(from_left <= from_right, -1, 1))
    last = total[-1, :, 1:-1]
    # From the middle out, so that a free way is taken where it lies nearest to the middle.
    ends = (last + np.abs(columns - (sizes - 1) / 2) * 1e-6).argmin(axis=1)
    paths = np.empty((count, rows), np.int64)
    for number, window_moves in enumerate(moves[::-1].transpose(1, 0, 2).tolist()):
        column = int(ends[number])
        path = [column]
        for row_moves in window_moves:
            column += row_moves[column]
            path.append(column)
        paths[number] = path[::-1]
    return last[np.arange(count), ends], paths + lows


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
