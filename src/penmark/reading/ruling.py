"""Ruled and squared paper: find the printed lines and take them away, strokes across them stay.

Along a line the ink is thin: where a stroke crosses it, the ink reaches further up and down, and
those columns are left alone. That is how staff lines are taken out of scanned music.

Source of the method: I. Fujinaga, "Staff detection and removal", in "Visual Perception of Music
Notation", 2004; the line is followed piece by piece, so that perspective and curled paper do no
harm.
"""

from __future__ import annotations

import bisect
import dataclasses

import numpy as np
from numpy.typing import NDArray

from penmark.reading.filters import maximum_down, median, median_filter1d, opening_down
from penmark.reading.ink import Ink

Mask = NDArray[np.bool_]

# A picture narrower than this shows too little of a line to tell it from a stroke.
_LEAST_SIDE = 120
_STRIPS = 64
# Share of a strip's columns that a line's piece covers.
_COVERAGE = 0.8
# Steepest line, as rise over run.
_STEEPEST = 0.25
# A line may be hidden for this share of the picture, and must show on these.
_LONGEST_GAP = 0.2
_LEAST_SHOWN = 0.3
_LEAST_DENSITY = 0.5


@dataclasses.dataclass
class _Chain:
    """Pieces of one line: the strips they stand in, their height, and how thick the line is."""

    strips: list[int]
    rows: list[float]

    def expected(self, strip: int) -> float:
        """Where the line goes on."""
        recent = min(len(self.rows), 8)
        if recent < 3:
            return self.rows[-1]
        slope = (self.rows[-1] - self.rows[-recent]) / (self.strips[-1] - self.strips[-recent])
        return self.rows[-1] + slope * (strip - self.strips[-1])


def without_ruling(ink: Ink) -> Ink:
    """The ink without the printed lines of the paper; `ink` itself where there are none.

    Its darkness is 0 where they were: what is paler than they can be told from the paper again.
    """
    height, width = ink.mask.shape
    if min(height, width) < _LEAST_SIDE // 2 or max(height, width) < _LEAST_SIDE:
        return ink
    # Faint lines count too, also beside dark ink.
    dark = (ink.darkness > ink.least) | ink.mask
    across = _lines(dark)
    if not _is_ruling(across, width, height):
        return ink
    erased = _pixels_of(across, dark)
    down = _lines(np.ascontiguousarray(dark.T))
    if down:
        erased |= _pixels_of(down, np.ascontiguousarray(dark.T)).T
    return dataclasses.replace(
        ink,
        amount=np.where(erased, 0, ink.amount).astype(np.uint8),
        mask=ink.mask & ~erased,
        darkness=np.where(erased, 0, ink.darkness).astype(np.float32),
    )


def _is_ruling(lines: list[_Chain], width: int, height: int) -> bool:
    """Three lines are a ruling; fewer must run from border to border of a wide picture."""
    if len(lines) >= 3:
        return True
    through = [
        line for line in lines if line.strips[0] <= 1 and line.strips[-1] >= _strips(width) - 2
    ]
    return len(through) >= 2 or (len(through) == 1 and width >= 1.3 * height)


