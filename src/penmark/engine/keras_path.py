"""Fit, evaluate and predict through Keras's own training loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.engine import LossFrom
from penmark.engine.backend import keras
from penmark.engine.batches import Batches
from penmark.engine.inputs import check_compiled, check_images, prepare_labels
from penmark.engine.logits import LogitsView, logits_view
from penmark.engine.progress import TrainingProgress
from penmark.errors import DataError, InputError, TrainingError

DEFAULT_BATCH_SIZE = 32


class _StartEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """Puts everything random of an epoch where the seed and the epoch's number say it is."""

    def __init__(self, batches: Batches, network: Any, seed: int) -> None:
        super().__init__()
        self._batches = batches
        # Dropout and the augmentation layers each keep the state of their generator in one.
        self._generator_states = [
            variable for variable in network.variables if variable.name == "seed_generator_state"
        ]
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batches.start_epoch(epoch)
        for index, state in enumerate(self._generator_states):
            sequence = np.random.SeedSequence([self._seed, epoch, index + 1])
            # 31 bits: the state is an int32 on some backends, a uint32 on others.
            state.assign([int(sequence.generate_state(1)[0] >> 1), 0])


class _StopOnInvalidLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends the training with one clear line as soon as the loss is not a finite number."""

    # Only reads the logs, so Keras may call it beside the next step instead of waiting for it.
    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._check(logs, f"epoch {self._epoch + 1}, batch {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._check(logs, f"epoch {epoch + 1}")

    def _check(self, logs: Any, where: str) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in {where}; try a smaller learning rate, and look for "
                "images or labels that are not numbers"
            )


def fit(
    model: Any,
    x: Any,
    y: Any,
    *,
    loss_from: LossFrom,
    seed: int | None,
    verbose: str | int,
    batch_size: int | None = None,
    epochs: int = 1,
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    sample_weight: Any = None,
    **fit_arguments: Any,
) -> Any:
    """See `penmark.engine.fit`."""
    check_compiled(model)
    if keras.backend.backend() == "numpy":
        raise InputError(
            "Keras's NumPy backend cannot train; unset KERAS_BACKEND, or set it to jax"
        )
    if epochs < 1:
        raise InputError(f"epochs must be at least 1; got {epochs}")
    network = logits_view(model, loss_from)
    added: list[Any] = []
    images: int | None = None

    if not isinstance(x, np.ndarray) or fit_arguments.get("steps_per_epoch"):
        fit_arguments |= {
            "x": x,
            "y": y,
            "batch_size": batch_size,
            "validation_split": validation_split,
            "validation_data": validation_data,
            "shuffle": shuffle,
            "sample_weight": sample_weight,
        }
        steps = None
    else:
        labels = _labels(model, x, y)
        size = DEFAULT_BATCH_SIZE if batch_size is None else batch_size
        if size < 1:
            raise InputError(f"batch_size must be at least 1; got {size}")
        (x, labels, sample_weight), validation_data = split_validation(
            x, labels, sample_weight, validation_split, validation_data
        )
        if seed is None:
            seed = int(np.random.randint(2**31))
        batches = Batches(x, labels, sample_weight, size, seed if shuffle else None)
        added.append(_StartEpoch(batches, network, seed))
        steps = len(batches)
        images = len(x)
        fit_arguments |= {
            "x": batches,
            "validation_data": _validation_batches(model, validation_data, size, fit_arguments),
            "shuffle": False,
        }
        if "class_weight" in fit_arguments and sample_weight is not None:
            raise InputError("give class_weight or sample_weight, not both")

    added += watchers(verbose, images=images)
    with callback_list(model, network, callbacks, added, epochs, steps) as watching:
        network.fit(epochs=epochs, callbacks=watching, verbose=0, **fit_arguments)
    return model.history


def watchers(verbose: str | int, *, images: int | None) -> list[Any]:
    """The callbacks that every training gets: the guard against an invalid loss, and progress.

    Args:
        verbose: as in `penmark.engine.fit`.
        images: how many images an epoch visits, if known.
    """
    guard = _StopOnInvalidLoss()
    return [guard, TrainingProgress(images=images, live=verbose != 2)] if verbose != 0 else [guard]


def evaluate(model: Any, x: Any, y: Any, *, verbose: str | int = 0, **arguments: Any) -> Any:
    """See `penmark.engine.evaluate`."""
    check_compiled(model)
    if isinstance(x, np.ndarray):
        y = _labels(model, x, y)
    return logits_view(model).evaluate(x, y, verbose=verbose, **arguments)


def predict(model: Any, x: Any, *, verbose: str | int = 0, **arguments: Any) -> NDArray[np.float32]:
    """See `penmark.engine.predict`."""
    if isinstance(x, np.ndarray):
        check_images(model, x)
    outputs: NDArray[np.float32] = model.predict(x, verbose=verbose, **arguments)
    return outputs


def _labels(model: Any, x: NDArray[Any], y: Any) -> NDArray[Any]:
    check_images(model, x)
    if y is None:
        raise DataError("there are no labels: give y, one label for each image")
    return prepare_labels(model, np.asarray(y), len(x))


Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]


def split_validation(
    x: NDArray[Any],
    y: NDArray[Any],
    sample_weight: Any,
    validation_split: float,
    validation_data: Any,
) -> tuple[Arrays, Any]:
    """Take the last images for validation, as Keras does: before any shuffling."""
    weight = None if sample_weight is None else np.asarray(sample_weight)
    if not 0 <= validation_split < 1:
        raise InputError(
            f"validation_split must be at least 0 and less than 1; got {validation_split}"
        )
    if not validation_split or validation_data is not None:
        return (x, y, weight), validation_data
    kept = int(np.floor(len(x) * (1 - validation_split)))
    if kept in (0, len(x)):
        raise DataError(
            f"validation_split={validation_split} of {len(x)} images leaves "
            f"{'no training' if kept == 0 else 'no validation'} images; choose another share"
        )
    training: Arrays = (x[:kept], y[:kept], None if weight is None else weight[:kept])
    validation = (x[kept:], y[kept:]) if weight is None else (x[kept:], y[kept:], weight[kept:])
    return training, validation


def _validation_batches(
    model: Any, validation_data: Any, batch_size: int, fit_arguments: dict[str, Any]
) -> Any:
    """Validation in batches, with labels as the loss wants them."""
    if not isinstance(validation_data, (tuple, list)):
        return validation_data
    x, y, *weight = validation_data
    if not isinstance(x, np.ndarray):
        return validation_data
    size = fit_arguments.pop("validation_batch_size", None) or batch_size
    return Batches(x, _labels(model, x, y), weight[0] if weight else None, size, None)


@contextlib.contextmanager
def callback_list(
    model: Any, network: Any, callbacks: Any, added: Sequence[Any], epochs: int, steps: int | None
) -> Iterator[Any]:
    """A `CallbackList` whose callbacks see the user's model, whatever is really being fitted."""
    given = [] if callbacks is None else callbacks if isinstance(callbacks, list) else [callbacks]
    history = keras.callbacks.History()
    # Everything that watches comes before the user's callbacks, so that an error in one of those
    # finds the epoch already shown; the history comes first, so that all of them can read it.
    watching = keras.callbacks.CallbackList(
        [history, *added, *given], model=model, epochs=epochs, steps=steps, verbose=0
    )
    network.history = history
    is_view = isinstance(network, LogitsView)
    if is_view and hasattr(network, "jax_state_sync"):
        # On JAX the variables are empty in mid-epoch, and callbacks fill them through this.
        model.jax_state_sync = network.jax_state_sync
    try:
        yield watching
    finally:
        for callback in added:
            if isinstance(callback, TrainingProgress):
                callback.close()
        if is_view and "jax_state_sync" in vars(model):
            del model.jax_state_sync
