"""Which engine trains or runs a model: the native core, or Keras's own code, and why."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from penmark.engine import Engine, core
from penmark.engine.backend import keras
from penmark.errors import InputError


def choose_engine(
    model: Any, engine: Engine, x: Any, fit_arguments: Mapping[str, Any]
) -> tuple[Engine, str | None]:
    """ "native" or "keras" for a training, and where it is Keras the reason.

    Args:
        model: a compiled keras.Model.
        engine: what was asked for.
        x: what it is to be trained on.
        fit_arguments: further arguments of `penmark.fit`.

    Raises:
        InputError: "native" was asked for and cannot be; the message names what is in the way.
    """
    if engine == "keras":
        return "keras", None
    reason = why_not_native(model, x, fit_arguments)
    if reason is None:
        return "native", None
    if engine == "native":
        raise InputError(f"the native engine cannot train this model: {reason}")
    return "keras", reason


def why_not_native(model: Any, x: Any, fit_arguments: Mapping[str, Any]) -> str | None:
    """What keeps the native core from training a model, in a few words; None if nothing does."""
    missing = core.missing_core()
    if missing is not None:
        return missing
    if not isinstance(x, np.ndarray):
        return f"images that come as {type(x).__name__} instead of as an array"
    validation = fit_arguments.get("validation_data")
    if validation is not None and not (
        isinstance(validation, tuple | list) and isinstance(validation[0], np.ndarray)
    ):
        return f"validation data that comes as {type(validation).__name__}"
    if keras_has_gpu():
        return "Keras sees a GPU, which is faster"
    from penmark.engine.native import unsupported_reason

    return unsupported_reason(model, fit_arguments)


def core_for(x: Any, arguments: Mapping[str, Any], covered: set[str]) -> Any | None:
    """The module of the native core for a model that is not trained; None where Keras must do.

    Args:
        x: the images.
        arguments: of `penmark.evaluate` or `penmark.predict`.
        covered: the arguments that the core knows.
    """
    if core.missing_core() is not None or not isinstance(x, np.ndarray) or keras_has_gpu():
        return None
    if not {name for name, value in arguments.items() if value is not None} <= covered:
        return None
    return importlib.import_module("penmark.engine.native")


@functools.cache
def keras_has_gpu() -> bool:
    """Whether the backend would compute on something better than the CPU."""
    backend = keras.backend.backend()
    module: Any = importlib.import_module(backend) if backend != "numpy" else None
    if backend == "jax":
        return bool(module.default_backend() != "cpu")
    if backend == "torch":
        return bool(module.cuda.is_available() or module.backends.mps.is_available())
    if backend == "tensorflow":
        return bool(module.config.list_physical_devices("GPU"))
    return False


@functools.cache
def say_once(line: str) -> None:
    """A line on standard error for the person at the terminal, the first time only."""
    print(line, file=sys.stderr, flush=True)
