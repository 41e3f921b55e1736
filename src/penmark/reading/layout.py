"""Which marks stand in one line of writing, and in which order."""

from __future__ import annotations

import dataclasses

import numpy as np

from penmark.reading.filters import median
from penmark.reading.marks import Mark, usual_height

# Steepest line of writing, as rise over run: 24 degrees.
_STEEPEST = 0.45


@dataclasses.dataclass
class Line:
    """A line of writing.

    Args:
        marks: from left to right.
        slope: its rise over its run, in pixels downward for each pixel to the right.
        middle: height of its middle at x = 0.
        height: the usual height of its marks.
    """

    marks: list[Mark]
    slope: float
    middle: float
    height: float

    def distance(self, mark: Mark) -> float:
        """How far a mark's middle lies from the line's, in line heights."""
        x, y = mark.center
        return abs(y - self.middle - self.slope * x) / max(self.height, 1.0)


def find_lines(marks: list[Mark]) -> list[Line]:
    """Group marks into lines, top to bottom.

    Marks of a digit's height make the lines; smaller ones, such as the bar of a 5, then join the
    line they lie in.
    """
    if not marks:
        return []
    height = usual_height(marks)
    large = [mark for mark in marks if mark.height >= 0.5 * height]
    if not large:
        large = marks
    slope = _common_slope(large, height)
    large.sort(key=lambda mark: mark.center[1] - slope * mark.center[0])
    groups: list[list[Mark]] = []
    for mark in large:
        level = mark.center[1] - slope * mark.center[0]
        if groups:
            last = groups[-1]
            levels = [m.center[1] - slope * m.center[0] for m in last]
            usual = median([m.height for m in last])
            if level - float(np.mean(levels)) < 0.6 * max(usual, 0.7 * mark.height):
                last.append(mark)
                continue
        groups.append([mark])
    lines = [_fitted(group, slope) for group in groups]
    if len(lines) > 1:
        for _ in range(2):
            lines = _reassigned(large, lines, slope)
    _join_small([mark for mark in marks if not any(mark is m for m in large)], lines)
    for line in lines:
        line.marks.sort(key=lambda mark: mark.center[0])
    across = max(mark.right for mark in marks) / 2
    lines.sort(key=lambda line: line.middle + line.slope * across)
    return lines


def _common_slope(marks: list[Mark], height: float) -> float:
    """Median rise over run from each mark to its neighbor on the right."""
    x, y = np.array([mark.center for mark in marks]).T
    across, down = x[None, :] - x[:, None], y[None, :] - y[:, None]
    is_near = (across > 0.3 * height) & (across < 5 * height)
    is_near &= np.abs(down) < _STEEPEST * across + 0.15 * height
    own = np.flatnonzero(is_near.any(axis=1))
    if len(own) < 2:
        return 0.0
    neighbors = np.where(is_near, across, np.inf)[own].argmin(axis=1)
    slopes = down[own, neighbors] / across[own, neighbors]
    return float(np.clip(median(slopes), -_STEEPEST, _STEEPEST))


def _fitted(group: list[Mark], slope: float) -> Line:
    """A line through the middles of a group; its own slope where it has enough marks for one."""
    xs = np.array([mark.center[0] for mark in group])
    ys = np.array([mark.center[1] for mark in group])
    height = median([mark.height for mark in group])
    if len(group) >= 4 and float(np.ptp(xs)) > 4 * height:
        i, j = np.triu_indices(len(xs), 1)
        apart = np.abs(xs[i] - xs[j]) > height
        if apart.any():
            # Theil and Sen: the median slope of all pairs minds no outlier.
            own = median((ys[i] - ys[j])[apart] / (xs[i] - xs[j])[apart])
            slope = float(np.clip(own, slope - 0.15, slope + 0.15))
    return Line(list(group), slope, median(ys - slope * xs), height)


def _reassigned(marks: list[Mark], lines: list[Line], slope: float) -> list[Line]:
    groups: list[list[Mark]] = [[] for _ in lines]
    for mark in marks:
        nearest = min(range(len(lines)), key=lambda i: lines[i].distance(mark))
        groups[nearest].append(mark)
    return [_fitted(group, slope) for group in groups if group]


def _join_small(small: list[Mark], lines: list[Line]) -> None:
    for mark in small:
        line = min(lines, key=lambda line: line.distance(mark))
        if line.distance(mark) < 0.8:
            line.marks.append(mark)
