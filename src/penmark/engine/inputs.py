"""Do images and labels fit the model and each other? Asked before any work starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.errors import DataError, ModelError


def check_compiled(model: Any) -> None:
    """Raise ModelError unless `model.compile` was called."""
    if not getattr(model, "compiled", False):
        raise ModelError(
            f"the model {model.name!r} is not compiled; call model.compile(optimizer, loss, "
            "metrics=['accuracy']) first, or build it with penmark.recipes"
        )


def check_images(model: Any, images: NDArray[Any]) -> None:
    """Raise DataError unless `images` can be fed to `model`.

    Args:
        model: a model with one input.
        images: any array; expected shape (n, *model.input_shape[1:]), numbers.
    """
    if images.dtype.kind not in "uifb":
        raise DataError(f"images must be numbers; got an array of dtype {images.dtype}")
    if images.ndim == 0 or len(images) == 0:
        raise DataError("there are no images: x is empty")
    expected = model.input_shape
    if not isinstance(expected, tuple):
        return
    fits = images.ndim == len(expected) and all(
        size is None or size == actual
        for size, actual in zip(expected[1:], images.shape[1:], strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in expected[1:])
        raise DataError(
            f"the model {model.name!r} takes images of shape (n, {wanted}), but x has shape "
            f"{images.shape}{_shape_hint(expected[1:], images)}"
        )


def _shape_hint(expected: tuple[int | None, ...], images: NDArray[Any]) -> str:
    if None not in expected:
        pixels = int(np.prod([size for size in expected if size is not None]))
        if images.size == pixels:
            return f"; for one image, use x.reshape((1, {', '.join(map(str, expected))}))"
        if images.size == pixels * len(images):
            return f"; the same pixels fit after x.reshape((-1, {', '.join(map(str, expected))}))"
    return "; resize the images, or build the model for their shape"


def checked_labels(model: Any, x: NDArray[Any], y: Any) -> NDArray[Any]:
    """Check images and labels; the labels as the model's loss wants them. Raises DataError."""
    check_images(model, x)
    if y is None:
        raise DataError("there are no labels: give y, one label for each image")
    labels = prepare_labels(model, np.asarray(y), len(x))
    if labels.dtype.kind in "iu" and labels.dtype.itemsize > 4:
        # JAX's integers have 32 bits, and it warns of wider ones.
        narrow = labels.astype(np.int32)
        return narrow if np.array_equal(narrow, labels) else labels
    return labels


def prepare_labels(model: Any, labels: NDArray[Any], count: int) -> NDArray[Any]:
    """Check `labels` against the model's output and loss, and give them as the loss wants them.

    Args:
        model: a compiled model with one output of shape (n, units).
        labels: integers (n,) or (n, 1), or class scores (n, units).
        count: how many images there are.

    Returns:
        The labels; integers made one-hot float32 of shape (n, units) where the loss is
        `categorical_crossentropy`, or `binary_crossentropy` of several classes.

    Raises:
        DataError: wrong count, values outside the classes, not a number, or a wrong shape.
    """
    if labels.ndim == 0 or len(labels) != count:
        raise DataError(
            f"{count} images but {0 if labels.ndim == 0 else len(labels)} labels; "
            "each image needs one label"
        )
    if labels.dtype.kind not in "uifb":
        raise DataError(f"labels must be numbers; got an array of dtype {labels.dtype}")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        where = int(np.argwhere(~np.isfinite(labels))[0][0])
        raise DataError(f"the label of image {where} is not a finite number; mend or remove it")
    units = _output_units(model)
    if units is None:
        return labels
    loss = loss_name(model)
    if loss in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        return _class_labels(labels, units, one_hot=loss == "categorical_crossentropy")
    if loss == "binary_crossentropy" and units > 1 and _are_classes(labels):
        return _class_labels(labels, units, one_hot=True)
    if loss == "binary_crossentropy" and (labels.min() < 0 or labels.max() > 1):
        raise DataError(
            f"binary_crossentropy takes labels from 0 to 1; got {labels.min()} to {labels.max()}"
        )
    return labels


def _are_classes(labels: NDArray[Any]) -> bool:
    """Whether there is one class for each image, and not a row of scores."""
    return labels.ndim == 1 or labels.shape[1:] == (1,)


def _class_labels(labels: NDArray[Any], units: int, *, one_hot: bool) -> NDArray[Any]:
    if not _are_classes(labels):
        if labels.shape[1:] != (units,):
            raise DataError(
                f"the model gives {units} class scores an image, but the labels have shape "
                f"{labels.shape}; give integers of shape (n,) or rows of {units}"
            )
        return labels if one_hot else np.argmax(labels, axis=1)
    flat = labels.reshape(-1)
    if not np.array_equal(flat, flat.astype(np.int64)):
        raise DataError("class labels must be whole numbers, 0 for the first class")
    flat = flat.astype(np.int64)
    wrong = np.flatnonzero((flat < 0) | (flat >= units))
    if wrong.size:
        where = int(wrong[0])
        raise DataError(
            f"the label of image {where} is {flat[where]}, but the model has {units} classes, "
            f"0 to {units - 1}; mend the label or build the model for more classes"
        )
    return np.eye(units, dtype=np.float32)[flat] if one_hot else flat


def loss_name(model: Any) -> str | None:
    """The snake-case name of the compiled loss ("categorical_crossentropy"), if it has one."""
    loss = model.loss
    if isinstance(loss, str):
        return loss
    name = getattr(loss, "name", None) or getattr(loss, "__name__", None)
    return name if isinstance(name, str) else None


def _output_units(model: Any) -> int | None:
    shape = model.output_shape
    return shape[1] if isinstance(shape, tuple) and len(shape) == 2 else None
