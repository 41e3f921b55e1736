"""`load_data`: one function for every source of images."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path

from penmark.data.arrays import as_images, names_for_labels
from penmark.data.cifar import read_cifar10
from penmark.data.dataset import Dataset, Int64Array, UInt8Array
from penmark.data.folder import load_folder
from penmark.data.idx import images_in, is_images_name, labels_beside, read_idx_pair
from penmark.data.npz import read_npz
from penmark.data.published import load_published
from penmark.data.registry import DATASETS, find_info
from penmark.data.shaping import ColorMode, check_options, conform
from penmark.data.split import stratified_split
from penmark.errors import DataError

# Parts of file names that tell the two splits of IDX files: MNIST says t10k for test.
_TRAIN_WORDS: tuple[str, ...] = ("train",)
_TEST_WORDS: tuple[str, ...] = ("t10k", "test")
_PATH_KINDS = "a folder of images, an .npz file, or IDX files"


def load_data(
    source: str | Path,
    *,
    image_size: tuple[int, int] | None = None,
    color_mode: ColorMode = "auto",
    progress: bool = True,
    seed: int = 0,
) -> Dataset:
    """Load images, labels and class names, whatever they are kept in.

    Args:
        source: the name of a data set (see `DATASETS`; case, hyphens and underscores make no
            difference), or the path of a folder of images with one subfolder per class, an .npz
            file, a folder with IDX files, one IDX file of images, or CIFAR-10's binary archive. A
            name wins over a path; for a folder called `mnist` say `./mnist`.
        image_size: height and width to bring the images to, their aspect kept. None keeps them as
            they are; a folder of images of various sizes becomes 28×28.
        color_mode: "grayscale" gives images (n, height, width), "rgb" (n, height, width, 3),
            "auto" what fits the data.
        progress: whether to show progress, if standard error is a terminal.
        seed: chooses the test images where the source has no test split: a fifth of each class.

    Returns:
        The data set; for a folder of images its `report` says what was found in each file.

    Raises:
        DataError: there is no such source, or what it holds cannot be used.
        DownloadError: the data set is not on this computer and no mirror gave it.
        StorageError: what was downloaded cannot be written.
    """
    check_options(image_size, color_mode)
    if isinstance(source, str):
        info = find_info(source)
        if info is not None:
            dataset = load_published(info, progress=progress)
            return _conformed(dataset, image_size, color_mode)
    try:
        path = Path(source).expanduser()
        exists = source != "" and path.exists()
    except (OSError, ValueError, RuntimeError):  # too long, a NUL inside, a home that is not there
        exists = False
    if not exists:
        raise _no_such_source(str(source))
    if path.is_dir() and not images_in(path):
        return load_folder(
            path, image_size=image_size, color_mode=color_mode, seed=seed, progress=progress
        )
    dataset = _load_idx_folder(path, seed) if path.is_dir() else _load_file(path, seed)
    return _conformed(dataset, image_size, color_mode)


def _no_such_source(source: str) -> DataError:
    known = ", ".join(DATASETS)
    close = difflib.get_close_matches(source.casefold(), DATASETS, n=2, cutoff=0.5)
    hint = f" (did you mean {' or '.join(close)}?)" if close else ""
    return DataError(
        f"there is no data set or path {source[:200]!r}{hint}; the data sets are {known}, "
        f"and a path may be {_PATH_KINDS}"
    )


def _conformed(
    dataset: Dataset, image_size: tuple[int, int] | None, color_mode: ColorMode
) -> Dataset:
    x_train = conform(dataset.x_train, image_size, color_mode)
    x_test = conform(dataset.x_test, image_size, color_mode)
    return dataclasses.replace(dataset, x_train=x_train, x_test=x_test)


def _load_file(path: Path, seed: int) -> Dataset:
    """Load a single file, told by its first bytes rather than by what it is called."""
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", path=path) from error
    if path.name.lower().endswith((".tar.gz", ".tgz")):
        x_train, y_train, x_test, y_test = read_cifar10(path)
        return Dataset(
            path.name, x_train, y_train, x_test, y_test, DATASETS["cifar10"].class_names, str(path)
        )
    if start.startswith(b"PK"):
        if path.suffix.lower() == ".zip":
            raise DataError(f"{path} is a zip archive; unpack it and give the folder", path=path)
        return read_npz(path)
    if is_images_name(path.name):
        return _load_idx(path, seed)
    if start[:3] == b"\0\0\x08":
        raise DataError(
            f"{path} is an IDX file, but its name does not end in images-idx3-ubyte; give the file "
            "of images, named so, with its ...labels-idx1-ubyte beside it",
            path=path,
        )
    raise DataError(
        f"{path} is not a data set; give {_PATH_KINDS} (a single image can be read, but not "
        "trained on)",
        path=path,
    )


def _load_idx_folder(folder: Path, seed: int) -> Dataset:
    images = images_in(folder)
    if len(images) == 1:
        return _load_idx(images[0], seed)
    train = [path for path in images if _has_word(path, _TRAIN_WORDS)]
    test = [path for path in images if _has_word(path, _TEST_WORDS)]
    if len(images) != 2 or len(train) != 1 or len(test) != 1:
        listed = ", ".join(path.name for path in images)
        raise DataError(
            f"{folder} holds several IDX files of images ({listed}); give the one to train on",
            path=folder,
        )
    return _load_idx(train[0], seed)


def _load_idx(images_path: Path, seed: int) -> Dataset:
    """Load a file of images with its labels, and the files of the other split if they are there."""
    images, labels = _read_split(images_path)
    partner = _partner(images_path)
    if partner is None:
        train, test = stratified_split(labels, seed=seed)
        splits = (images[train], labels[train], images[test], labels[test])
    else:
        other_images, other_labels = _read_split(partner)
        splits = (images, labels, other_images, other_labels)
        if _has_word(images_path, _TEST_WORDS):
            splits = (other_images, other_labels, images, labels)
    x_train, y_train, x_test, y_test = splits
    return Dataset(
        name=images_path.resolve().parent.name or "idx",
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        class_names=names_for_labels((y_train, y_test), str(images_path)),
        source=str(images_path.parent),
    )


def _read_split(images_path: Path) -> tuple[UInt8Array, Int64Array]:
    images, labels = read_idx_pair(images_path, labels_beside(images_path))
    return as_images(images, str(images_path)), labels


def _partner(images_path: Path) -> Path | None:
    """The file of the other split's images: the same name but for the word of the split."""
    if _has_word(images_path, _TEST_WORDS):
        mine, others = _TEST_WORDS, _TRAIN_WORDS
    elif _has_word(images_path, _TRAIN_WORDS):
        mine, others = _TRAIN_WORDS, _TEST_WORDS
    else:
        return None
    wanted = {
        _plain_name(images_path).replace(word, other) for word in mine for other in others
    } - {_plain_name(images_path)}
    return next(
        (path for path in images_in(images_path.parent) if _plain_name(path) in wanted), None
    )


def _plain_name(path: Path) -> str:
    return path.name.lower().removesuffix(".gz")


def _has_word(path: Path, words: tuple[str, ...]) -> bool:
    return any(word in path.name.lower() for word in words)
