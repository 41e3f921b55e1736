"""Choosing the backend that Keras computes with, before Keras is imported.

Importing penmark makes the choice; everything in penmark that needs Keras then says
`from penmark.engine.backend import keras`.

Keras takes TensorFlow unless told otherwise, and on its first import writes that default into the
user's `keras.json`. So the file naming TensorFlow says nothing about what the user wants or has;
it counts only when the backend it names is installed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penmark.errors import InputError

if TYPE_CHECKING:
    import keras as keras

# In order of preference; the module that shows whether the backend is installed.
TRAINING_BACKENDS = {"jax": "jax", "torch": "torch", "tensorflow": "tensorflow"}


def choose_backend() -> str:
    """Name the backend that Keras shall use, following the user's own settings where they can hold.

    In this order: the backend of an already imported Keras; the environment variable
    `KERAS_BACKEND`; the backend in the user's `keras.json`, if it is installed; the first
    installed one of JAX, PyTorch, TensorFlow.

    Returns:
        "jax", "torch", "tensorflow", or whatever else the user has set.

    Raises:
        InputError: `KERAS_BACKEND` names a backend that is not installed, or none is installed.
    """
    if "keras" in sys.modules:
        return str(sys.modules["keras"].backend.backend())
    named = os.environ.get("KERAS_BACKEND")
    if named:
        if named in TRAINING_BACKENDS and not _installed(named):
            raise InputError(
                f"KERAS_BACKEND is {named!r}, but {TRAINING_BACKENDS[named]} is not installed; "
                f"install it (pip install {TRAINING_BACKENDS[named]}) or unset KERAS_BACKEND"
            )
        return named
    configured = _configured_backend()
    if configured in TRAINING_BACKENDS and _installed(configured):
        return configured
    for backend in TRAINING_BACKENDS:
        if _installed(backend):
            return backend
    raise InputError(
        "Keras needs a backend and none is installed; install the lightest: pip install jax"
    )


def prefer_installed_backend() -> None:
    """Set `KERAS_BACKEND` so that a later `import keras`, by anyone, finds an installed backend.

    Does nothing where Keras is already imported or no choice is possible; whoever then needs
    Keras gets the reason from `choose_backend`.
    """
    if "keras" not in sys.modules:
        with contextlib.suppress(InputError):
            os.environ["KERAS_BACKEND"] = choose_backend()


def __getattr__(name: str) -> Any:
    """Import Keras, on the backend that `choose_backend` names, when somebody asks for `keras`."""
    if name != "keras":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = choose_backend()
    return importlib.import_module("keras")


def _installed(backend: str) -> bool:
    return importlib.util.find_spec(TRAINING_BACKENDS[backend]) is not None


def _configured_backend() -> str | None:
    """The backend in the user's keras.json, or None; a damaged file is Keras's to complain of."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        settings = json.loads((home / "keras.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    backend = settings.get("backend") if isinstance(settings, dict) else None
    return backend if isinstance(backend, str) else None
