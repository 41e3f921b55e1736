"""`load_data`: which source is meant, and size and color on request."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from penmark.data import load_data
from penmark.errors import DataError
from tests.data.files import (
    image_folder,
    picture,
    small_arrays,
    write_idx,
    write_idx_set,
)

ARRAYS = small_arrays()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_with_idx_files(tmp_path, suffix):
    dataset = load_data(write_idx_set(tmp_path / "mine", ARRAYS, suffix))
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(getattr(dataset, key), array)
    assert dataset.name == "mine" and dataset.class_names == tuple("0123456789")


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"])
def test_one_idx_file_finds_its_labels_and_partners(tmp_path, name):
    write_idx_set(tmp_path, ARRAYS)
    dataset = load_data(tmp_path / name)
    np.testing.assert_array_equal(dataset.x_train, ARRAYS["x_train"])
    np.testing.assert_array_equal(dataset.x_test, ARRAYS["x_test"])


def test_idx_files_without_a_test_split_are_split(tmp_path):
    write_idx(tmp_path / "mine-images-idx3-ubyte", np.zeros((30, 8, 8)))
    write_idx(tmp_path / "mine-labels-idx1-ubyte", np.arange(30) % 3)
    dataset = load_data(tmp_path)
    assert np.bincount(dataset.y_test).tolist() == [2, 2, 2]
    assert np.bincount(dataset.y_train).tolist() == [8, 8, 8]


def test_several_idx_sets_in_a_folder_must_be_told_apart(tmp_path):
    for name in ("a", "b", "c"):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", np.zeros((2, 2, 2)))
    with pytest.raises(DataError, match="several IDX files of images"):
        load_data(tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("minst", "did you mean mnist"),
        ("fashon-mnist", "did you mean fashion-mnist"),
        (
            "no/such/folder",
            "there is no data set or path 'no/such/folder'; the data sets are digits",
        ),
        ("", "there is no data set or path ''"),
        ("nul\0byte", "there is no data set or path"),
        ("x" * 5000, "there is no data set or path"),
        ("~nobody-of-that-name/x", "there is no data set or path"),
    ],
)
def test_unknown_sources(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        load_data(source)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_name_wins_over_a_folder_and_a_path_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image_folder(tmp_path / "digits")
    assert load_data("digits").num_classes == 10
    assert load_data("./digits").class_names == ("cat", "dog")
    assert load_data(tmp_path / "digits").class_names == ("cat", "dog")


def test_single_files_that_are_no_data_set(tmp_path):
    Image.fromarray(picture(0)).save(tmp_path / "photo.png")
    with pytest.raises(DataError, match="is not a data set"):
        load_data(tmp_path / "photo.png")
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.arange(3))
    with pytest.raises(DataError, match="give the file of images"):
        load_data(tmp_path / "train-labels-idx1-ubyte")


@pytest.mark.parametrize("stored", ["gray", "rgb"])
@pytest.mark.parametrize("color_mode", ["auto", "grayscale", "rgb"])
def test_size_and_color_of_arrays(tmp_path, stored, color_mode):
    arrays = dict(ARRAYS)
    if stored == "rgb":
        for key in ("x_train", "x_test"):
            arrays[key] = arrays[key][..., None].repeat(3, axis=-1)
    np.savez(tmp_path / "x.npz", **arrays)
    dataset = load_data(tmp_path / "x.npz", image_size=(14, 20), color_mode=color_mode)
    color = color_mode == "rgb" or (color_mode == "auto" and stored == "rgb")
    assert dataset.image_shape == ((14, 20, 3) if color else (14, 20))
    # The aspect is kept: a square of 14 in the middle, the border's median beside it.
    first = dataset.x_train[0] if not color else dataset.x_train[0, ..., 0]
    border = np.concatenate(
        [ARRAYS["x_train"][0][edge] for edge in (0, -1)]
        + [ARRAYS["x_train"][0][1:-1, edge] for edge in (0, -1)]
    )
    assert set(first[:, :3].ravel()) == {int(np.median(border))}
    assert len(set(first[:, 3:17].ravel())) > 50


def test_gray_in_three_channels_comes_back_exactly(tmp_path):
    arrays = {**ARRAYS}
    for key in ("x_train", "x_test"):
        arrays[key] = ARRAYS[key][..., None].repeat(3, axis=-1)
    np.savez(tmp_path / "x.npz", **arrays)
    dataset = load_data(tmp_path / "x.npz", color_mode="grayscale")
    np.testing.assert_array_equal(dataset.x_train, ARRAYS["x_train"])


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": (0, 28)},
        {"image_size": (28, 5000)},
        {"image_size": (28,)},
        {"image_size": (2.5, 3)},
        {"color_mode": "sepia"},
    ],
)
def test_impossible_options(options):
    with pytest.raises(DataError, match="must be"):
        load_data("digits", **options)
