"""Figures of data, training and results; public as `penmark.plot`.

Every function computes first, then draws, takes its options by keyword (`theme="light"` or
"dark" among them) and returns a `matplotlib.figure.Figure`.
"""

from __future__ import annotations

from penmark.report.figures.curves import compare_curves, training_curves
from penmark.report.figures.pictures import gallery, image_grid, top_losses
from penmark.report.figures.scores import (
    class_counts,
    confusion_matrix,
    most_confused,
    per_class,
    reliability_diagram,
)
from penmark.report.figures.weights import filters, weights_as_images

__all__ = [
    "class_counts",
    "compare_curves",
    "confusion_matrix",
    "filters",
    "gallery",
    "image_grid",
    "most_confused",
    "per_class",
    "reliability_diagram",
    "top_losses",
    "training_curves",
    "weights_as_images",
]
