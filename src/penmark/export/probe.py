"""Does the exported file answer as the model does? Images to ask, and the model's own answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.data import load_data
from penmark.data.dataset import UInt8Array
from penmark.data.shaping import conform
from penmark.engine.spec import Shape
from penmark.errors import ExportError
from penmark.export.source import Source, in_float32

DIGITS, NOISE = 100, 26
# Networks on raw pixels have logits in the thousands, of which float32 keeps four decimals; a
# wrong layer shows in the first.
_TOLERANCE = 1e-3


def probe_images(shape: Shape) -> UInt8Array:
    """Images to compare two forms of a model on: digits, noise, a blank one and a full one.

    Args:
        shape: of one image, as the model takes it.

    Returns:
        uint8, (128, *shape).
    """
    noise = np.random.default_rng(0).integers(0, 256, (NOISE, *shape), np.uint8)
    plain = np.stack([np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)])
    digits = load_data("digits").x_test[:DIGITS]
    return np.concatenate([_in_shape(digits, shape), noise, plain])


def _in_shape(digits: UInt8Array, shape: Shape) -> UInt8Array:
    """The bundled digits in the model's shape; in one that no image has, their pixels repeated."""
    gray_or_color = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
    if gray_or_color and max(shape[:2]) <= 1024:
        color = len(shape) == 3 and shape[2] == 3
        resized = conform(digits, (shape[0], shape[1]), "rgb" if color else "grayscale")
        return resized.reshape(len(digits), *shape)
    pixels = digits.reshape(len(digits), -1)
    return np.resize(pixels, (len(digits), math.prod(shape))).reshape(len(digits), *shape)


def own_model(source: Source) -> Any:
    """The model in Keras, computing in float32 even where it was trained in mixed precision.

    Raises:
        ModelError: Keras cannot load the file.
    """
    from penmark.engine.model_file import load_model

    model = load_model(source.model_path)
    if source.computes_in == "float32":
        return model
    twin = type(model).from_config(in_float32(model.get_config()))
    twin.set_weights(model.get_weights())
    return twin


def largest_difference(answers: NDArray[Any], own: NDArray[Any], path: Any) -> float:
    """Compare an exported file's answers with the model's own.

    Args:
        answers, own: of the same shape.
        path: of the export, for the message.

    Returns:
        The largest absolute difference between two numbers.

    Raises:
        ExportError: it is larger than rounding explains.
    """
    if answers.shape != own.shape:
        raise ExportError(
            f"{path} would answer with shape {answers.shape} where the model gives {own.shape}; "
            "nothing was written",
            path=path,
        )
    same = (answers == own) | (np.isnan(answers) & np.isnan(own))
    with np.errstate(invalid="ignore"):  # infinity minus infinity, which is the same
        difference = np.where(same, 0.0, np.abs(answers.astype(np.float64) - own))
    largest = float(difference.max(initial=0.0))
    scale = max(1.0, float(np.abs(own[np.isfinite(own)]).max(initial=0.0)))
    if not largest <= _TOLERANCE * scale:
        raise ExportError(
            f"{path} would answer differently from the model (by up to {largest:.2g}); "
            "nothing was written",
            path=path,
        )
    return largest
