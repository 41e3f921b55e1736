"""Named data sets: where they are looked for, and that only the published bytes pass."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import re
import types
from pathlib import Path

import numpy as np
import pytest

from penmark.data import DATASETS, data_state, load_data, published, registry
from penmark.data.idx import idx_header, idx_sha256
from penmark.data.published import load_published
from penmark.data.registry import IDX_FILE_NAMES, DatasetInfo, RemoteFile, find_info
from penmark.errors import DataError, DownloadError
from tests.data.files import small_arrays, write_idx_set
from tests.data.mirror import Behavior, serving, unused_address

ARRAYS = small_arrays(seed=1)
OTHER_ARRAYS = small_arrays(seed=2)
# Another shuffle of the test labels, so that the two sets differ there too, as real ones do.
OTHER_ARRAYS["y_test"] = OTHER_ARRAYS["y_test"][::-1].copy()


def gz_files(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {
        f"{name}.gz": gzip.compress(
            idx_header(arrays[key].shape) + arrays[key].astype(np.uint8).tobytes(), mtime=0
        )
        for key, name in IDX_FILE_NAMES.items()
    }


def tiny_info(name: str, arrays: dict[str, np.ndarray]) -> DatasetInfo:
    """A data set of 20 and 10 images that is published as MNIST is."""
    return dataclasses.replace(
        DATASETS[name],
        train_images=20,
        test_images=10,
        files=tuple(
            RemoteFile(file_name, len(content), hashlib.sha256(content).hexdigest())
            for file_name, content in gz_files(arrays).items()
        ),
        mirrors=(),
        idx_sha256={key: idx_sha256(array) for key, array in arrays.items()},
    )


@pytest.fixture
def tiny(monkeypatch) -> DatasetInfo:
    """A tiny MNIST, and a tiny Fashion-MNIST beside it, in place of the real ones."""
    info = tiny_info("mnist", ARRAYS)
    fake = {
        "digits": DATASETS["digits"],
        "mnist": info,
        "fashion-mnist": tiny_info("fashion-mnist", OTHER_ARRAYS),
    }
    for module in (published, registry):
        monkeypatch.setattr(module, "DATASETS", types.MappingProxyType(fake))
    return info


def assert_is_tiny(dataset) -> None:
    np.testing.assert_array_equal(dataset.x_train, ARRAYS["x_train"])
    np.testing.assert_array_equal(dataset.y_train, ARRAYS["y_train"])
    np.testing.assert_array_equal(dataset.x_test, ARRAYS["x_test"])
    np.testing.assert_array_equal(dataset.y_test, ARRAYS["y_test"])
    assert dataset.class_names == tuple("0123456789")


@pytest.mark.parametrize(
    ("place", "suffix"), [("", ""), ("", ".gz"), ("mnist", ""), ("mnist", ".gz")]
)
def test_idx_files_in_the_data_folder(tiny, tmp_path, monkeypatch, place, suffix):
    monkeypatch.setenv("PENMARK_DATA", str(tmp_path))
    write_idx_set(tmp_path / place, ARRAYS, suffix)
    assert data_state("mnist") == str(tmp_path / place)
    assert_is_tiny(load_published(tiny))


def test_npz_in_the_data_folder_comes_first(tiny, tmp_path, monkeypatch, isolated):
    monkeypatch.setenv("PENMARK_DATA", str(tmp_path))
    np.savez(tmp_path / "mnist.npz", **ARRAYS)
    (isolated / "keras" / "datasets").mkdir(parents=True)
    (isolated / "keras" / "datasets" / "mnist.npz").write_bytes(b"not looked at")
    dataset = load_published(tiny)
    assert_is_tiny(dataset)
    assert dataset.source == str(tmp_path / "mnist.npz") == data_state("mnist")


def test_keras_cache_is_used(tiny, isolated):
    folder = isolated / "keras" / "datasets"
    folder.mkdir(parents=True)
    np.savez(folder / "mnist.npz", **ARRAYS)
    write_idx_set(folder / "fashion-mnist", OTHER_ARRAYS, ".gz")
    assert data_state("mnist") == str(folder / "mnist.npz")
    assert_is_tiny(load_published(tiny))
    fashion = load_published(tiny_info("fashion-mnist", OTHER_ARRAYS))
    assert fashion.source == str(folder / "fashion-mnist")
    np.testing.assert_array_equal(fashion.y_test, OTHER_ARRAYS["y_test"])


def test_an_interrupted_download_of_keras_is_passed_over(tiny, isolated):
    folder = write_idx_set(isolated / "keras" / "datasets" / "fashion-mnist", OTHER_ARRAYS, ".gz")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    assert data_state("fashion-mnist") == "download"


def test_files_of_the_other_data_set_are_not_taken_for_this_one(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PENMARK_DATA", str(tmp_path))
    write_idx_set(tmp_path, OTHER_ARRAYS)
    assert data_state("mnist") == "download"
    assert data_state("fashion-mnist") == str(tmp_path)


def test_a_copy_that_is_not_the_published_one_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PENMARK_DATA", str(tmp_path))
    changed = {**ARRAYS, "x_test": ARRAYS["x_test"] ^ 1}
    path = tmp_path / "mnist.npz"
    np.savez(path, **changed)
    with pytest.raises(DataError, match="the checksum of x_test differs") as caught:
        load_published(tiny)
    assert f"--data {path}" in str(caught.value)
    # The way out that it names:
    np.testing.assert_array_equal(load_data(path).x_test, changed["x_test"])


def test_a_smaller_copy_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PENMARK_DATA", str(tmp_path))
    np.savez(tmp_path / "mnist.npz", **small_arrays(train=10))
    with pytest.raises(DataError, match=r"x_train has shape \(10, 28, 28\) instead of \(20"):
        load_published(tiny)


def test_an_incomplete_set_names_what_is_missing(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PENMARK_DATA", str(tmp_path))
    write_idx_set(tmp_path / "mnist", ARRAYS)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="add t10k-labels-idx1-ubyte"):
        load_published(tiny)


def test_a_data_folder_that_is_none_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PENMARK_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="PENMARK_DATA names .*nowhere"):
        load_published(tiny)


def test_download_then_cache_without_network(tiny, isolated):
    assert data_state("mnist") == "download"
    with serving(gz_files(ARRAYS)) as mirror:
        assert_is_tiny(load_published(tiny, mirrors=[mirror.url]))
        assert len(mirror.requests) == 4
    assert data_state("mnist") == "cached"
    dataset = load_published(tiny, mirrors=[unused_address()])
    assert_is_tiny(dataset)
    assert dataset.source == str(isolated / "cache" / "mnist")


def test_a_damaged_cache_is_fetched_again(tiny, isolated):
    with serving(gz_files(ARRAYS)) as mirror:
        load_published(tiny, mirrors=[mirror.url])
        (isolated / "cache" / "mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
        assert data_state("mnist") == "download"
        assert_is_tiny(load_published(tiny, mirrors=[mirror.url]))
        assert len(mirror.requests) == 5


def test_no_network_and_no_copy_names_both_ways_out(tiny, tmp_path):
    with serving({}, Behavior(status=403)) as mirror:
        with pytest.raises(DownloadError) as caught:
            load_published(tiny, mirrors=[mirror.url, unused_address()])
    message = str(caught.value)
    assert "\n" not in message
    for part in ("PENMARK_DATA", "mnist.npz", *gz_files(ARRAYS), "--data digits"):
        assert part in message


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("fashion_mnist", "fashion-mnist"),
        ("Fashion MNIST", "fashion-mnist"),
        ("cifar-10", "cifar10"),
        ("CIFAR_10", "cifar10"),
        ("MNIST", "mnist"),
        ("mnist2", None),
        ("", None),
    ],
)
def test_spellings(spelling, name):
    info = find_info(spelling)
    assert (None if info is None else info.name) == name


def test_state_of_the_bundled_and_of_an_unknown_name():
    assert data_state("digits") == "bundled"
    with pytest.raises(DataError, match="choose one of digits, mnist, fashion-mnist, cifar10"):
        data_state("imagenet")


@pytest.mark.parametrize("info", DATASETS.values(), ids=lambda info: info.name)
def test_the_registry_is_consistent(info):
    assert DATASETS[info.name] is info
    assert len(set(info.class_names)) == 10
    assert info.description.endswith(".") and len(info.description) < 100
    assert all(mirror.endswith("/") for mirror in info.mirrors)
    assert bool(info.mirrors) == bool(info.files) == (info.name != "digits")
    for digest in (*(file.sha256 for file in info.files), *info.idx_sha256.values()):
        assert re.fullmatch("[0-9a-f]{64}", digest)
    assert info.download_bytes == sum(file.size_bytes for file in info.files)


@pytest.mark.parametrize(
    ("name", "train_sum", "test_sum"),
    [("mnist", 1_567_298_545, 264_923_200), ("fashion-mnist", 3_431_114_169, 573_469_082)],
)
def test_real_data_is_the_published_one(real_data: Path, monkeypatch, name, train_sum, test_sum):
    if not (real_data / f"{name}.npz").is_file():
        pytest.skip(f"PENMARK_DATA holds no {name}.npz")
    monkeypatch.setenv("PENMARK_DATA", str(real_data))
    dataset = load_data(name)
    assert dataset.x_train.shape == (60_000, 28, 28) and dataset.x_test.shape == (10_000, 28, 28)
    assert dataset.num_classes == 10
    assert int(dataset.x_train.sum()) == train_sum and int(dataset.x_test.sum()) == test_sum
    if name == "mnist":
        assert dataset.y_train[:5].tolist() == [5, 0, 4, 1, 9]
        assert np.bincount(dataset.y_test).tolist() == [
            980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
        ]  # fmt: skip
