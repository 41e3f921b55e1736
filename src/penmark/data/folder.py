"""Load a folder of images, one subfolder per class, and report on every file in it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from penmark.data.arrays import check_class_names
from penmark.data.dataset import Dataset, Int64Array, UInt8Array
from penmark.data.duplicates import near_duplicates as find_near_duplicates
from penmark.data.findings import FileFinding, FolderReport, Problem, Split, shown, with_problem
from penmark.data.image_file import (
    DecodedImage,
    UnusableImage,
    decode_image,
    image_extensions,
    pillow_warnings,
)
from penmark.data.mislabeled import probably_mislabeled
from penmark.data.progress import progress_bar
from penmark.data.shaping import (
    ColorMode,
    check_options,
    conform,
    fit_image,
    to_grayscale,
    to_rgb,
)
from penmark.data.split import stratified_split
from penmark.errors import DataError

# Images that share a size up to this keep it; larger ones would make the networks here slow.
MAX_KEPT_SIDE_PX = 128
DEFAULT_SIZE = (28, 28)

# What an archive made on a Mac unpacks to beside the files.
_IGNORED_FOLDERS = frozenset({"__MACOSX"})
_DECODING_THREADS = 2
_LAYOUT = "put the images of each class in a folder of its own: FOLDER/class_name/image.png"

# Takes images, as in `Dataset`, and the class names in label order; gives probabilities of shape
# (n, classes) in the same order.
ModelProbabilities = Callable[[UInt8Array, tuple[str, ...]], NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A file of the folder, not yet opened. `problem` is set if it is not to be opened at all."""

    path: str
    class_name: str | None
    split: Split | None
    problem: Problem | None = None


@dataclasses.dataclass(frozen=True)
class _Contents:
    """The files of a folder and the classes that its subfolders name."""

    entries: tuple[_Entry, ...]
    class_names: tuple[str, ...]
    has_splits: bool


@dataclasses.dataclass(frozen=True)
class _Scan:
    """A folder read: its report, and all used images in the order of the report's files."""

    report: FolderReport
    images: UInt8Array
    labels: Int64Array
    digests: tuple[bytes, ...]
    train: Int64Array
    test: Int64Array


