"""penmark: from images of handwritten digits to a trained, evaluated network.

Keras is the language: a model is a `keras.Model`, a history a `keras.callbacks.History`, a saved
model a `.keras` file. Importing penmark imports neither Keras nor a Keras backend; they are loaded
when a network is built, trained or used for the first time. What importing penmark does is to
choose an installed backend, so that a script's own `import keras` after it finds one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from penmark.engine.backend import prefer_installed_backend
from penmark.engine.lazy_keras import put_off_large_parts

if TYPE_CHECKING:
    from penmark import export as export
    from penmark import recipes as recipes
    from penmark.data import Dataset as Dataset
    from penmark.data import load_data as load_data
    from penmark.engine import evaluate as evaluate
    from penmark.engine import fit as fit
    from penmark.engine import predict as predict
    from penmark.engine.accelerate import accelerate as accelerate
    from penmark.reading import read as read
    from penmark.report import figures as plot
    from penmark.runs import Run as Run

__version__ = "0.1.0"

# name -> (module, attribute); an attribute of None stands for the module itself.
_EXPORTS: dict[str, tuple[str, str | None]] = {
    "Dataset": ("penmark.data", "Dataset"),
    "Run": ("penmark.runs", "Run"),
    "accelerate": ("penmark.engine.accelerate", "accelerate"),
    "evaluate": ("penmark.engine", "evaluate"),
    "export": ("penmark.export", None),
    "fit": ("penmark.engine", "fit"),
    "load_data": ("penmark.data", "load_data"),
    "plot": ("penmark.report.figures", None),
    "predict": ("penmark.engine", "predict"),
    "read": ("penmark.reading", "read"),
    "recipes": ("penmark.recipes", None),
}

__all__ = [
    "Dataset",
    "Run",
    "__version__",
    "accelerate",
    "evaluate",
    "export",
    "fit",
    "load_data",
    "plot",
    "predict",
    "read",
    "recipes",
]


prefer_installed_backend()
put_off_large_parts()


def __getattr__(name: str) -> Any:
    try:
        module_name, attribute = _EXPORTS[name]
    except KeyError:
        raise AttributeError(f"module 'penmark' has no attribute {name!r}") from None
    module = importlib.import_module(module_name)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
