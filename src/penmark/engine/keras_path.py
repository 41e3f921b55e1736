"""Fit, evaluate and predict through Keras's own training loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.engine import Augment, LossFrom
from penmark.engine.backend import keras
from penmark.engine.batches import Batches
from penmark.engine.inputs import checked_labels
from penmark.engine.logits import logits_view
from penmark.engine.session import callback_list, training_arrays, watchers
from penmark.errors import InputError


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
    class_weight: Any = None,
    sample_weight: Any = None,
    validation_batch_size: int | None = None,
    augment: Augment | None = None,
    **fit_arguments: Any,
) -> Any:
    """See `penmark.engine.fit`."""
    if keras.backend.backend() == "numpy":
        raise InputError(
            "Keras's NumPy backend cannot train; unset KERAS_BACKEND, or set it to jax"
        )
    network = logits_view(model, loss_from)
    added: list[Any] = []
    steps: int | None = None
    images: int | None = None

    if not isinstance(x, np.ndarray) or fit_arguments.get("steps_per_epoch"):
        fit_arguments |= {
            "x": x,
            "y": y,
            "batch_size": batch_size,
            "validation_split": validation_split,
            "validation_data": validation_data,
            "validation_batch_size": validation_batch_size,
            "shuffle": shuffle,
            "sample_weight": sample_weight,
        }
    else:
        # Validation data that is no pair of arrays goes to Keras as it is.
        in_arrays = isinstance(validation_data, tuple | list) and isinstance(
            validation_data[0], np.ndarray
        )
        arrays = training_arrays(
            model,
            x,
            y,
            batch_size=batch_size,
            seed=seed,
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation_split=0.0 if validation_data is not None else validation_split,
            validation_data=tuple(validation_data) if in_arrays else None,
        )
        batches = Batches(
            arrays.x,
            arrays.y,
            arrays.sample_weight,
            arrays.batch_size,
            arrays.seed if shuffle else None,
            augment,
            arrays.seed,
        )
        added.append(_StartEpoch(batches, network, arrays.seed))
        steps, images = len(batches), len(arrays.x)
        if arrays.validation is not None:
            size = validation_batch_size or arrays.batch_size
            validation_data = Batches(*arrays.validation, size, None)
        fit_arguments |= {"x": batches, "validation_data": validation_data, "shuffle": False}

    added += watchers(verbose, images=images)
    with (
        callback_list(model, callbacks, added, epochs, steps) as watching,
        _synchronized(model, network),
    ):
        network.history = model.history
        # Through the class: an accelerated model's own `fit` leads here.
        type(network).fit(
            network,
            epochs=epochs,
            callbacks=watching,
            verbose=0,
            class_weight=class_weight,
            **fit_arguments,
        )
    return model.history


@contextlib.contextmanager
def _synchronized(model: Any, network: Any) -> Iterator[None]:
    """Let callbacks that ask for the user's model in mid-epoch find its variables filled.

    On JAX the variables are empty while an epoch runs; Keras fills them through this method of
    the model that is being fitted, which need not be the user's.
    """
    borrowed = network is not model and hasattr(network, "jax_state_sync")
    if borrowed:
        model.jax_state_sync = network.jax_state_sync
    try:
        yield
    finally:
        if borrowed:
            del model.jax_state_sync


def evaluate(model: Any, x: Any, y: Any, *, verbose: str | int = 0, **arguments: Any) -> Any:
    """See `penmark.engine.evaluate`."""
    if isinstance(x, np.ndarray):
        y = checked_labels(model, x, y)
    network = logits_view(model)
    return type(network).evaluate(network, x, y, verbose=verbose, **arguments)


def predict(model: Any, x: Any, *, verbose: str | int = 0, **arguments: Any) -> NDArray[np.float32]:
    """See `penmark.engine.predict`."""
    outputs: NDArray[np.float32] = type(model).predict(model, x, verbose=verbose, **arguments)
    return outputs
