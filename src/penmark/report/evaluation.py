"""`Evaluation`: how good a model is on labeled images, and where it errs."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.errors import DataError, ModelError

# Guo et al. 2017 report all their tables with 15 bins, so the numbers can be compared.
CALIBRATION_BINS = 15

# Softmax in bfloat16 overshoots 1 by up to one unit in the last of its 8 bits.
PROBABILITY_SLACK = 2.0**-7


@dataclasses.dataclass(frozen=True)
class ReliabilityBin:
    """The images whose confidence (highest probability) lies in (lower, upper].

    Args:
        lower, upper: edges of the bin, 0.0 to 1.0.
        confidence: mean confidence of its images; NaN where there are none.
        accuracy: share of its images that were predicted correctly; NaN where there are none.
        count: how many images are in it.
    """

    lower: float
    upper: float
    confidence: float
    accuracy: float
    count: int


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's answers to labeled images, and every measure computed from them.

    Args:
        y_true: int64, shape (n,), the true classes, 0 to number of classes - 1.
        probabilities: float32, shape (n, classes), 0.0 to 1.0, one column per class.
        loss: mean cross-entropy; given, because the caller computes it from logits, where a
            probability that rounds to 0 does not make it infinite.
        class_names: one name per class, in label order; at least two.
        seconds: how long the prediction took.

    Raises:
        DataError: there are no images, or labels and class names do not fit together.
        ModelError: the probabilities do not fit the labels and classes, are not finite, or do
            not lie between 0 and 1.
    """

    y_true: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    loss: float
    class_names: tuple[str, ...]
    seconds: float = math.nan

    def __post_init__(self) -> None:
        labels = np.asarray(self.y_true)
        probabilities = np.asarray(self.probabilities)
        names = tuple(str(name) for name in self.class_names)
        _check_labels(labels, len(names))
        _check_probabilities(probabilities, len(labels), len(names))
        for field, value in (
            ("y_true", labels.astype(np.int64, copy=False)),
            ("probabilities", np.clip(probabilities.astype(np.float32), 0.0, 1.0)),
            ("loss", float(self.loss)),
            ("class_names", names),
            ("seconds", float(self.seconds)),
        ):
            object.__setattr__(self, field, value)

    @property
    def images(self) -> int:
        """How many images were evaluated."""
        return len(self.y_true)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @functools.cached_property
    def predicted(self) -> NDArray[np.int64]:
        """Predicted classes, int64, shape (n,); the lower label wins a tie."""
        labels: NDArray[np.int64] = self.probabilities.argmax(axis=1).astype(np.int64)
        return labels

    @functools.cached_property
    def confidence(self) -> NDArray[np.float32]:
        """Probability of the predicted class, float32, shape (n,)."""
        highest: NDArray[np.float32] = self.probabilities.max(axis=1)
        return highest

    @functools.cached_property
    def truth_probability(self) -> NDArray[np.float32]:
        """Probability that the model gave to the true class, float32, shape (n,)."""
        return self.probabilities[np.arange(self.images), self.y_true]

    @functools.cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each image was predicted correctly, bool, shape (n,)."""
        return np.asarray(self.predicted == self.y_true)

    @property
    def errors(self) -> int:
        """How many images were predicted wrongly."""
        return self.images - int(self.correct.sum())

    @property
    def accuracy(self) -> float:
        """Share of images predicted correctly, 0.0 to 1.0."""
        return float(self.correct.mean())

    @functools.cached_property
    def top2_accuracy(self) -> float:
        """Share of images whose true class is among the two most probable, 0.0 to 1.0."""
        # A stable sort breaks ties as argmax does, so top-2 is never below the accuracy.
        best_two = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :2]
        return float((best_two == self.y_true[:, None]).any(axis=1).mean())

    @functools.cached_property
    def reliability(self) -> tuple[ReliabilityBin, ...]:
        """15 bins of equal width over the confidence, lowest first.

        Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2
        (reliability diagrams; bin m holds the confidences in ((m - 1) / M, m / M]).
        """
        confidence = self.confidence.astype(np.float64)
        index = np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1
        index = np.clip(index, 0, CALIBRATION_BINS - 1)
        counts = np.bincount(index, minlength=CALIBRATION_BINS)
        confidence_sums = np.bincount(index, weights=confidence, minlength=CALIBRATION_BINS)
        correct_sums = np.bincount(index, weights=self.correct, minlength=CALIBRATION_BINS)
        return tuple(
            ReliabilityBin(
                lower=number / CALIBRATION_BINS,
                upper=(number + 1) / CALIBRATION_BINS,
                confidence=float(confidence_sums[number] / count) if count else math.nan,
                accuracy=float(correct_sums[number] / count) if count else math.nan,
                count=int(count),
            )
            for number, count in enumerate(counts)
        )

    @functools.cached_property
    def ece(self) -> float:
        """Expected calibration error, 0.0 to 1.0: mean gap between confidence and accuracy.

        ECE = sum over bins of count / n * |accuracy - confidence|, 15 bins of equal width.

        Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2,
        equation 3 (after Naeini et al., AAAI 2015).
        """
        filled = [part for part in self.reliability if part.count]
        gaps = (part.count * abs(part.accuracy - part.confidence) for part in filled)
        return float(math.fsum(gaps) / self.images)

    @functools.cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Confusion matrix, int64, shape (classes, classes): rows = true, columns = predicted."""
        classes = self.num_classes
        cells = np.bincount(self.y_true * classes + self.predicted, minlength=classes * classes)
        return cells.reshape(classes, classes).astype(np.int64)

    @functools.cached_property
    def per_class(self) -> list[dict[str, Any]]:
        """One dict per class, in label order: class, precision, recall, f1, images.

        A measure whose denominator is 0 (a class without images, or never predicted) is 0.0.
        """
        # Importing scikit-learn takes longer than all of this class's own work.
        from sklearn.metrics import precision_recall_fscore_support

        precision, recall, f1, images = precision_recall_fscore_support(
            self.y_true, self.predicted, labels=np.arange(self.num_classes), zero_division=0
        )
        return [
            {
                "class": name,
                "precision": float(precision[label]),
                "recall": float(recall[label]),
                "f1": float(f1[label]),
                "images": int(images[label]),
            }
            for label, name in enumerate(self.class_names)
        ]

    def most_confused(self, min_count: int = 1) -> list[tuple[str, str, int]]:
        """Pairs of classes that were mixed up: (true, predicted, count), most frequent first.

        Args:
            min_count: leave out pairs with fewer images than this; at least 1.
        """
        cells = self.confusion.copy()
        np.fill_diagonal(cells, 0)
        rows, columns = np.nonzero(cells >= max(1, min_count))
        # Stable on the negated counts: equal counts stay in label order.
        order = np.argsort(-cells[rows, columns], kind="stable")
        return [
            (
                self.class_names[rows[position]],
                self.class_names[columns[position]],
                int(cells[rows[position], columns[position]]),
            )
            for position in order
        ]

    def top_losses(self, k: int = 9) -> NDArray[np.int64]:
        """Indices of the worst errors, worst first: highest cross-entropy of the true class.

        The cross-entropy of one image is -log(probability of its true class), so these are the
        wrongly predicted images whose true class got the least probability. Where that is equal
        (0 in float32, say), the more confident error comes first.

        Returns:
            int64, shape (min(k, errors),).
        """
        wrong = np.flatnonzero(~self.correct)
        order = np.lexsort((-self.confidence[wrong], self.truth_probability[wrong]))
        return wrong[order[: max(0, k)]].astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """The document of `penmark evaluate --json`; a number that is not finite becomes None."""
        return {
            "accuracy": self.accuracy,
            "loss": _finite_or_none(self.loss),
            "top2_accuracy": self.top2_accuracy,
            "ece": self.ece,
            "per_class": self.per_class,
            "confusion": self.confusion.tolist(),
            "images": self.images,
            "seconds": _finite_or_none(self.seconds),
        }


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95% confidence interval of a share of which `successes` out of `trials` were seen.

    Unlike the textbook "plus or minus two standard errors" it stays inside 0 to 1 and is honest
    for few trials and for shares near 1, which is where test accuracies are.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22, 1927; recommended by Brown, Cai and DasGupta, Statistical Science 16, 2001,
    section 3.1.1.

    Raises:
        DataError: there are no trials.
    """
    if trials < 1:
        raise DataError("an interval needs at least one image; got none")
    z = 1.959963984540054  # the normal distribution's 97.5% quantile
    share = successes / trials
    center = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = (
        z
        / (1 + z * z / trials)
        * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    )
    # At 0 and at 1 an end falls on the share itself, apart from rounding.
    return max(0.0, min(share, center - spread)), min(1.0, max(share, center + spread))


def _finite_or_none(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _check_labels(labels: NDArray[Any], classes: int) -> None:
    if classes < 2:
        raise DataError(f"an evaluation needs at least two classes; got {classes}")
    if labels.ndim != 1 or (labels.size and not np.issubdtype(labels.dtype, np.integer)):
        raise DataError(
            f"labels must be integers of shape (n,); got {labels.dtype} of shape {labels.shape}"
        )
    if labels.size == 0:
        raise DataError("there are no test images to evaluate on; add some and try again")
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if outside.size:
        where = int(outside[0])
        raise DataError(
            f"label {where} is {int(labels[where])}, but with {classes} classes labels run from "
            f"0 to {classes - 1}"
        )


def _check_probabilities(probabilities: NDArray[Any], images: int, classes: int) -> None:
    if probabilities.shape != (images, classes):
        raise ModelError(
            f"the model must give one probability per image and class, shape "
            f"({images}, {classes}); got shape {probabilities.shape}"
        )
    if not np.issubdtype(probabilities.dtype, np.floating):
        raise ModelError(
            f"the model's probabilities must be floating-point; got {probabilities.dtype}"
        )
    if not np.isfinite(probabilities).all():
        where = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise ModelError(
            f"the model's output for image {where} is not a number; its weights are probably "
            "damaged: train again with a lower learning rate"
        )
    lowest, highest = float(probabilities.min()), float(probabilities.max())
    if lowest < -PROBABILITY_SLACK or highest > 1.0 + PROBABILITY_SLACK:
        raise ModelError(
            f"the model's outputs must be probabilities from 0 to 1; got {lowest:.4g} to "
            f"{highest:.4g}; end the model with a softmax"
        )
