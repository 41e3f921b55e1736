"""Batches of in-memory arrays, in the order of the epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.engine import Augment
from penmark.engine.backend import keras
from penmark.engine.order import epoch_order
from penmark.engine.session import augmented


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Slices of images, labels and weights; images keep their dtype until they reach the model.

    Args:
        x: images, shape (n, ...).
        y: labels, shape (n, ...).
        sample_weight: float, shape (n,), or None.
        batch_size: images a batch; the last one may be smaller.
        shuffle_seed: None for the given order.
        augment: as for `penmark.fit`; None for the same images every epoch.
        augment_seed: the seed that `augment` gets.
    """

    def __init__(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        sample_weight: NDArray[Any] | None,
        batch_size: int,
        shuffle_seed: int | None,
        augment: Augment | None = None,
        augment_seed: int = 0,
    ) -> None:
        super().__init__()
        self._given: tuple[NDArray[Any], ...] = (x, y)
        if sample_weight is not None:
            self._given = (x, y, sample_weight)
        self._arrays: tuple[NDArray[Any], ...] = self._given
        self._augment = augment
        self._augment_seed = augment_seed
        self._batch_size = batch_size
        self._shuffle_seed = shuffle_seed
        self._order: NDArray[np.int64] = np.arange(len(x))

    def start_epoch(self, epoch: int) -> None:
        """Set the order, and make the images, for the epoch of this number."""
        if self._augment is not None:
            x, y, *weight = self._given
            made = augmented(self._augment, x, y, self._augment_seed, epoch)
            self._arrays = (*made, *weight)
        if self._shuffle_seed is not None:
            self._order = epoch_order(len(self._order), self._shuffle_seed, epoch)

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
        start = index * self._batch_size
        chosen = self._order[start : start + self._batch_size]
        return tuple(array[chosen] for array in self._arrays)
