"""The report of one run: a single HTML file that explains itself."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.atomic import write_text
from penmark.report.data_uri import image_uri, kernel_uris, signed_uri
from penmark.report.evaluation import Evaluation, wilson_interval
from penmark.report.figure_files import FIGURE_NAMES, write_figures
from penmark.report.figures import reliability_diagram, training_curves
from penmark.report.figures.canvas import detached
from penmark.report.figures.curves import read_curve
from penmark.report.figures.pictures import check_images, gallery_indices
from penmark.report.figures.weights import filter_images, kernel_fits, unit_images
from penmark.report.svg import PAGE_THEME, inline_svg
from penmark.report.tint import confusion_tint
from penmark.report.wording import percent, plain

__all__ = ["write_figures", "write_report"]

GALLERY_SIZE = 18
WORST_SIZE = 12
PAIRS = 12
# A table with more columns is no longer read cell by cell; it becomes a picture.
MOST_CLASSES_IN_A_TABLE = 40


def write_report(
    path: Path | str,
    *,
    title: str,
    config: Mapping[str, Any],
    history: Mapping[str, Sequence[float]],
    evaluation: Evaluation,
    images: NDArray[np.uint8],
    first_layer_kernel: NDArray[np.floating[Any]] | None,
    image_shape: Sequence[int],
    model_summary: Sequence[Mapping[str, Any]],
    parameters: int,
    published_accuracy: float | Sequence[float] | None = None,
    status: str = "complete",
    figures_folder: Path | str | None = None,
) -> None:
    """Write a run's report: one HTML file that loads nothing else and needs no JavaScript.

    Args:
        path: the file to create or replace.
        title: for example "mlp-dropout on mnist".
        config: what the run was asked to do; nested mappings and lists are shown as such, and
            `config["command"]`, text or a list of words, as the way to repeat it.
        history: lists as in `keras.callbacks.History.history`; may be empty.
        evaluation: the answers to the test images.
        images: uint8, shape (n, height, width) or (n, height, width, channels), the evaluated
            images in the same order.
        first_layer_kernel: (inputs, units) of a dense first layer or (height, width, channels,
            filters) of a convolution; None if there is neither. One that is no picture of the
            image shape is left out.
        image_shape: (height, width) or (height, width, channels).
        model_summary: one row per layer: "name", "type", "output_shape", "parameters".
        parameters: total number of parameters.
        published_accuracy: the accuracy to compare with, 0.0 to 1.0, or the (lowest, highest).
        status: how the training ended.
        figures_folder: where `write_figures` has written; the files there are linked. By default
            `figures` beside `path`.

    Raises:
        DataError: the images do not fit the evaluation.
        StorageError: the file system refused.
    """
    check_images(images, evaluation.images)
    path = Path(path)
    folder = path.parent / "figures" if figures_folder is None else Path(figures_folder)
    kernel = first_layer_kernel
    if kernel is not None and not kernel_fits(kernel, image_shape):
        kernel = None
    command = config.get("command")
    page = _render(
        title=plain(title),
        status=plain(status),
        evaluation=evaluation,
        interval=wilson_interval(evaluation.images - evaluation.errors, evaluation.images),
        published=_published(published_accuracy),
        parameters=parameters,
        layers=model_summary,
        curves=_curves(history),
        classes=_class_rows(evaluation),
        confusion=_confusion(evaluation),
        pairs=_pairs(evaluation, images),
        calibration=_calibration(evaluation),
        correct=_cards(
            evaluation, images, gallery_indices(evaluation, correct=True, k=GALLERY_SIZE)
        ),
        wrong=_cards(
            evaluation, images, gallery_indices(evaluation, correct=False, k=GALLERY_SIZE)
        ),
        worst=_cards(evaluation, images, evaluation.top_losses(WORST_SIZE)),
        first_layer=_first_layer(kernel, image_shape, evaluation),
        config={key: value for key, value in config.items() if key != "command"},
        command=shlex.join(map(str, command)) if isinstance(command, list | tuple) else command,
        figure_links=_figure_links(path, folder),
    )
    # A folder name with undecodable bytes must not keep the report from being written.
    write_text(path, page.encode("utf-8", "replace").decode("utf-8"))


def _render(**values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("penmark.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, plain=plain, count="{:,}".format, shape=_shape)
    environment.tests["nested"] = lambda value: isinstance(value, Mapping)
    environment.tests["listed"] = lambda value: isinstance(value, list | tuple)
    return environment.get_template("report.html.j2").render(**values)


def _shape(value: object) -> str:
    """A cell of the network's table: sizes as "28 × 28", numbers with commas."""
    if isinstance(value, bool) or not isinstance(value, list | tuple | int | np.integer):
        return plain(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    # Keras writes None for the number of images, which is not the layer's.
    return " × ".join(_shape(size) for size in value if size is not None) or "–"


def _published(accuracy: float | Sequence[float] | None) -> tuple[float, float] | None:
    """(lowest, highest) published accuracy; one number is a range of itself."""
    if accuracy is None:
        return None
    values = np.atleast_1d(np.asarray(accuracy, dtype=np.float64))
    return float(values.min()), float(values.max())


def _curves(history: Mapping[str, Sequence[float]]) -> dict[str, Any] | None:
    """One SVG per metric: side by side where there is room, below each other on a phone."""
    from markupsafe import Markup

    charts = []
    best = None
    has_validation = False
    epochs = 0
    for metric in ("accuracy", "loss"):
        curve = read_curve(history, metric)
        if curve is None:
            continue
        epochs = max(epochs, len(curve.leading))
        has_validation = has_validation or bool(curve.validation.size)
        if metric == "loss" and curve.validation.size:
            best = curve.best_epoch
        first, last = float(curve.leading[0]), float(curve.leading[-1])
        wording = (
            f"{percent(first)} to {percent(last)}"
            if metric == "accuracy"
            else f"{first:.3g} to {last:.3g}"
        )
        split = "validation" if curve.validation.size else "training"
        with detached():
            figure = training_curves(history, metrics=(metric,), theme=PAGE_THEME)
        charts.append(
            Markup(
                inline_svg(
                    figure,
                    name=metric,
                    description=f"Line chart: {split} {metric} over {len(curve.leading)} epochs, "
                    f"from {wording}",
                )
            )
        )
    if not charts:
        return None
    return {
        "charts": charts,
        "epochs": epochs,
        "has_validation": has_validation,
        "lowest_loss_epoch": best,
    }


def _class_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Per-class measures; `*_missing` is what lacks to 1, relative to the largest lack."""
    measures = ("precision", "recall", "f1")
    rows = evaluation.per_class
    largest = max(1.0 - row[measure] for row in rows for measure in measures)
    return [
        row
        | {
            f"{measure}_missing": (1.0 - row[measure]) / largest if largest > 0 else 0.0
            for measure in measures
        }
        for row in rows
    ]


def _confusion(evaluation: Evaluation) -> dict[str, Any]:
    tint = confusion_tint(evaluation.confusion)
    if evaluation.num_classes > MOST_CLASSES_IN_A_TABLE:
        # On the diagonal blue, elsewhere vermilion: a signed picture without a zero point.
        sign = np.where(np.eye(evaluation.num_classes, dtype=bool), 1.0, -1.0)
        picture = signed_uri(sign * tint, 1.0, longest_side_px=len(tint))
        return {"rows": None, "turned": False, "picture": picture}
    rows = [
        {
            "name": name,
            "cells": [
                {
                    "count": int(count),
                    "tint": round(0.7 * float(strength), 2),
                    "kind": "right" if row == column else "wrong",
                    "predicted": evaluation.class_names[column],
                }
                for column, (count, strength) in enumerate(
                    zip(evaluation.confusion[row], tint[row], strict=True)
                )
            ],
        }
        for row, name in enumerate(evaluation.class_names)
    ]
    # Names that are wider than a cell stand upright, unless the few columns have room anyway.
    longest = max(len(plain(name)) for name in evaluation.class_names)
    turned = longest > 4 and longest * evaluation.num_classes > 40
    return {"rows": rows, "turned": turned, "picture": None}


def _pairs(evaluation: Evaluation, images: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """The most confused pairs, each with its share of the true class and its worst example."""
    pairs = []
    cells = evaluation.confusion.copy()
    np.fill_diagonal(cells, 0)
    flat = cells.ravel()
    # Cells, not names: two classes may bear the same name.
    for position in np.argsort(-flat, kind="stable")[:PAIRS]:
        if not flat[position]:
            break
        true, predicted = divmod(int(position), evaluation.num_classes)
        members = np.flatnonzero((evaluation.y_true == true) & (evaluation.predicted == predicted))
        example = members[np.argmin(evaluation.truth_probability[members])]
        pairs.append(
            {
                "true": evaluation.class_names[true],
                "predicted": evaluation.class_names[predicted],
                "count": int(flat[position]),
                "share": flat[position] / evaluation.confusion[true].sum(),
                "bar": flat[position] / flat.max(),
                "uri": image_uri(images[example]),
            }
        )
    return pairs


def _calibration(evaluation: Evaluation) -> dict[str, Any]:
    from markupsafe import Markup

    with detached():
        figure = reliability_diagram(evaluation, theme=PAGE_THEME)
    mean_confidence = float(evaluation.confidence.mean(dtype=np.float64))
    return {
        "chart": Markup(
            inline_svg(
                figure,
                name="calibration",
                description="Chart: accuracy for each level of confidence; "
                "the table below has its numbers",
            )
        ),
        "bins": [part for part in evaluation.reliability if part.count],
        "confidence": mean_confidence,
        "gap": mean_confidence - evaluation.accuracy,
    }


def _cards(
    evaluation: Evaluation, images: NDArray[np.uint8], indices: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """What a gallery shows of each image."""
    return [
        {
            "uri": image_uri(images[index]),
            "index": int(index),
            "true": evaluation.class_names[evaluation.y_true[index]],
            "predicted": evaluation.class_names[evaluation.predicted[index]],
            "confidence": float(evaluation.confidence[index]),
            "truth_probability": float(evaluation.truth_probability[index]),
        }
        for index in indices
    ]


def _first_layer(
    kernel: NDArray[np.floating[Any]] | None, image_shape: Sequence[int], evaluation: Evaluation
) -> dict[str, Any] | None:
    if kernel is None:
        return None
    dense = kernel.ndim == 2
    pictures = unit_images(kernel, image_shape) if dense else filter_images(kernel)
    channels = math.prod(image_shape[2:]) if dense else kernel.shape[2]
    total = kernel.shape[-1]
    named = dense and total == evaluation.num_classes
    return {
        "uris": kernel_uris(pictures),
        "names": evaluation.class_names[: len(pictures)] if named else None,
        "kind": "unit" if dense else "filter",
        "signed": pictures.ndim == 3,
        "total": total,
        "channels": channels,
    }


def _figure_links(path: Path, folder: Path) -> list[tuple[str, str]]:
    """(name, relative address) of the figures that are there as files."""
    from urllib.parse import quote

    links = []
    for name in FIGURE_NAMES:
        file = folder / f"{name}.png"
        if file.is_file():
            relative = Path(os.path.relpath(file, path.parent)).as_posix()
            links.append((name.replace("_", " "), quote(relative, errors="replace")))
    return links
