"""Data sets in .npz files, good and bad."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penmark.data import load_data
from penmark.data.npz import read_npz
from penmark.errors import DataError
from tests.data.files import small_arrays


def save(path: Path, **changes: object) -> Path:
    """A good data set, but for `changes`; None leaves an array out."""
    arrays = {**small_arrays(), **changes}
    kept = {key: np.asarray(value) for key, value in arrays.items() if value is not None}
    np.savez(path, **kept)
    return path


@st.composite
def data_sets(draw):
    classes = draw(st.integers(2, 4))
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    shape += draw(st.sampled_from([(), (1,), (3,)]))
    counts = draw(st.tuples(st.integers(classes, 8), st.integers(0, 5)))
    return {
        "x_train": draw(hnp.arrays(np.uint8, (counts[0], *shape))),
        "y_train": np.arange(counts[0]) % classes,
        "x_test": draw(hnp.arrays(np.uint8, (counts[1], *shape))),
        "y_test": np.arange(counts[1]) % classes,
    }


@given(
    data_sets(),
    st.sampled_from([np.uint8, np.int32, np.int64, np.float64]),
    st.sampled_from(["plain", "column", "one-hot"]),
    st.booleans(),
)
def test_data_sets_come_back(tmp_path_factory, arrays, label_type, label_form, compressed):
    path = tmp_path_factory.mktemp("npz") / "mine.npz"
    stored = dict(arrays)
    for key in ("y_train", "y_test"):
        labels = arrays[key].astype(label_type)
        if label_form == "column":
            labels = labels[:, None]
        if label_form == "one-hot":
            labels = np.eye(arrays["y_train"].max() + 1, dtype=label_type)[arrays[key]]
        stored[key] = labels
    (np.savez_compressed if compressed else np.savez)(path, **stored)
    dataset = read_npz(path)
    for split in ("train", "test"):
        images = arrays[f"x_{split}"]
        expected = images[..., 0] if images.ndim == 4 and images.shape[-1] == 1 else images
        np.testing.assert_array_equal(getattr(dataset, f"x_{split}"), expected)
        np.testing.assert_array_equal(getattr(dataset, f"y_{split}"), arrays[f"y_{split}"])
    assert dataset.name == "mine"
    assert dataset.class_names == tuple(map(str, range(arrays["y_train"].max() + 1)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None, "y_test": None}, "lacks x_test, y_test"),
        ({"x_train": small_arrays()["x_train"] / 255}, r"fractions such as 0\.\d+; .*x \* 255"),
        ({"x_train": np.ones((20, 28, 28))}, "holds only 0 and 1"),
        ({"x_train": np.full((20, 28, 28), np.nan)}, "values from nan to nan"),
        ({"x_train": np.full((20, 28, 28), 256)}, "from 256 to 256"),
        ({"x_train": np.full((20, 28, 28), -1.0)}, "from -1 to -1"),
        ({"x_train": np.zeros((20, 28, 28), bool)}, "dtype bool"),
        ({"x_train": np.zeros((20, 784), np.uint8)}, r"reshape\(-1, 28, 28\)"),
        ({"x_train": np.zeros((20, 3, 28, 28), np.uint8)}, "channels come last"),
        ({"x_train": np.zeros((20, 28, 28, 4), np.uint8)}, "so 4 channels"),
        ({"x_train": np.zeros((20, 0, 28), np.uint8)}, "images need"),
        ({"x_train": np.zeros((19, 28, 28), np.uint8)}, "19 train images but 20 train labels"),
        ({"x_test": np.zeros((10, 20, 20), np.uint8)}, "test images are"),
        ({"y_train": np.arange(20) % 10 + 1, "y_test": np.arange(10) + 1}, "subtract 1"),
        ({"y_train": np.arange(20) % 10 * 2, "y_test": np.arange(10)}, "11, 13, 15, 17 are never"),
        ({"y_train": np.zeros(20, int), "y_test": np.zeros(10, int)}, "only one class, '0'"),
        ({"y_train": np.full(20, -1)}, r"y_train\[0\] is -1"),
        ({"y_train": np.full(20, 0.5)}, r"y_train\[0\] is 0.5"),
        ({"y_train": np.full(20, np.nan)}, r"y_train\[0\] is nan"),
        ({"y_train": np.full(20, 1e30)}, r"y_train\[0\] is 1e\+30"),
        ({"y_train": np.full(20, "a")}, "class_names"),
        ({"y_train": np.ones((20, 10), int)}, "row 0 is not one-hot"),
        ({"y_train": np.zeros((20, 1, 1), int)}, r"give labels of shape \(n,\)"),
        ({"class_names": np.array(["a", "b"])}, "with 2 classes labels run from 0 to 1"),
        ({"class_names": np.arange(10)}, "one-dimensional array of text"),
        ({"class_names": np.array(["same"] * 10)}, "'same' is there twice"),
        ({"class_names": np.array([*"abcdefghi", "x\ny"])}, r"'x\\ny' has control characters"),
        ({"class_names": np.array([*"abcdefghi", " "])}, "is blank"),
        ({"x_train": np.array([None] * 20, dtype=object)}, "never loads"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, changes, message):
    path = save(tmp_path / "mine.npz", **changes)
    with pytest.raises(DataError, match=message) as caught:
        load_data(path)
    assert "\n" not in str(caught.value)


def test_whole_floats_are_accepted(tmp_path):
    arrays = small_arrays()
    dataset = load_data(save(tmp_path / "x.npz", x_train=arrays["x_train"].astype(np.float32)))
    assert dataset.x_train.dtype == np.uint8
    np.testing.assert_array_equal(dataset.x_train, arrays["x_train"])


def test_class_names_are_kept_as_given(tmp_path):
    names = ["<b>bold</b>", "Ärmel", "\u4e8c", "long " * 100, *"abcdef"]
    dataset = load_data(save(tmp_path / "x.npz", class_names=np.array(names)))
    # NumPy's text arrays drop trailing zeros only, so trailing blanks are still there.
    assert dataset.class_names == tuple(names)


def test_class_names_allow_labels_that_skip_values(tmp_path):
    changes = {"y_train": np.arange(20) % 2 * 9, "y_test": np.zeros(10, int)}
    dataset = load_data(save(tmp_path / "x.npz", class_names=np.array([*"abcdefghij"]), **changes))
    assert dataset.num_classes == 10


def test_a_pickle_in_disguise_is_not_loaded(tmp_path):
    """An object array whose unpickling would leave a trace."""
    trace = tmp_path / "trace"

    class Harm:
        def __reduce__(self):
            return (open, (str(trace), "w"))

    path = tmp_path / "x.npz"
    harm = np.empty(1, dtype=object)
    harm[0] = Harm()
    np.savez(path, **{**small_arrays(), "class_names": harm})
    with pytest.raises(DataError, match="pickled Python objects"):
        load_data(path)
    assert not trace.exists()


def npy_bytes(shape: tuple[int, ...], content: bytes) -> bytes:
    stream = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + content


def test_headers_that_lie_take_no_memory(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{key}.npy", npy_bytes((10**9, 3), b"\0" * 1000))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="not the size of its data"):
            load_data(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6


def test_a_zip_bomb_is_refused_by_its_declared_size(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, **{**small_arrays(), "x_train": np.zeros((20_000, 28, 28), np.uint8)})
    with pytest.raises(DataError, match="more than the 1,000,000"):
        read_npz(path, max_bytes=1_000_000)


@settings(max_examples=60)
@given(st.data())
def test_a_cut_or_changed_file_gives_an_error_or_the_same_data(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("npz") / "x.npz"
    np.savez_compressed(path, **small_arrays(train=10))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        dataset = read_npz(path)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        np.testing.assert_array_equal(dataset.x_train, small_arrays(train=10)["x_train"])


def test_a_zip_of_images_is_explained(tmp_path):
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/1.png", b"")
    with pytest.raises(DataError, match="unpack it"):
        load_data(path)
