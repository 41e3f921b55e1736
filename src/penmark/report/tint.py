"""How strongly to color a cell or a weight: numbers from -1 to 1, before any color is chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def confusion_tint(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Strength of color for each cell of a confusion matrix, so that mistakes stay visible.

    In a good model's matrix the diagonal is a hundred times the rest; one scale for both would
    leave the mistakes blank. So the diagonal is tinted by recall, and the other cells by their
    share of the row relative to the largest such share, to the power 0.7: small ones are lifted,
    but single images stay pale.

    Args:
        confusion: int64, shape (classes, classes), rows = true class.

    Returns:
        float64, same shape, 0.0 to 1.0.
    """
    totals = confusion.sum(axis=1, keepdims=True)
    shares = confusion / np.maximum(totals, 1)
    recall = np.diag(shares).copy()
    np.fill_diagonal(shares, 0.0)
    tint: NDArray[np.float64] = (shares / max(float(shares.max()), 1e-12)) ** 0.7
    np.fill_diagonal(tint, recall)
    return tint


def weight_limit(weights: NDArray[np.floating]) -> float:
    """The weight that gets full color; 0 lies in the middle of the scale, -limit at its end.

    The 99.5% quantile of the absolute values: a single huge weight would pale all the others.
    """
    finite = np.abs(weights[np.isfinite(weights)])
    if not finite.size:
        return 1.0
    return float(np.quantile(finite, 0.995)) or float(finite.max()) or 1.0
