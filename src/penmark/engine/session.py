"""What every training has, whatever computes: checked data, a split, watchers, callbacks."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.engine import Augment
from penmark.engine.backend import keras
from penmark.engine.inputs import checked_labels
from penmark.engine.interruption import Interruption
from penmark.engine.progress import TrainingProgress
from penmark.errors import DataError, InputError, TrainingError

DEFAULT_BATCH_SIZE = 32


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


def watchers(verbose: str | int, *, images: int | None) -> list[Any]:
    """The callbacks that every training gets: the guard against an invalid loss, and progress.

    Args:
        verbose: as in `penmark.engine.fit`.
        images: how many images an epoch visits, if known.
    """
    guard = _StopOnInvalidLoss()
    return [guard, TrainingProgress(images=images, live=verbose != 2)] if verbose != 0 else [guard]


def augmented(
    augment: Augment, x: NDArray[Any], y: NDArray[Any], seed: int, epoch: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The images and labels that `augment` makes of `x` and `y` for an epoch.

    Raises:
        DataError: they have other shapes than what they were made of.
    """
    images, labels = augment(x, y, seed, epoch)
    if images.shape != x.shape or labels.shape != y.shape:
        raise DataError(
            f"augment made images {images.shape} and labels {labels.shape} of images {x.shape} "
            f"and labels {y.shape}; it must keep the shapes"
        )
    return images, labels


Split = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]


@dataclasses.dataclass(frozen=True)
class TrainingArrays:
    """What a training on arrays works with, checked and split.

    Args:
        x, y: images and labels to train on, labels as the loss wants them.
        sample_weight: float, shape (n,), or None.
        validation: images, labels and weights to validate on; None for none.
        batch_size: images a batch, at least 1.
        seed: of the order of images and of everything random in the network.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    sample_weight: NDArray[Any] | None
    validation: Split | None
    batch_size: int
    seed: int


def training_arrays(
    model: Any,
    x: NDArray[Any],
    y: Any,
    *,
    batch_size: int | None,
    seed: int | None,
    sample_weight: Any,
    class_weight: Mapping[int, float] | None,
    validation_split: float,
    validation_data: tuple[Any, ...] | None,
) -> TrainingArrays:
    """Check and split the arguments of `penmark.engine.fit` that are arrays or belong to them.

    Raises:
        DataError: images and labels do not fit each other or the model.
        InputError: a batch size or a split out of range, or both kinds of weights.
    """
    labels = checked_labels(model, x, y)
    size = DEFAULT_BATCH_SIZE if batch_size is None else batch_size
    if size < 1:
        raise InputError(f"batch_size must be at least 1; got {size}")
    if class_weight is not None and sample_weight is not None:
        raise InputError("give class_weight or sample_weight, not both")
    training, held_out = split_validation(
        x, labels, sample_weight, validation_split, validation_data
    )
    validation: Split | None = None
    if held_out is not None:
        images, truth, *weight = held_out
        validation = (
            images, checked_labels(model, images, truth), weight[0] if weight else None
        )  # fmt: skip
    return TrainingArrays(
        *training,
        validation=validation,
        batch_size=size,
        seed=int(np.random.randint(2**31)) if seed is None else seed,
    )


def split_validation(
    x: NDArray[Any],
    y: NDArray[Any],
    sample_weight: Any,
    validation_split: float,
    validation_data: Any,
) -> tuple[Split, Any]:
    """Take the last images for validation, as Keras does: before any shuffling.

    Returns:
        What is left to train on, and the validation data: the given one, or images, labels and,
        where there are some, weights.

    Raises:
        InputError: the share is not one.
        DataError: it leaves nothing on one side.
    """
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
    training: Split = (x[:kept], y[:kept], None if weight is None else weight[:kept])
    validation = (x[kept:], y[kept:]) if weight is None else (x[kept:], y[kept:], weight[kept:])
    return training, validation


@contextlib.contextmanager
def callback_list(
    model: Any, callbacks: Any, added: Sequence[Any], epochs: int, steps: int | None
) -> Iterator[Any]:
    """A Keras `CallbackList` of the user's callbacks and our own.

    Args:
        model: what the callbacks see as their model, and whose `history` is set.
        callbacks: the user's: one, a list, or None.
        added: our own.
        epochs, steps: of the training; steps None if unknown.
    """
    given = [] if callbacks is None else callbacks if isinstance(callbacks, list) else [callbacks]
    # Everything that watches comes before the user's callbacks, so that an error in one of those
    # finds the epoch already shown; the history comes first, so that all of them can read it.
    interruption = Interruption()
    watching = keras.callbacks.CallbackList(
        [keras.callbacks.History(), interruption, *added, *given],
        add_history=True,
        model=model,
        epochs=epochs,
        steps=steps,
        verbose=0,
    )
    try:
        with interruption.noticed():
            yield watching
    finally:
        for callback in added:
            if isinstance(callback, TrainingProgress):
                callback.close()
