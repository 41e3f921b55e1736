"""What a run's model gets wrong on the test images of its data."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from penmark.data.dataset import Int64Array
from penmark.errors import DataError
from penmark.report.evaluation import Evaluation
from penmark.report.wording import plain
from penmark.studio.datasets import PAGE_SIZE, RUN_PREFIX, DatasetShelf, Kept
from penmark.studio.models import RUN_PREFIX as MODEL_PREFIX
from penmark.studio.models import ModelShelf
from penmark.studio.schemas import EvaluationView, MistakeEntry, MistakePage

_KEPT = 4


@dataclasses.dataclass(frozen=True)
class Filter:
    """Which test images to show.

    Args:
        true, predicted: labels; None for any. With both None only mistakes are shown.
    """

    true: int | None = None
    predicted: int | None = None


class Mistakes:
    """Evaluations of runs, a few kept.

    Args:
        models, datasets: where to take them from.
    """

    def __init__(self, models: ModelShelf, datasets: DatasetShelf) -> None:
        self._models = models
        self._datasets = datasets
        self._kept: Kept[tuple[str, int], Evaluation] = Kept(_KEPT)

    def evaluation(self, run: str) -> Evaluation:
        """The run's model on the test images of its data.

        Raises:
            RunError, ModelError, DataError: there is no such run, it has no model, or its data
                are not here.
        """
        model = self._models.load(MODEL_PREFIX + run)
        dataset = self._datasets.load(RUN_PREFIX + run)

        def make() -> Evaluation:
            return Evaluation(
                y_true=dataset.y_test,
                probabilities=model.probabilities(dataset.x_test),
                loss=math.nan,  # not shown
                class_names=dataset.class_names,
            )

        return self._kept.get((run, model.path.stat().st_mtime_ns), make)

    def view(self, run: str) -> EvaluationView:
        """The confusion matrix and what follows from it. Raises as `evaluation`."""
        evaluation = self.evaluation(run)
        confusion = evaluation.confusion
        totals = confusion.sum(axis=1)
        return EvaluationView(
            run=run,
            accuracy=evaluation.accuracy,
            images=evaluation.images,
            class_names=[plain(name) for name in evaluation.class_names],
            confusion=confusion.tolist(),
            accuracies=[
                float(confusion[label, label] / total) if total else None
                for label, total in enumerate(totals)
            ],
        )

    def page(self, run: str, wanted: Filter, page: int) -> MistakePage:
        """Test images, the worst first. Raises as `evaluation`."""
        evaluation = self.evaluation(run)
        rows = _chosen(evaluation, wanted)
        part = rows[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
        return MistakePage(
            total=len(rows),
            page=page,
            page_size=PAGE_SIZE,
            images=[
                MistakeEntry(
                    index=int(row),
                    label=int(evaluation.y_true[row]),
                    predicted=int(evaluation.predicted[row]),
                    probability=float(evaluation.confidence[row]),
                    truth_probability=float(evaluation.truth_probability[row]),
                )
                for row in part
            ],
        )


def _chosen(evaluation: Evaluation, wanted: Filter) -> Int64Array:
    for label in (wanted.true, wanted.predicted):
        if label is not None and not 0 <= label < evaluation.num_classes:
            raise DataError(f"classes run from 0 to {evaluation.num_classes - 1}; got {label}")
    chosen = np.ones(evaluation.images, dtype=np.bool_)
    if wanted.true is not None:
        chosen &= evaluation.y_true == wanted.true
    if wanted.predicted is not None:
        chosen &= evaluation.predicted == wanted.predicted
    if wanted.true is None or wanted.predicted is None:
        chosen &= ~evaluation.correct
    rows = np.flatnonzero(chosen)
    order = np.lexsort((-evaluation.confidence[rows], evaluation.truth_probability[rows]))
    return rows[order]
