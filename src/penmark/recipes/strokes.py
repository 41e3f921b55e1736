"""Straight pen strokes drawn into many small images at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penmark.data.preparation import SIDE

FloatArray = NDArray[np.float32]


def draw(strokes: FloatArray, width_px: NDArray[np.floating]) -> FloatArray:
    """Draw straight strokes with round ends and soft edges.

    Args:
        strokes: float32, shape (n, strokes, 4): row and column of the start, row and column of
            the end, in pixels (0 is the middle of the first pixel); NaN for a stroke left out.
        width_px: shape (n,).

    Returns:
        float32, shape (n, 28, 28), 0 for paper to 1 for ink.
    """
    n, count, _ = strokes.shape
    grid = np.arange(SIDE, dtype=np.float32)
    nearest = np.full((n, SIDE, SIDE), np.inf, np.float32)
    for number in range(count):
        row, column, to_row, to_column = (
            strokes[:, number, place, None, None] for place in range(4)
        )
        down, across = to_row - row, to_column - column
        length = np.maximum(down * down + across * across, np.float32(1e-6))
        rows, columns = grid[None, :, None] - row, grid[None, None, :] - column
        along = np.clip((rows * down + columns * across) / length, 0, 1)
        rows, columns = rows - along * down, columns - along * across
        # fmin lets NaN, a stroke left out, lose against any distance.
        nearest = np.fmin(nearest, rows * rows + columns * columns)
    ink: FloatArray = np.clip(width_px[:, None, None] / 2 + 0.5 - np.sqrt(nearest), 0, 1)
    return ink
