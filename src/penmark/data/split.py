"""Split labeled images into training and test, each class in the same proportion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from penmark.data.dataset import Int64Array

TEST_FRACTION = 0.2


def stratified_split(
    labels: Int64Array,
    *,
    seed: int = 0,
    test_fraction: float = TEST_FRACTION,
    groups: Sequence[Hashable] | None = None,
) -> tuple[Int64Array, Int64Array]:
    """Choose the test images of each class at random, in proportion.

    A class of two images or more gives at least one to the test split, where its groups allow it;
    a class of one image keeps it for training.

    Args:
        labels: int64, shape (n,), 0 or more.
        seed: the same seed gives the same split, on every machine and with every NumPy.
        test_fraction: share of each class that goes to the test split.
        groups: one key per image; images of the same group stay together. None: each alone.

    Returns:
        Indices of the training images and of the test images, int64, each in ascending order.
    """
    # The legacy generator: its stream is frozen, that of default_rng may change with a release.
    random = np.random.RandomState(seed)
    in_test = np.zeros(len(labels), dtype=np.bool_)
    placed = np.zeros(len(labels), dtype=np.bool_)
    members: dict[Hashable, list[int]] = {}
    if groups is not None:
        for index, group in enumerate(groups):
            members.setdefault(group, []).append(index)
    counts = np.bincount(labels)
    tested = np.zeros_like(counts)
    for label in np.flatnonzero(counts):
        wanted = max(1, round(test_fraction * counts[label])) if counts[label] > 1 else 0
        for index in random.permutation(np.flatnonzero(labels == label)):
            if placed[index]:
                continue
            together = [int(index)] if groups is None else members[groups[index]]
            placed[together] = True
            brought = Counter(labels[together].tolist())
            # A group may bring images of other classes along; those keep one to train on, too.
            if tested[label] + brought[label] <= wanted and all(
                tested[other] + number < counts[other] for other, number in brought.items()
            ):
                in_test[together] = True
                for other, number in brought.items():
                    tested[other] += number
    return np.flatnonzero(~in_test).astype(np.int64), np.flatnonzero(in_test).astype(np.int64)
