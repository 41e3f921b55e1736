"""Opening `.keras` files, of which some are damaged and some are something else."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from penmark.engine import core
from penmark.errors import ModelError

if TYPE_CHECKING:
    import keras

    from penmark.engine.native_model import NativeModel


def load_model(path: Path | str) -> keras.Model:
    """Load a model, compiled as it was saved, without running code from the file.

    Args:
        path: a `.keras` file.

    Raises:
        ModelError: there is no such file, it is no `.keras` file, or it cannot be read whole.
    """
    path = _keras_file(path)
    from penmark.engine.backend import keras

    # Keras refuses a layer that carries code of its own (Lambda) unless safe mode is off.
    try:
        model: keras.Model = keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # Keras raises whatever the damaged part happens to cause.
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelError(f"{path} cannot be loaded as a model: {first_line}", path=path) from error
    return model


def open_model(path: Path | str) -> keras.Model | NativeModel:
    """Open a model to use it as it is: for `penmark.predict` and `penmark.evaluate`.

    Where the native core covers the model, it runs there and Keras is not imported.

    Args:
        path: a `.keras` file.

    Raises:
        ModelError: as `load_model`.
    """
    path = _keras_file(path)
    if core.missing_core() is None:
        from penmark.engine.native_model import NativeModel
        from penmark.engine.spec import Unsupported

        with contextlib.suppress(Unsupported):
            return NativeModel.from_file(path)
    return load_model(path)


def _keras_file(path: Path | str) -> Path:
    """The path, if it is that of a `.keras` file as far as a glance tells. Raises ModelError."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(
            f"there is no model at {path}; give a run folder or a .keras file", path=path
        )
    if not zipfile.is_zipfile(path):
        raise ModelError(
            f"{path} is not a .keras file (or was cut short); save the model again with "
            "model.save('name.keras')",
            path=path,
        )
    return path
