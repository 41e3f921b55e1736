"""The order in which an epoch visits the images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """A permutation that depends on the seed and the epoch's number alone.

    Args:
        count: how many images there are.
        seed: the training's seed, 0 or more.
        epoch: 0 for the first.

    Returns:
        int64, shape (count,); the same for the same three numbers on every machine.
    """
    return np.random.default_rng([seed, epoch]).permutation(count)