def load_folder(
    path: Path | str,
    *,
    image_size: tuple[int, int] | None = None,
    color_mode: ColorMode = "auto",
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """Load `FOLDER/class_name/*`, or `FOLDER/train/class_name/*` and `FOLDER/test/class_name/*`.

    Args:
        path: the folder.
        image_size: height and width of every image; None keeps the size that all share, if it is
            at most 128×128, and takes 28×28 otherwise.
        color_mode: "auto" is gray if every image is, else RGB.
        seed: chooses the split, where there is no train and test level, and the order of rows.
        progress: whether to show progress, if standard error is a terminal.

    Returns:
        The data set, its `report` filled. Training rows are in random order, because a model that
        takes its last rows for validation would otherwise see one class there.

    Raises:
        DataError: the folder is not there or not laid out so, there are fewer than two classes,
            or a class has no usable training image.
    """
    path = Path(path)
    scan = _scan(path, image_size, color_mode, seed, progress)
    report = scan.report
    check_class_names(report.class_names, path)
    for name, count in report.class_counts.items():
        if count["train"] == 0:
            raise _class_without_images(report, name, path)
    return Dataset(
        name=path.resolve().name,
        x_train=scan.images[scan.train],
        y_train=scan.labels[scan.train],
        x_test=scan.images[scan.test],
        y_test=scan.labels[scan.test],
        class_names=report.class_names,
        source=str(path),
        report=report,
    )


def check_folder(
    path: Path | str,
    *,
    image_size: tuple[int, int] | None = None,
    color_mode: ColorMode = "auto",
    near_duplicates: bool = True,
    model_probabilities: ModelProbabilities | None = None,
    seed: int = 0,
    progress: bool = True,
) -> FolderReport:
    """Report on a folder of images, whether or not one could train on it.

    Args:
        path, image_size, color_mode, seed, progress: as for `load_folder`.
        near_duplicates: whether to look for images that are almost the same.
        model_probabilities: what a trained model says of images, to find those with a doubtful
            label: called once per split with images uint8 (n, height, width[, 3]) and the class
            names in label order, gives probabilities (n, classes). None skips this.

    Raises:
        DataError: the folder is not there or has no class folders, or the model's probabilities
            do not fit the classes.
    """
    path = Path(path)
    scan = _scan(path, image_size, color_mode, seed, progress)
    report = scan.report
    if near_duplicates:
        report = _with_near_duplicates(report, scan)
    if model_probabilities is not None:
        rows: tuple[tuple[Split, Int64Array], ...] = (("train", scan.train), ("test", scan.test))
        for split, indices in rows:
            if len(indices):
                found = probably_mislabeled(
                    scan.labels[indices],
                    model_probabilities(scan.images[indices], report.class_names),
                    report.class_names,
                )
                report = report.with_mislabeled(split, found)
    return report


def _scan(
    path: Path,
    image_size: tuple[int, int] | None,
    color_mode: ColorMode,
    seed: int,
    progress: bool,
) -> _Scan:
    check_options(image_size, color_mode)
    contents = _list_folder(path)
    opened = [entry for entry in contents.entries if entry.problem is None]
    results = _decode_all(path, opened, image_size, color_mode, progress)
    used = [
        (entry, result)
        for entry, result in zip(opened, results, strict=True)
        if isinstance(result, _Usable)
    ]
    images = _stack([result.pixels for _, result in used], color_mode)
    label_of = {name: label for label, name in enumerate(contents.class_names)}
    labels = np.array(
        [label_of[entry.class_name] for entry, _ in used if entry.class_name is not None],
        dtype=np.int64,
    )
    digests = tuple(result.digest for _, result in used)
    if contents.has_splits:
        in_test = np.array([entry.split == "test" for entry, _ in used], dtype=np.bool_)
        train, test = np.flatnonzero(~in_test), np.flatnonzero(in_test)
    else:
        # The same image on both sides would be a test question known beforehand.
        train, test = stratified_split(labels, seed=seed, groups=digests)
    train = np.random.RandomState(seed).permutation(train)
    split_of: dict[str, Split] = {used[row][0].path: "train" for row in train}
    split_of.update({used[row][0].path: "test" for row in test})
    paths = [entry.path for entry, _ in used]
    report = FolderReport(
        folder=str(path),
        class_names=contents.class_names,
        files=_findings(contents.entries, opened, results, split_of),
        train_files=tuple(paths[row] for row in train),
        test_files=tuple(paths[row] for row in test),
        split_by="folders" if contents.has_splits else "chance",
        image_shape=tuple(images.shape[1:]) if used else None,
    )
    return _Scan(report, images, labels, digests, train, test)


def _list_folder(path: Path) -> _Contents:
    """Look at names only: which files there are, and which class and split each belongs to.

    Raises:
        DataError: the folder is not there or cannot be read, or has no class folders.
    """
    if not path.exists():
        raise DataError(f"there is no folder {path}; check the path", path=path)
    if not path.is_dir():
        raise DataError(f"{path} is not a folder; {_LAYOUT}", path=path)
    subfolders = _subfolders(path)
    levels = {folder.name.lower(): folder for folder in subfolders}
    # Folders named train and test hold classes, unless they are classes themselves.
    has_splits = "train" in levels and bool(_subfolders(levels["train"]))
    splits: list[tuple[Split | None, Path]] = [(None, path)]
    if has_splits:
        splits = [("train", levels["train"])]
        if "test" in levels:
            splits.append(("test", levels["test"]))
    places: list[tuple[Split | None, Path]] = [
        (split, folder) for split, parent in splits for folder in _subfolders(parent)
    ]
    names = {folder.name for _, folder in places}
    class_names = tuple(sorted(names, key=_number_or_name))
    check_class_names(class_names, path, at_least=0)
    order = {name: label for label, name in enumerate(class_names)}
    entries: list[_Entry] = []
    for split, folder in sorted(
        places, key=lambda place: (place[0] == "test", order[place[1].name])
    ):
        for file in _files_below(folder):
            entries.append(_entry(path, file, folder.name, split))
    classed = {entry.path for entry in entries}
    for file in _files_below(path):
        if _relative(path, file) not in classed:
            entries.append(_entry(path, file, None, None))
    if not class_names:
        raise DataError(f"{path} has no class folders; {_LAYOUT}", path=path)
    # A training folder alone is split as a folder without levels would be.
    return _Contents(tuple(entries), class_names, has_splits and "test" in levels)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(
            entry
            for entry in folder.iterdir()
            if entry.is_dir() and not entry.name.startswith(".")
            if entry.name not in _IGNORED_FOLDERS
        )
    except OSError as error:
        _cannot_read(error)


def _files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and below, but hidden ones; in natural order."""
    for parent, subfolders, names in os.walk(folder, onerror=_cannot_read):
        subfolders[:] = sorted(
            (
                name
                for name in subfolders
                if not name.startswith(".") and name not in _IGNORED_FOLDERS
            ),
            key=_number_or_name,
        )
        for name in sorted(names, key=lambda name: _number_or_name(Path(name).stem) + (name,)):
            if not name.startswith("."):
                yield Path(parent, name)


def _cannot_read(error: OSError) -> NoReturn:
    raise DataError(
        f"cannot read {error.filename}: {error.strerror or error}; check its permissions"
    ) from error


def _number_or_name(name: str) -> tuple[int, int, str]:
    """Sorting key: numbers first, in numeric order, then names."""
    if name.isascii() and name.isdecimal():
        return (0, int(name), name)
    return (1, 0, name)


def _relative(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _entry(root: Path, file: Path, class_name: str | None, split: Split | None) -> _Entry:
    problem: Problem | None = None
    # Not a regular file: a pipe, for one, would keep whoever opens it waiting.
    if file.suffix.lower() not in image_extensions() or not file.is_file():
        problem = "not an image"
    elif class_name is None:
        problem = "misplaced"
    return _Entry(_relative(root, file), class_name, split, problem)


@dataclasses.dataclass(frozen=True)
class _Usable:
    """An image decoded and, where its final size is known, resized."""

    pixels: UInt8Array
    size: tuple[int, int]
    mode: str
    digest: bytes
    notes: tuple[str, ...]


def _decode_all(
    root: Path,
    entries: list[_Entry],
    image_size: tuple[int, int] | None,
    color_mode: ColorMode,
    progress: bool,
) -> list[_Usable | UnusableImage]:
    """Decode every file and bring all to one size."""

    def work(entry: _Entry) -> _Usable | UnusableImage:
        decoded = decode_image(root / entry.path)
        if isinstance(decoded, UnusableImage):
            return decoded
        return _shrink(decoded, image_size, color_mode)

    results: list[_Usable | UnusableImage] = []
    # Without a wish: the size that all share so far, until two differ or one is too large.
    target = image_size
    shared: tuple[int, int] | None = None
    with (
        pillow_warnings(),
        ThreadPoolExecutor(_DECODING_THREADS) as pool,
        progress_bar("reading images", len(entries), enabled=progress) as show,
    ):
        for result in pool.map(work, entries):
            if isinstance(result, _Usable):
                shared = shared or result.size
                if target is None and (
                    result.size != shared or max(result.size) > MAX_KEPT_SIDE_PX
                ):
                    target = DEFAULT_SIZE
                    results = [_fitted(earlier, target) for earlier in results]
                if target is not None:
                    result = _fitted(result, target)
            results.append(result)
            show(len(results))
    return results


def _shrink(
    decoded: DecodedImage, image_size: tuple[int, int] | None, color_mode: ColorMode
) -> _Usable:
    """Let go of a large image's pixels as soon as it is decoded."""
    pixels = decoded.pixels
    height, width = pixels.shape[:2]
    if color_mode == "grayscale" and pixels.ndim == 3:
        pixels = to_grayscale(pixels)
    if image_size is None and max(height, width) > MAX_KEPT_SIDE_PX:
        image_size = DEFAULT_SIZE
    if image_size is not None:
        pixels = fit_image(pixels, image_size)
    return _Usable(pixels, (height, width), decoded.mode, decoded.digest, decoded.notes)


def _fitted(result: _Usable | UnusableImage, size: tuple[int, int]) -> _Usable | UnusableImage:
    if isinstance(result, UnusableImage):
        return result
    return dataclasses.replace(result, pixels=fit_image(result.pixels, size))


def _stack(pixels: list[UInt8Array], color_mode: ColorMode) -> UInt8Array:
    """One array of all images: gray if every one is and no color is asked for, else RGB."""
    if not pixels:
        return np.empty((0, *DEFAULT_SIZE), dtype=np.uint8)
    if any(image.ndim == 3 for image in pixels):
        return np.stack([image if image.ndim == 3 else to_rgb(image) for image in pixels])
    return conform(np.stack(pixels), None, color_mode)


def _findings(
    entries: tuple[_Entry, ...],
    opened: list[_Entry],
    results: list[_Usable | UnusableImage],
    split_of: dict[str, Split],
) -> tuple[FileFinding, ...]:
    """One entry per file, exact duplicates noted."""
    result_of = {entry.path: result for entry, result in zip(opened, results, strict=True)}
    files: dict[str, FileFinding] = {}
    same: dict[bytes, list[str]] = {}
    for entry in entries:
        result = result_of.get(entry.path)
        if isinstance(result, _Usable):
            same.setdefault(result.digest, []).append(entry.path)
        files[entry.path] = _finding(entry, result, split_of.get(entry.path))
    for paths in same.values():
        if len(paths) > 1:
            _note_duplicates(files, paths)
    return tuple(files.values())


def _finding(
    entry: _Entry, result: _Usable | UnusableImage | None, split: Split | None
) -> FileFinding:
    if isinstance(result, _Usable):
        return FileFinding(
            path=entry.path,
            class_name=entry.class_name,
            split=split,
            size=result.size,
            mode=result.mode,
            problem=None,
            detail="; ".join(result.notes),
            used=True,
        )
    if isinstance(result, UnusableImage):
        problem, detail, size, mode = result.problem, result.detail, result.size, result.mode
    else:
        details: dict[Problem | None, str] = {
            "not an image": "not a file with an image's extension",
            "misplaced": "not in a class folder",
        }
        problem, detail, size, mode = entry.problem or "not an image", "", None, None
        detail = details[problem]
    return FileFinding(
        path=entry.path,
        class_name=entry.class_name,
        split=None,
        size=size,
        mode=mode,
        problem=problem,
        detail=detail,
        used=False,
    )


def _note_duplicates(files: dict[str, FileFinding], paths: list[str]) -> None:
    """Note at each of several files with the same pixels what that means for it."""
    first = paths[0]
    classes = {files[path].class_name for path in paths}
    splits = {files[path].split for path in paths}
    for path in paths:
        file = files[path]
        twin = next(other for other in paths if other != path)
        if len(classes) > 1:
            elsewhere = next(p for p in paths if files[p].class_name != file.class_name)
            file = with_problem(file, "two classes", f"the same image as {elsewhere}")
        if len(splits) > 1:
            elsewhere = next(p for p in paths if files[p].split != file.split)
            file = with_problem(file, "across splits", f"the same image as {elsewhere}")
        if len(classes) == len(splits) == 1 and path != first:
            file = with_problem(file, "duplicate", f"the same image as {twin}")
        files[path] = file


def _with_near_duplicates(report: FolderReport, scan: _Scan) -> FolderReport:
    files = {file.path: file for file in report.files}
    paths = [file.path for file in report.files if file.used]
    for pair in find_near_duplicates(scan.images, groups=scan.digests):
        file, earlier = files[paths[pair.index]], files[paths[pair.earlier]]
        detail = f"almost the same as {earlier.path} (correlation {pair.correlation:.4f})"
        if earlier.split != file.split:
            detail += f", which is in the {earlier.split} split"
        files[file.path] = with_problem(file, "near duplicate", detail)
    return dataclasses.replace(report, files=tuple(files.values()))


def _class_without_images(report: FolderReport, name: str, path: Path) -> DataError:
    """Say what became of the files of a class that has no training image left."""
    of_class = [file for file in report.files if file.class_name == name]
    in_test = sum(file.split == "test" for file in of_class)
    reasons = sorted({file.problem for file in of_class if not file.used and file.problem})
    if in_test:
        became = f"{in_test} in test only"
    elif reasons:
        became = f"{len(of_class)} files: {', '.join(reasons)}"
    else:
        became = "no files"
    return DataError(
        f"{path}: the class {shown(name)!r} has no usable training image ({became}); add images "
        "to it or remove its folder",
        path=path,
    )
