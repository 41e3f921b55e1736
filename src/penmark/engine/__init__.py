"""Fit, evaluate and predict with Keras models, by the names and arguments that Keras uses."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from penmark.errors import InputError

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from penmark.engine.native_model import NativeModel

Engine = Literal["auto", "native", "keras"]
ENGINES: tuple[Engine, ...] = ("auto", "native", "keras")
LossFrom = Literal["logits", "probabilities"]
# (images, labels, seed, epoch) -> images, labels
Augment = Callable[[Any, Any, int, int], tuple[Any, Any]]

__all__ = ["ENGINES", "Augment", "Engine", "LossFrom", "check_engine", "evaluate", "fit", "predict"]


def fit(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    engine: Engine = "auto",
    loss_from: LossFrom = "logits",
    seed: int | None = None,
    verbose: str | int = "auto",
    augment: Augment | None = None,
    **fit_arguments: Any,
) -> keras.callbacks.History:
    """Train a compiled model, as `model.fit` would, and return the same `History`.

    Three things differ from calling `model.fit`. The cross-entropy is taken from the logits even
    though the model outputs probabilities: the same mathematics, without the collapse that
    clipped probabilities bring. Integer labels are welcome where the loss is
    `categorical_crossentropy`. And with a `seed`, the order of the images and every dropout mask
    depend on the seed and the epoch's number alone, so that training from epoch 5 on gives what
    an uninterrupted training gives.

    Args:
        model: a compiled model.
        x: images, uint8 or float, shape (n, *model.input_shape[1:]); or whatever else
            `model.fit` takes (a generator, a `tf.data.Dataset`), which is passed on.
        y: integers of shape (n,), or one row of class scores for each image, shape (n, classes).
        engine: "native" is penmark's own core, "keras" is Keras's own loop; "auto" takes the core
            where it covers the model, and Keras, after one line that says why, where it does not.
        loss_from: "probabilities" takes the cross-entropy from probabilities clipped to
            [1e-7, 1 - 1e-7], as Keras did when the published networks were trained: images that
            the network gets badly wrong then have no gradient.
        seed: makes the run repeatable; None draws one from NumPy's global generator, which
            `keras.utils.set_random_seed` sets.
        verbose: "auto" or 1 for a live line, 2 for one line an epoch, 0 for silence.
        augment: (images, labels, seed, epoch) -> the images and labels of that epoch, as many and
            of the same shape: called at the beginning of every epoch with the images to train on
            (not those held out for validation) and their labels as the loss wants them. What it
            does should depend on its four arguments alone, so that a training can be repeated and
            resumed. None trains on the same images every epoch.
        **fit_arguments: `batch_size`, `epochs`, `callbacks`, `validation_split`,
            `validation_data`, `shuffle`, `class_weight`, `sample_weight`, `initial_epoch` and the
            others of `model.fit`.

    Raises:
        DataError: images and labels do not fit each other or the model.
        ModelError: the model is not compiled.
        TrainingError: the loss became infinite or not a number.
    """
    check_engine(engine)
    if fit_arguments.get("epochs", 1) < 1:
        raise InputError(f"epochs must be at least 1; got {fit_arguments['epochs']}")
    from penmark.engine.choice import choose_engine, say_once
    from penmark.engine.inputs import check_compiled

    check_compiled(model)
    if augment is not None:
        if not hasattr(x, "dtype"):
            raise InputError(f"augment needs images in an array; got {type(x).__name__}")
        fit_arguments["augment"] = augment
    chosen, reason = choose_engine(model, engine, x, fit_arguments | {"loss_from": loss_from})
    if reason is not None and verbose != 0:
        say_once(f"Training through Keras: {reason}")
    path = importlib.import_module(f"penmark.engine.{_PATHS[chosen]}")
    history: keras.callbacks.History = path.fit(
        model, x, y, loss_from=loss_from, seed=seed, verbose=verbose, **fit_arguments
    )
    return history


def evaluate(
    model: keras.Model | NativeModel,
    x: Any,
    y: Any = None,
    *,
    verbose: str | int = 0,
    **evaluate_arguments: Any,
) -> Any:
    """Loss and metrics on given images, as `model.evaluate` gives them.

    The cross-entropy is taken from the logits, as in `fit`.

    Args:
        model: a compiled model, or one that `engine.model_file.open_model` opened.
        x, y: as in `fit`.
        verbose: as in Keras, where Keras does the work; the native core is silent.
        **evaluate_arguments: `batch_size`, `return_dict`, `sample_weight` and the others of
            `model.evaluate`.

    Returns:
        What `model.evaluate` returns: a list of floats, or with `return_dict=True` a dict.

    Raises:
        DataError, ModelError: as `fit`.
    """
    from penmark.engine.inputs import check_compiled, checked_labels

    check_compiled(model)
    native = _in_core(model)
    if native is not None:
        as_dict = evaluate_arguments.pop("return_dict", False)
        results = native.evaluate(x, checked_labels(native, x, y), **evaluate_arguments)
        return results if as_dict else list(results.values())
    from penmark.engine import keras_path
    from penmark.engine.choice import core_for

    core = core_for(x, evaluate_arguments, {"batch_size", "return_dict", "sample_weight"})
    if core is not None:
        with contextlib.suppress(core.Unsupported):
            return core.evaluate(model, x, y, **evaluate_arguments)
    return keras_path.evaluate(model, x, y, verbose=verbose, **evaluate_arguments)


def predict(
    model: keras.Model | NativeModel, x: Any, *, verbose: str | int = 0, **predict_arguments: Any
) -> NDArray[Any]:
    """The model's outputs for given images, as `model.predict` gives them.

    Args:
        model: any model, or one that `engine.model_file.open_model` opened.
        x: images, uint8 or float, shape (n, *model.input_shape[1:]).
        verbose: as in Keras, where Keras does the work; the native core is silent.
        **predict_arguments: `batch_size` and the others of `model.predict`.

    Returns:
        float32, shape (n, *model.output_shape[1:]); for a classifier the probabilities. bfloat16
        where the last layer's policy is `mixed_bfloat16`.

    Raises:
        DataError: the images do not fit the model.
    """
    from penmark.engine.inputs import check_images

    if hasattr(x, "dtype"):
        check_images(model, x)
    native = _in_core(model)
    if native is not None:
        return native.predict(x, **predict_arguments)
    from penmark.engine import keras_path
    from penmark.engine.choice import core_for

    core = core_for(x, predict_arguments, {"batch_size"})
    if core is not None:
        with contextlib.suppress(core.Unsupported):
            return core.predict(model, x, **predict_arguments)  # type: ignore[no-any-return]
    return keras_path.predict(model, x, verbose=verbose, **predict_arguments)


def _in_core(model: Any) -> NativeModel | None:
    """The model itself if it lives in the native core alone, and not in Keras."""
    from penmark.engine import core

    if core.missing_core() is not None:
        return None
    from penmark.engine.native_model import NativeModel

    return model if isinstance(model, NativeModel) else None


_PATHS = {"native": "native", "keras": "keras_path"}


def check_engine(engine: str) -> None:
    """Raise InputError unless `engine` is one of `ENGINES`."""
    if engine not in ENGINES:
        raise InputError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}")
