"""CIFAR-10's binary archive, small: read in order, and nothing that does not belong."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from penmark.data import DATASETS
from penmark.data.cifar import read_cifar10
from penmark.data.published import load_published
from penmark.errors import DataError
from tests.data.files import picture

FOLDER = "cifar-10-batches-bin"
NAMES = [f"{FOLDER}/data_batch_{number}.bin" for number in range(1, 6)] + [
    f"{FOLDER}/test_batch.bin"
]
PER_BATCH = 3


def records(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    table = random.integers(0, 256, (PER_BATCH, 3073), dtype=np.uint8)
    table[:, 0] = random.integers(0, 10, PER_BATCH)
    return table.tobytes()


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def good_members() -> dict[str, bytes]:
    # In another order than they are wanted, and with the small files that the real one has.
    members = {name: records(seed) for seed, name in enumerate(NAMES)}
    return {
        f"{FOLDER}/readme.html": b"<html>",
        **dict(reversed(members.items())),
        f"{FOLDER}/batches.meta.txt": b"airplane\n",
    }


def test_images_and_labels(tmp_path):
    path = write_archive(tmp_path / "cifar-10-binary.tar.gz", good_members())
    x_train, y_train, x_test, y_test = read_cifar10(path, images_per_batch=PER_BATCH)
    assert x_train.shape == (15, 32, 32, 3) and x_test.shape == (3, 32, 32, 3)
    third = np.frombuffer(records(2), np.uint8).reshape(PER_BATCH, 3073)
    np.testing.assert_array_equal(y_train[6:9], third[:, 0])
    # Planes red, green, blue; rows within each.
    assert x_train[6, 1, 2].tolist() == [
        third[0, 1 + plane * 1024 + 1 * 32 + 2] for plane in range(3)
    ]
    np.testing.assert_array_equal(y_test, np.frombuffer(records(5), np.uint8)[::3073])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({NAMES[3]: None}, "lacks .*data_batch_4"),
        ({NAMES[3]: b"short"}, "must be a file of 9,219 bytes; got 5"),
        ({"../../evil": b"\0" * (2**20 + 1)}, "not part of CIFAR-10"),
        ({f"{FOLDER}/{number}": b"" for number in range(40)}, "not part of CIFAR-10"),
    ],
)
def test_odd_archives_are_refused(tmp_path, change, message):
    members = {k: v for k, v in {**good_members(), **change}.items() if v is not None}
    path = write_archive(tmp_path / "c.tar.gz", members)
    with pytest.raises(DataError, match=message):
        read_cifar10(path, images_per_batch=PER_BATCH)
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.tar.gz"]


def test_a_link_in_place_of_a_batch_is_refused(tmp_path):
    path = tmp_path / "c.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo(NAMES[0])
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataError, match="must be a file"):
        read_cifar10(path, images_per_batch=PER_BATCH)


@pytest.mark.parametrize("kept", [0, 5, 1000, 20_000])
def test_a_cut_archive_is_refused(tmp_path, kept):
    path = write_archive(tmp_path / "c.tar.gz", good_members())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError):
        read_cifar10(path, images_per_batch=PER_BATCH)


@pytest.mark.parametrize("place", ["", "cifar10"])
def test_an_archive_in_the_data_folder_must_be_the_published_one(tmp_path, monkeypatch, place):
    monkeypatch.setenv("PENMARK_DATA", str(tmp_path))
    (tmp_path / place).mkdir(exist_ok=True)
    write_archive(tmp_path / place / "cifar-10-binary.tar.gz", good_members())
    with pytest.raises(DataError, match="is not cifar10 as published: its checksum differs"):
        load_published(DATASETS["cifar10"])


def test_an_npz_in_the_data_folder_needs_the_published_shape_and_equal_classes(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PENMARK_DATA", str(tmp_path))
    info = dataclasses.replace(DATASETS["cifar10"], train_images=20, test_images=10)
    arrays = {
        "x_train": picture(0, (20, 32, 32), 3),
        "y_train": (np.arange(20) % 10)[:, None],  # as Keras shapes them
        "x_test": picture(1, (10, 32, 32), 3),
        "y_test": (np.arange(10) % 10)[:, None],
    }
    np.savez(tmp_path / "cifar10.npz", **arrays)
    dataset = load_published(info)
    np.testing.assert_array_equal(dataset.x_train, arrays["x_train"])
    assert dataset.class_names[:2] == ("airplane", "automobile")
    np.savez(tmp_path / "cifar10.npz", **{**arrays, "y_test": np.zeros(10, np.int64)})
    with pytest.raises(DataError, match="y_test does not have its equal classes"):
        load_published(info)
