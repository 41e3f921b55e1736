"""How good a model is on given images, as an `Evaluation`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penmark import engine
from penmark.engine.inputs import check_images
from penmark.errors import DataError, ModelError
from penmark.report.evaluation import Evaluation

if TYPE_CHECKING:
    from penmark.data.dataset import Dataset, Int64Array, UInt8Array

BATCH_SIZE = 512


def score(
    model: Any, images: UInt8Array, labels: Int64Array, class_names: tuple[str, ...]
) -> Evaluation:
    """Predict every image once and compare with the labels.

    Args:
        model: a keras.Model, or one that `engine.model_file.open_model` opened, with class
            probabilities of shape (n, classes), or with one output of shape (n, 1) that is the
            probability of the second of two classes.
        images: uint8, shape (n, *model.input_shape[1:]).
        labels: int64, shape (n,).
        class_names: one for each class.

    Returns:
        An `Evaluation`; its loss is taken from the logits where the model ends in softmax or
        sigmoid and is compiled with a cross-entropy, and from the probabilities where it is not
        compiled.

    Raises:
        DataError: no images, or images and labels that do not fit.
        ModelError: the model's output does not fit the number of classes.
    """
    if len(images) == 0:
        raise DataError("there are no images to evaluate on")
    started = time.perf_counter()
    probabilities = class_probabilities(model)(images, class_names)
    seconds = time.perf_counter() - started
    return Evaluation(
        y_true=labels,
        probabilities=probabilities,
        loss=_loss(model, images, labels, probabilities),
        class_names=class_names,
        seconds=seconds,
    )


def class_probabilities(
    model: Any,
) -> Callable[[UInt8Array, tuple[str, ...]], NDArray[np.float32]]:
    """The model as a function from images and class names to probabilities, a column a class.

    Args:
        model: as for `score`.

    Returns:
        A function that takes uint8 images (n, ...) and the class names in label order, and gives
        float32 (n, classes); it raises DataError and ModelError as `score` does.
    """

    def probabilities(images: UInt8Array, class_names: tuple[str, ...]) -> NDArray[np.float32]:
        check_images(model, images)
        shape = model.output_shape
        units = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None
        expected = (1, 2) if len(class_names) == 2 else (len(class_names),)
        if units not in expected:
            hint = "; say which class it tells from the rest: --positive-class"
            raise ModelError(
                f"the model {model.name!r} has output shape {shape}, but the data has "
                f"{len(class_names)} classes{hint if units == 1 else ''}"
            )
        outputs = engine.predict(model, images, batch_size=BATCH_SIZE).astype(np.float32)
        return np.concatenate([1 - outputs, outputs], axis=1) if units == 1 else outputs

    return probabilities


def image_options(model: Any) -> dict[str, Any]:
    """What to ask of a folder's loader so that its images fit the model.

    Returns:
        {"image_size": (height, width), "color_mode": "grayscale" or "rgb"}, or {} for a model
        whose input is no image.
    """
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) not in (3, 4) or None in shape[1:3]:
        return {}
    color = len(shape) == 4 and shape[3] == 3
    return {"image_size": shape[1:3], "color_mode": "rgb" if color else "grayscale"}


def score_test(model: Any, dataset: Dataset) -> Evaluation:
    """`score` on the test images of a data set."""
    return score(model, dataset.x_test, dataset.y_test, dataset.class_names)


def _loss(
    model: Any, images: UInt8Array, labels: Int64Array, probabilities: NDArray[np.float32]
) -> float:
    if not model.compiled:
        of_truth = probabilities[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(of_truth, np.finfo(np.float32).tiny)).mean())
    results = engine.evaluate(model, images, labels, batch_size=BATCH_SIZE, return_dict=True)
    return float(results["loss"])
