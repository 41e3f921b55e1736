"""`penmark evaluate --pages`: measure a model's reading on pages of a data set's test digits."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penmark.atomic import write_json
from penmark.data.progress import progress_bar
from penmark.errors import DataError
from penmark.reading.classifier import Classifier, default_model
from penmark.reading.marked_page import save_marked_page
from penmark.reading.measurement import LEVELS, Measurement, measure, pages_to_read
from penmark.reading.pages import AXES
from penmark.reading.reader import read

if TYPE_CHECKING:
    from penmark.data.dataset import Dataset

DIGITS = tuple("0123456789")


def evaluate_reading(
    model: Any,
    dataset: Dataset,
    pages: int,
    *,
    seed: int = 0,
    save: Path | None = None,
    progress: bool = True,
) -> Measurement:
    """Compose pages from a data set's test digits, read them, and compare.

    Args:
        model: as for `penmark.read`; None for the network that comes with penmark.
        dataset: handwritten digits of 28×28 gray pixels; only its test split is used.
        pages: for the overall result; a fifth as many for each point on an axis of difficulty.
        seed: decides the pages.
        save: a folder for the overall pages, marked with what was read, the figure of all axes
            (`difficulty.png`) and the numbers (`measurement.json`); the pages with most errors
            come first by name.
        progress: whether to show a bar, if standard error is a terminal.

    Raises:
        DataError: the data set does not hold digits, or has no test split.
        ModelError: the model cannot be loaded, or does not read digits.
        StorageError: the folder cannot be written.
    """
    if dataset.class_names != DIGITS or dataset.x_test.shape[1:] != (28, 28):
        raise DataError(
            f"pages are composed from digits, 0 to 9, of 28×28 gray pixels, like mnist; "
            f"{dataset.name} is none"
        )
    classifier = default_model() if model is None else Classifier(model)
    total = pages_to_read(pages)
    with progress_bar("reading pages", total, enabled=progress) as show:
        measurement = measure(
            functools.partial(read, model=classifier),
            dataset.x_test,
            dataset.y_test,
            pages=pages,
            seed=seed,
            on_page=None if save is None else functools.partial(save_marked_page, save / "pages"),
            progress=show,
        )
    if save is not None:
        _save_figure(measurement, save / "difficulty.png")
        write_json(save / "measurement.json", measurement.to_json())
    return measurement


def _save_figure(measurement: Measurement, path: Path) -> None:
    from penmark.report.figures.canvas import detached
    from penmark.report.figures.difficulty import Difficulty, accuracy_by_difficulty
    from penmark.report.rendering import save_figure

    levels = (0.0, *LEVELS)
    panels = []
    for name, tallies in measurement.axes.items():
        walked = (measurement.clean, *tallies)
        panels.append(
            Difficulty(
                name=name,
                levels=levels,
                ends=(AXES[name].text(0.0), AXES[name].text(1.0)),
                digit_accuracy=tuple(tally.digit_accuracy for tally in walked),
                row_accuracy=tuple(tally.row_accuracy for tally in walked),
            )
        )
    with detached():
        save_figure(accuracy_by_difficulty(panels), path)
