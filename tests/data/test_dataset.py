"""`Dataset` refuses what does not fit together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from penmark.data import Dataset
from penmark.errors import DataError
from tests.data.files import small_arrays


def made(**changes: object) -> Dataset:
    arrays = {**small_arrays(), "class_names": tuple("0123456789"), **changes}
    return Dataset(name="tiny", **arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((20, 28, 28))}, "x_train must be uint8"),
        ({"x_test": np.zeros((10, 784), np.uint8)}, "x_test must be uint8 of shape"),
        ({"y_train": np.zeros(20, np.int32)}, "y_train must be int64"),
        ({"y_test": np.zeros((10, 1), np.int64)}, "y_test must be int64 of shape"),
        ({"y_train": np.zeros(19, np.int64)}, "20 train images but 19 train labels"),
        ({"y_train": np.full(20, 10)}, r"y_train\[0\] is 10, but with 10 classes"),
        ({"y_test": np.full(10, -1)}, r"y_test\[0\] is -1"),
        ({"x_test": np.zeros((10, 14, 14), np.uint8)}, "give both the same shape"),
        (
            {"x_train": np.zeros((0, 28, 28), np.uint8), "y_train": np.zeros(0, np.int64)},
            "no training images",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        made(**changes)


def test_an_empty_test_split_is_allowed():
    empty = made(x_test=np.zeros((0, 28, 28), np.uint8), y_test=np.zeros(0, np.int64))
    assert empty.image_shape == (28, 28) and len(empty.checksum) == 64


def test_the_checksum_is_about_the_content():
    one, same = made(), made()
    assert one.checksum == same.checksum
    changed = one.x_test.copy()
    changed[3, 4, 5] ^= 1
    for other in (
        dataclasses.replace(one, x_test=changed),
        dataclasses.replace(one, y_test=one.y_test[::-1].copy()),
        dataclasses.replace(one, class_names=tuple("abcdefghij")),
    ):
        assert other.checksum != one.checksum
    assert dataclasses.replace(one, name="other").checksum == one.checksum


def test_one_against_the_rest():
    binary = made().one_against_rest("3")
    assert binary.class_names == ("not 3", "3")
    np.testing.assert_array_equal(binary.y_train, made().y_train == 3)
    assert binary.y_test.dtype == np.int64
    with pytest.raises(DataError, match="no class 'x'; choose one of 0, 1"):
        made().one_against_rest("x")
