"""`accelerate`: a model's own `fit`, `evaluate` and `predict` through penmark's engine."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from penmark import engine
from penmark.errors import InputError

if TYPE_CHECKING:
    import keras


def accelerate(model: keras.Model) -> keras.Model:
    """Make a model's own `fit`, `evaluate` and `predict` use the engine.

    Two lines speed up a script that is already there:

        import penmark
        model = penmark.accelerate(model)

    What the engine does not cover runs through Keras, as with `penmark.fit`. The model stays the
    same object, and saving it saves nothing of this.

    Args:
        model: a keras.Model; compiling it may come later.

    Returns:
        The same model.

    Raises:
        InputError: it is no Keras model.
    """
    from penmark.engine.backend import keras

    if not isinstance(model, keras.Model):
        raise InputError(f"accelerate takes a keras.Model; got {type(model).__name__}")

    for function in (engine.fit, engine.evaluate, engine.predict):
        setattr(model, function.__name__, functools.partial(_positional, function, model))
    return model


# The order in which Keras's methods take what is given without a name.
_PARAMETERS = {
    "fit": ("x", "y", "batch_size", "epochs", "verbose", "callbacks", "validation_split"),
    "evaluate": ("x", "y", "batch_size", "verbose", "sample_weight"),
    "predict": ("x", "batch_size", "verbose"),
}


def by_name(method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """All arguments of a call of `fit`, `evaluate` or `predict` by their names.

    Raises:
        TypeError: there are too many without a name.
    """
    names = _PARAMETERS[method]
    if len(arguments) > len(names):
        raise TypeError(f"{method}() takes at most {len(names)} arguments without a name")
    return dict(zip(names, arguments, strict=False)) | named


def _positional(function: Any, model: Any, *arguments: Any, **named: Any) -> Any:
    given = by_name(function.__name__, arguments, named)
    return function(model, given.pop("x"), **given)
