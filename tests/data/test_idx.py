"""IDX files: what is written comes back; what lies about itself is refused."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penmark.data.idx import idx_header, idx_sha256, labels_beside, read_idx, read_idx_pair
from penmark.errors import DataError
from tests.data.files import write_idx

byte_arrays = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6))


@given(byte_arrays, st.sampled_from(["x", "x.gz"]))
def test_arrays_come_back(tmp_path_factory, array, name):
    path = write_idx(tmp_path_factory.mktemp("idx") / name, array)
    read = read_idx(path)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == np.uint8 and read.shape == array.shape


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_bytes_give_an_array_or_a_data_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("idx") / "x"
    path.write_bytes(content)
    try:
        read_idx(path)
    except DataError as error:
        assert str(path) in str(error) and "\n" not in str(error)


@given(byte_arrays.filter(lambda array: array.size > 0), st.data())
def test_a_gzip_file_cut_anywhere_is_refused(tmp_path_factory, array, data):
    path = write_idx(tmp_path_factory.mktemp("idx") / "x.gz", array)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 9))])
    with pytest.raises(DataError):
        read_idx(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file"),
        (b"\0\0\x0d\1" + struct.pack(">I", 1) + b"\0" * 4, "holds 32-bit floats"),
        (b"\0\0\x77\1\0\0\0\1\0", "unknown type 0x77"),
        (b"\0\0\x08\3\0\0", "ends within its header"),
        (idx_header((3, 2, 2)) + b"\0" * 11, "declares 12 bytes, 11 are there"),
        (idx_header((3, 2, 2)) + b"\0" * 13, "longer than the 12 bytes"),
        (idx_header((2**32 - 1, 2**32 - 1)), "more than the 4,294,967,296"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, message):
    path = tmp_path / "x"
    for stored in (content, gzip.compress(content)):
        path.write_bytes(stored)
        with pytest.raises(DataError, match=message):
            read_idx(path)


def test_a_header_that_lies_takes_no_memory(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(idx_header((3 * 10**9,)) + b"\0" * 1000)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="1,000 are there"):
            read_idx(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "x.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(idx_header((10,)))
        for _ in range(100):
            stream.write(b"\0" * 10**6)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="longer than the 10 bytes"):
            read_idx(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6


def test_a_missing_file_and_a_folder_are_data_errors(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(DataError, match="cannot read"):
            read_idx(path)


def test_images_and_labels_must_agree(tmp_path):
    images = write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((3, 2, 2)))
    labels = write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(2))
    with pytest.raises(DataError, match="3 images .* 2 labels"):
        read_idx_pair(images, labels)
    with pytest.raises(DataError, match="images need 3 dimensions"):
        read_idx_pair(labels, labels)
    with pytest.raises(DataError, match="labels need 1 dimension"):
        read_idx_pair(images, images)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("emnist-letters-test-images-idx3-ubyte.gz", "emnist-letters-test-labels-idx1-ubyte.gz"),
    ],
)
def test_labels_are_found_by_name(tmp_path, images, labels):
    for name in (images, labels, "other-labels-idx1-ubyte"):
        (tmp_path / name).touch()
    assert labels_beside(tmp_path / images).name == labels


def test_missing_labels_are_named(tmp_path):
    with pytest.raises(DataError, match="put train-labels-idx1-ubyte"):
        labels_beside(tmp_path / "train-images-idx3-ubyte")


def test_checksum_is_that_of_the_file(tmp_path: Path):
    import hashlib

    array = np.arange(24, dtype=np.int64).reshape(2, 3, 4)
    path = write_idx(tmp_path / "x", array)
    assert idx_sha256(array) == hashlib.sha256(path.read_bytes()).hexdigest()
