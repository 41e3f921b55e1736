"""Marks and the paths that cut them, beside plain references."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from penmark.reading.ink import Ink
from penmark.reading.marks import find_marks
from penmark.reading.segmentation import _least_paths

EIGHT = np.ones((3, 3), bool)


def drawn_ink(mask):
    """Ink of full strength within a paler rim that lies beyond the mask."""
    rim = ndimage.binary_dilation(mask, EIGHT, iterations=3)
    amount = np.where(mask, 255, np.where(rim, 90, 0)).astype(np.uint8)
    return Ink(amount, mask, amount / np.float32(255), 0.5, None)


@pytest.mark.parametrize("seed", range(6))
def test_a_mark_holds_its_ink_and_two_pixels_of_its_own_rim(seed):
    random = np.random.default_rng(seed)
    mask = ndimage.binary_dilation(random.random((40, 60)) > 0.985, EIGHT, iterations=2)
    mask[:4, :5] = True  # a mark in the corner has no rim beyond the border
    marks = find_marks(drawn_ink(mask))
    labels, count = ndimage.label(mask, EIGHT)
    assert len(marks) == count
    for mark in marks:
        row, column = np.argwhere(mark.ink == 255)[0]
        own = labels == labels[mark.y + row, mark.x + column]
        grown = ndimage.binary_dilation(own, EIGHT, iterations=2) & (own | (labels == 0))
        expected = np.where(grown, drawn_ink(mask).amount, 0)
        np.testing.assert_array_equal(mark.ink, expected[mark.y : mark.bottom, mark.x : mark.right])
        assert int((expected > 0).sum()) == int((mark.ink > 0).sum())
        outline = own & ~ndimage.binary_erosion(own)
        assert mark.area == own.sum()
        assert mark.stroke == 2 * own.sum() / outline.sum()
        assert (mark.edge, mark.sharpness) == (0.0, 1.0)


def least_path(cost):
    """One window by hand: every cell in turn, straight down before aside."""
    rows, columns = cost.shape
    total = [[float(value) for value in cost[0]]]
    moves = []
    for row in range(1, rows):
        total.append([])
        moves.append([])
        for column in range(columns):
            ways = [(total[row - 1][column], 0)]
            if column > 0:
                ways.append((total[row - 1][column - 1] + 0.05, -1))
            if column < columns - 1:
                ways.append((total[row - 1][column + 1] + 0.05, 1))
            least, move = min(ways, key=lambda way: way[0])
            total[row].append(least + float(cost[row, column]))
            moves[row - 1].append(move)
    middle = (columns - 1) / 2
    column = min(range(columns), key=lambda at: total[-1][at] + 1e-6 * abs(at - middle))
    path = [column]
    for step in reversed(moves):
        column += step[column]
        path.append(column)
    return total[-1][path[0]], path[::-1]


@pytest.mark.parametrize("seed", range(8))
def test_all_windows_at_once_give_the_paths_of_each_alone(seed):
    random = np.random.default_rng(seed)
    cost = random.random((30, 25)).astype(np.float32)
    cost[random.random(cost.shape) < 0.5] = 0.0  # ways of equal cost
    windows = [(0, 6), (0, 25), (3, 5), (11, 20), (19, 25)]
    totals, paths = _least_paths(cost, windows)
    for (low, high), total, path in zip(windows, totals, paths, strict=True):
        least, columns = least_path(cost[:, low:high])
        assert total == least
        np.testing.assert_array_equal(path, low + np.array(columns))
