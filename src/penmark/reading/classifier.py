"""The network that says which digit a prepared image is."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.errors import ModelError

WEIGHTS = "reader.keras"
# Images at a time. More are no faster once the memory for them is there, and a page or two is all
# that most programs read.
_BATCH = 64


class Classifier:
    """Ten probabilities for each prepared image.

    Args:
        source: a run's folder, a `.keras` file, or a `keras.Model`: from gray images of 28×28 raw
            pixels to the ten digits in order.

    Raises:
        ModelError: there is no such model, it is damaged, or it is none of this kind.
    """

    def __init__(self, source: Any) -> None:
        if isinstance(source, str | Path):
            path = Path(source)
            self._name = str(path)
            self._load(path / "model.keras" if path.is_dir() else path)
        else:
            self._name = f"the model {getattr(source, 'name', type(source).__name__)!r}"
            self._keras(source)
        if self._shape not in ((28, 28), (28, 28, 1)) or self._outputs != (10,):
            raise ModelError(
                f"{self._name} cannot read digits: that takes a model from 28×28 gray images to "
                f"10 classes; this one goes from {self._shape} to {self._outputs}"
            )

    def _load(self, path: Path) -> None:
        if not path.is_file():
            raise ModelError(
                f"there is no model at {path}; give a run folder or a .keras file", path=path
            )
        try:
            from penmark.engine.native_model import NativeModel
            from penmark.engine.spec import Unsupported
        except ImportError:  # installed without the native core
            self._keras_file(path)
            return
        try:
            model = NativeModel.from_file(path)
        except Unsupported:
            self._keras_file(path)
            return
        self._shape, self._outputs = model.model.input_shape, model.model.output_layer.output_shape
        self._predict = functools.partial(model.predict, batch_size=_BATCH)

    def _keras_file(self, path: Path) -> None:
        from penmark.engine.model_file import load_model

        self._keras(load_model(path))

    def _keras(self, model: Any) -> None:
        from penmark import engine

        try:
            self._shape = tuple(model.input_shape[1:])
            self._outputs = tuple(model.output_shape[1:])
        except (AttributeError, TypeError) as error:
            raise ModelError(
                f"{self._name} is no model to read with; give a run folder, a .keras file or a "
                "keras.Model"
            ) from error
        self._predict = functools.partial(engine.predict, model)

    def __call__(self, prepared: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities, float32 of shape (n, 10), of prepared images, uint8 of (n, 28, 28)."""
        if len(prepared) == 0:
            return np.zeros((0, 10), np.float32)
        images = prepared.reshape(len(prepared), *self._shape)
        return np.asarray(self._predict(images), np.float32)


@functools.cache
def default_model() -> Classifier:
    """The network that comes with penmark.

    Raises:
        ModelError: its weights are missing from the installation.
    """
    with resources.as_file(resources.files("penmark.reading") / WEIGHTS) as path:
        if not path.is_file():
            raise ModelError(
                f"this installation lacks the weights of the reader, {path}; install penmark "
                "again, or name a model: --model RUN"
            )
        return Classifier(path)
