"""The stratified split keeps proportions and groups, and never changes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penmark.data.split import stratified_split

labels_and_groups = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), max_size=60)


@given(st.lists(st.integers(0, 4), max_size=80), st.integers(0, 2**32 - 1))
def test_every_class_in_proportion(labels, seed):
    labels = np.array(labels, dtype=np.int64)
    train, test = stratified_split(labels, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(labels)))
    for label in np.unique(labels):
        count = np.count_nonzero(labels == label)
        in_test = np.count_nonzero(labels[test] == label)
        assert in_test == (0 if count == 1 else max(1, round(0.2 * count)))


@given(labels_and_groups)
def test_groups_stay_together_and_every_class_keeps_a_training_image(pairs):
    labels = np.array([label for label, _ in pairs], dtype=np.int64)
    groups = [group for _, group in pairs]
    train, test = stratified_split(labels, groups=groups)
    assert len(train) + len(test) == len(labels)
    assert not {groups[row] for row in train} & {groups[row] for row in test}
    assert set(labels[train]) == set(labels)


def test_the_split_is_the_same_for_ever():
    _, test = stratified_split(np.arange(30) % 3, seed=0)
    assert test.tolist() == [6, 8, 10, 11, 16, 24]