def _strips(width: int) -> int:
    return min(_STRIPS, max(12, width // 8))


def _thickest(width: int) -> int:
    return max(3, round(width / 220))


def _thin(dark: Mask, thickest: int) -> Mask:
    """What reaches at most `thickest` pixels up and down."""
    return dark & ~opening_down(dark, thickest + 1)


def _lines(dark: Mask) -> list[_Chain]:
    """Long thin lines that run more or less across."""
    width = dark.shape[1]
    count = _strips(width)
    span = width / count
    thin = _thin(dark, _thickest(width))
    slack = max(3, round(_STEEPEST * span / 2)) | 1
    near = maximum_down(thin, slack)
    starts = np.arange(count) * width // count
    coverage = np.add.reduceat(near, starts, axis=1, dtype=np.float32)
    coverage /= np.diff(starts, append=width)
    chains: list[_Chain] = []
    done: list[_Chain] = []
    gap = max(2, round(_LONGEST_GAP * count))
    reach = 2.0 + _STEEPEST * span
    peaks = [_peaks(coverage[:, strip]) for strip in range(count)]
    for strip, rows in enumerate(peaks):
        taken: set[int] = set()
        for chain in sorted(chains, key=lambda chain: -len(chain.rows)):
            if not rows:
                break
            target = chain.expected(strip)
            best = _nearest(rows, target)
            # Where a line should be is the less certain the longer it was hidden.
            allowed = reach * (1 + 0.15 * (strip - chain.strips[-1] - 1))
            if len(chain.rows) >= 6:
                allowed = min(allowed, 3.0 + 0.1 * span)
            if best not in taken and abs(rows[best] - target) <= allowed:
                chain.strips.append(strip)
                chain.rows.append(rows[best])
                taken.add(best)
        chains += [_Chain([strip], [row]) for i, row in enumerate(rows) if i not in taken]
        done += [chain for chain in chains if strip - chain.strips[-1] >= gap]
        chains = [chain for chain in chains if strip - chain.strips[-1] < gap]
    lines = [chain for chain in done + chains if _is_line(chain, count, span)]
    return [_extended(line, peaks, span) for line in lines]


def _nearest(rows: list[float], target: float) -> int:
    """Which of the rows, ascending and at least one, is nearest; the upper one of two."""
    after = bisect.bisect_left(rows, target)
    if after in (0, len(rows)):
        return max(0, after - 1)
    return after - 1 if target - rows[after - 1] <= rows[after] - target else after


def _extended(line: _Chain, peaks: list[list[float]], span: float) -> _Chain:
    """With the pieces that lie where the line goes on, however long digits hide it."""
    allowed = 3.0 + 0.1 * span
    for _ in range(2):
        step = 1 if line.strips[-1] >= line.strips[0] else -1
        for strip in range(line.strips[-1] + step, len(peaks) if step > 0 else -1, step):
            if not peaks[strip]:
                continue
            target = line.expected(strip)
            row = peaks[strip][_nearest(peaks[strip], target)]
            if abs(row - target) <= allowed:
                line.strips.append(strip)
                line.rows.append(row)
        line = _Chain(line.strips[::-1], line.rows[::-1])
    return line


def _peaks(coverage: NDArray[np.float64]) -> list[float]:
    """Middles of the stretches of rows that are covered."""
    covered = np.flatnonzero(coverage >= _COVERAGE)
    starts = covered[np.diff(covered, prepend=-2) > 1]
    ends = covered[np.diff(covered, append=len(coverage) + 1) > 1]
    middles: list[float] = ((starts + ends) / 2).tolist()
    return middles


def _is_line(chain: _Chain, count: int, span: float) -> bool:
    shown = len(chain.strips)
    extent = chain.strips[-1] - chain.strips[0] + 1
    if shown < _LEAST_SHOWN * count or shown < _LEAST_DENSITY * extent:
        return False
    strips, rows = np.array(chain.strips, float), np.array(chain.rows)
    bent = np.polyval(np.polyfit(strips, rows, 2), strips)
    return bool(np.sqrt(np.mean((rows - bent) ** 2)) <= 2.0 + 0.08 * span)


def _pixels_of(lines: list[_Chain], dark: Mask) -> Mask:
    """The pixels to take away."""
    height, width = dark.shape
    span = width / _strips(width)
    erased = np.zeros_like(dark)
    thickest = _thickest(width)
    thin = _thin(dark, thickest)
    for line in lines:
        centers = (np.array(line.strips) + 0.5) * span
        smooth = median_filter1d(np.array(line.rows), min(5, len(line.rows)))
        first = max(0, int(centers[0] - 2.5 * span))
        last = min(width, int(centers[-1] + 2.5 * span) + 1)
        columns = np.arange(first, last)
        rows = np.interp(columns, centers, smooth)
        # Beyond its ends a line goes on as it came.
        slope = (smooth[-1] - smooth[0]) / max(centers[-1] - centers[0], 1.0)
        rows += slope * np.minimum(columns - centers[0], 0)
        rows += slope * np.maximum(columns - centers[-1], 0)
        around = np.arange(-thickest - 2, thickest + 3)
        grid = np.clip(np.rint(rows).astype(int)[None, :] + around[:, None], 0, height - 1)
        own = thin[grid, columns[None, :]]
        thickness = median(own.sum(axis=0)[own.any(axis=0)]) if own.any() else 0.0
        taken = own & (own.sum(axis=0) <= 1.8 * thickness + 1)[None, :]
        # With a line goes the gray beside it, where no stroke starts.
        beside = maximum_down(taken, 3)
        taken |= beside & ~dark[grid, columns[None, :]]
        erased[grid[taken], np.broadcast_to(columns, grid.shape)[taken]] = True
    return erased
