"""Named data sets: find a copy on this computer, make sure it is the published one, or fetch it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penmark.data.arrays import as_images, as_labels
from penmark.data.cifar import ARCHIVE_NAME, read_cifar10
from penmark.data.dataset import Dataset, Int64Array, UInt8Array
from penmark.data.digits import load_digits
from penmark.data.download import Timeouts, download_files
from penmark.data.idx import idx_sha256, read_idx, read_idx_pair
from penmark.data.npz import read_npz_arrays
from penmark.data.registry import DATASETS, IDX_FILE_NAMES, DatasetInfo, find_info
from penmark.errors import DataError

DATA_FOLDER_VARIABLE = "PENMARK_DATA"
CACHE_FOLDER_VARIABLE = "PENMARK_CACHE"
KERAS_FOLDER_VARIABLE = "KERAS_HOME"

_Arrays = tuple[UInt8Array, Int64Array, UInt8Array, Int64Array]


@dataclasses.dataclass(frozen=True)
class LocalCopy:
    """A copy of a named data set on this computer, not yet read.

    Args:
        kind: its format.
        path: what to give to `load_data` to use the copy as it is: the file, or the folder of
            the IDX files.
        idx_files: for IDX, the path of each of the four files by array name.
    """

    kind: Literal["npz", "idx", "cifar10"]
    path: Path
    idx_files: Mapping[str, Path] = dataclasses.field(default_factory=dict)


def load_published(
    info: DatasetInfo,
    *,
    mirrors: Sequence[str] | None = None,
    progress: bool = True,
    timeouts: Timeouts | None = None,
) -> Dataset:
    """Load a named data set from the first place that has it.

    The order: the folder that PENMARK_DATA names, Keras's cache, penmark's own cache, the mirrors.

    Args:
        info: which data set.
        mirrors: used instead of the published ones.
        progress: whether to show a download's progress, if standard error is a terminal.
        timeouts: how long to wait for a mirror.

    Raises:
        DataError: a copy is damaged or not the published one, or PENMARK_DATA is no folder.
        DownloadError: there is no copy and no mirror helped.
        StorageError: the cache cannot be written to.
    """
    if not info.files:
        return load_digits()
    copy = find_local_copy(info)
    if copy is not None:
        arrays = _read_copy(info, copy)
        return _as_dataset(info, arrays, source=str(copy.path))
    folder = cache_folder() / info.name
    paths = download_files(
        info.files,
        info.mirrors if mirrors is None else mirrors,
        folder,
        title=info.name,
        ways_out=_ways_out(info),
        progress=progress,
        timeouts=timeouts,
    )
    # Their checksums have just been verified, whether they were there already or not.
    if info.idx_sha256:
        arrays = (*read_idx_pair(paths[0], paths[1]), *read_idx_pair(paths[2], paths[3]))
    else:
        arrays = read_cifar10(paths[0])
    return _as_dataset(info, arrays, source=str(folder))


def data_state(name: str) -> str:
    """Where `load_data(name)` would take a data set from right now.

    Only looks whether files are there; their content is verified when they are loaded.

    Returns:
        "bundled", the path of a copy on this computer, "cached" or "download".

    Raises:
        DataError: there is no data set of that name, or PENMARK_DATA names no folder.
    """
    info = find_info(name)
    if info is None:
        raise DataError(f"there is no data set named {name!r}; choose one of {', '.join(DATASETS)}")
    if not info.files:
        return "bundled"
    copy = find_local_copy(info)
    if copy is not None:
        return str(copy.path)
    folder = cache_folder() / info.name
    cached = all(
        (folder / file.name).is_file() and (folder / file.name).stat().st_size == file.size_bytes
        for file in info.files
    )
    return "cached" if cached else "download"


def cache_folder() -> Path:
    """Where penmark keeps what it downloads: PENMARK_CACHE, else the user's cache folder."""
    named = os.environ.get(CACHE_FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("penmark"))


def find_local_copy(info: DatasetInfo) -> LocalCopy | None:
    """Look for a copy in the folder that PENMARK_DATA names, then in Keras's cache.

    Raises:
        DataError: PENMARK_DATA names no folder, or one that holds only some of the IDX files.
    """
    named = os.environ.get(DATA_FOLDER_VARIABLE)
    if named:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise DataError(
                f"{DATA_FOLDER_VARIABLE} names {named}, which is not a folder; make it, or unset "
                f"{DATA_FOLDER_VARIABLE}",
                path=folder,
            )
        copy = _in_data_folder(info, folder)
        if copy is not None:
            return copy
    keras = os.environ.get(KERAS_FOLDER_VARIABLE)
    keras_data = (Path(keras) if keras else Path.home() / ".keras") / "datasets"
    return _in_keras_cache(info, keras_data)


def _in_data_folder(info: DatasetInfo, folder: Path) -> LocalCopy | None:
    npz = folder / f"{info.name}.npz"
    if npz.is_file():
        return LocalCopy("npz", npz)
    for place in (folder / info.name, folder):
        if not info.idx_sha256:
            archive = place / ARCHIVE_NAME
            if archive.is_file():
                return LocalCopy("cifar10", archive)
            continue
        files = _idx_files(place)
        # MNIST and its successors use the same four names: directly in the folder they may be
        # another data set's, which the smallest file tells.
        if not files or (place == folder and _is_other_data_set(info, files)):
            continue
        missing = [name for key, name in IDX_FILE_NAMES.items() if key not in files]
        if missing:
            raise DataError(
                f"{place} holds only some of {info.name}'s files; add {', '.join(missing)} "
                "(or the same with .gz), or take the others away",
                path=place,
            )
        return LocalCopy("idx", place, files)
    return None


