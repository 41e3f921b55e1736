"""Find images whose label a model doubts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.data.dataset import Int64Array
from penmark.errors import DataError

# Below this, the image's own class is as good as ruled out. It keeps images that are merely hard
# out of the list, which is read by a person.
MAX_OWN_PROBABILITY = 0.1


@dataclasses.dataclass(frozen=True)
class Mislabeled:
    """An image that probably has the wrong label.

    Args:
        index: its row in the arrays that were judged.
        class_name: its label's class, and `class_probability` what the model gives that class.
        suggested_class: the class that the model sees, and `suggested_probability` how surely.
    """

    index: int
    class_name: str
    class_probability: float
    suggested_class: str
    suggested_probability: float


def probably_mislabeled(
    labels: Int64Array, probabilities: NDArray[Any], class_names: Sequence[str]
) -> tuple[Mislabeled, ...]:
    """Images whose own class gets a low probability while another gets a high one.

    "High" differs from class to class: at least what the model gives, on average, to that class
    on images that carry its label. So a model that is sure of everything and one that is sure of
    nothing are both read rightly. "Low" is less than 0.1.

    The probabilities should come from a model that was not trained on these very images: one that
    was may have learned the wrong labels by heart, and then doubts fewer of them.

    Args:
        labels: int64, shape (n,), 0 to classes - 1.
        probabilities: shape (n, classes), rows that add up to 1.
        class_names: one name per class, in label order.

    Returns:
        The images in doubt, the most doubtful first.

    Raises:
        DataError: the shapes do not fit together, or a probability is not from 0 to 1.

    Source: C. G. Northcutt, L. Jiang, I. L. Chuang, "Confident Learning: Estimating Uncertainty
    in Dataset Labels", Journal of Artificial Intelligence Research 70, 2021, equations 1 and 2
    (the per-class thresholds and the confident joint); the bound on the own class is penmark's.
    """
    given = np.asarray(probabilities, dtype=np.float64)
    classes = len(class_names)
    if given.shape != (len(labels), classes):
        raise DataError(
            f"the model's probabilities have shape {given.shape}, but {len(labels)} images in "
            f"{classes} classes need {(len(labels), classes)}; use a model trained on these classes"
        )
    # Comparisons with a value that is not a number are false. The margin allows for rounding.
    if not ((given >= -1e-3) & (given <= 1 + 1e-3)).all():
        raise DataError("the model's probabilities must lie from 0 to 1; use a softmax output")
    if len(labels) == 0:
        return ()
    rows = np.arange(len(labels))
    own = given[rows, labels]
    thresholds = np.full(classes, np.inf)
    for label in np.unique(labels):
        thresholds[label] = own[labels == label].mean()
    confident = np.where(given >= thresholds, given, -np.inf)
    suggested = confident.argmax(axis=1)
    doubtful = (
        np.isfinite(confident[rows, suggested])
        & (suggested != labels)
        & (own < MAX_OWN_PROBABILITY)
        # A class that the model hardly ever recognizes has a threshold too low to mean anything.
        & (given[rows, suggested] > 0.5)
    )
    found = np.flatnonzero(doubtful)
    order = np.argsort(own[found] - given[found, suggested[found]], kind="stable")
    return tuple(
        Mislabeled(
            index=int(row),
            class_name=class_names[labels[row]],
            class_probability=float(own[row]),
            suggested_class=class_names[suggested[row]],
            suggested_probability=float(given[row, suggested[row]]),
        )
        for row in found[order]
    )