def _in_keras_cache(info: DatasetInfo, folder: Path) -> LocalCopy | None:
    """Keras keeps MNIST as .npz, Fashion-MNIST as IDX, and CIFAR-10 pickled: that is left alone."""
    if info.name == "mnist" and (folder / "mnist.npz").is_file():
        return LocalCopy("npz", folder / "mnist.npz")
    if info.name == "fashion-mnist":
        files = _idx_files(folder / "fashion-mnist")
        # Fewer: Keras was interrupted, which is not for the user of penmark to mend.
        if len(files) == len(IDX_FILE_NAMES):
            return LocalCopy("idx", folder / "fashion-mnist", files)
    return None


def _idx_files(folder: Path) -> dict[str, Path]:
    """Those of the four IDX files that are in a folder, plain or gzipped, by array name."""
    found = {}
    for key, name in IDX_FILE_NAMES.items():
        for spelling in (name, name.replace("-idx", ".idx")):
            for candidate in (folder / spelling, folder / f"{spelling}.gz"):
                if key not in found and candidate.is_file():
                    found[key] = candidate
    return found


def _is_other_data_set(info: DatasetInfo, files: Mapping[str, Path]) -> bool:
    if "y_test" not in files:
        return False
    try:
        found = idx_sha256(read_idx(files["y_test"], max_bytes=2**20))
    except DataError:
        return False  # reading it as this data set will say what is wrong
    return any(
        other.idx_sha256.get("y_test") == found
        for other in DATASETS.values()
        if other.name != info.name
    )


def _read_copy(info: DatasetInfo, copy: LocalCopy) -> _Arrays:
    if copy.kind == "cifar10":
        try:
            with copy.path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise DataError(
                f"cannot read {copy.path}: {error.strerror or error}", path=copy.path
            ) from error
        if found != info.files[0].sha256:
            raise _not_published(info, copy, "its checksum differs")
        return read_cifar10(copy.path)
    if copy.kind == "idx":
        files = copy.idx_files
        arrays: _Arrays = (
            *read_idx_pair(files["x_train"], files["y_train"]),
            *read_idx_pair(files["x_test"], files["y_test"]),
        )
    else:
        arrays = _from_npz(read_npz_arrays(copy.path), copy.path)
    _check_published(info, copy, arrays)
    return arrays


def _from_npz(stored: Mapping[str, NDArray[Any]], path: Path) -> _Arrays:
    return (
        as_images(stored["x_train"], f"{path}: x_train"),
        as_labels(stored["y_train"], f"{path}: y_train"),
        as_images(stored["x_test"], f"{path}: x_test"),
        as_labels(stored["y_test"], f"{path}: y_test"),
    )


def _check_published(info: DatasetInfo, copy: LocalCopy, arrays: _Arrays) -> None:
    """Compare a copy with what was published, by the IDX files that its arrays would make."""
    by_name: dict[str, NDArray[np.integer]] = dict(zip(IDX_FILE_NAMES, arrays, strict=True))
    for key, array in by_name.items():
        split = "train" if key.endswith("train") else "test"
        count = info.train_images if split == "train" else info.test_images
        shape = (count, *info.image_shape) if key.startswith("x") else (count,)
        if array.shape != shape:
            raise _not_published(info, copy, f"{key} has shape {array.shape} instead of {shape}")
        if info.idx_sha256:
            if array.max() > 255 or idx_sha256(array) != info.idx_sha256[key]:
                raise _not_published(info, copy, f"the checksum of {key} differs")
        elif key.startswith("y"):
            # Of CIFAR-10 as .npz no checksum was published; its classes are known to be equal.
            counts = np.bincount(array, minlength=len(info.class_names))
            if (counts != count // len(info.class_names)).any():
                raise _not_published(info, copy, f"{key} does not have its equal classes")


def _not_published(info: DatasetInfo, copy: LocalCopy, what: str) -> DataError:
    return DataError(
        f"{copy.path} is not {info.name} as published: {what}; to use it anyway give its path, "
        f"--data {copy.path}; for the published data move it away",
        path=copy.path,
    )


def _ways_out(info: DatasetInfo) -> str:
    """What to do without a network: the folder to put files in, or the bundled digits."""
    names = ", ".join(file.name for file in info.files)
    files = f"{info.name}/ with {names}" if len(info.files) > 1 else names
    keep = os.environ.get(DATA_FOLDER_VARIABLE)
    place = keep if keep else f"a folder and set {DATA_FOLDER_VARIABLE} to that folder"
    return (
        f"try again later, or put {info.name}.npz (or {files}) into {place}, "
        "or use the bundled data: --data digits"
    )


def _as_dataset(info: DatasetInfo, arrays: _Arrays, source: str) -> Dataset:
    x_train, y_train, x_test, y_test = arrays
    return Dataset(
        name=info.name,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        class_names=info.class_names,
        source=source,
    )
