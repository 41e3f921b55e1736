"""Data sets as the page browses them: what there is, pages of images, sprite sheets."""

from __future__ import annotations

import collections
import io
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from penmark.data import DATASETS, Dataset, data_state, load_data
from penmark.data.dataset import Int64Array, UInt8Array
from penmark.data.duplicates import near_duplicates
from penmark.data.registry import find_info
from penmark.errors import DataError
from penmark.report.wording import plain
from penmark.runs import Run
from penmark.studio.schemas import (
    DatasetEntry,
    DatasetView,
    DuplicatePair,
    DuplicatesView,
    ImageEntry,
    ImagePage,
    SplitName,
)
from penmark.studio.workspace import Workspace, confined, shown

UPLOAD_PREFIX = "upload:"
RUN_PREFIX = "run:"
PAGE_SIZE = 120
# Comparing all pairs takes a second for so many, and grows with the square.
MOST_COMPARED = 10_000
SHEET_COLUMNS = 12
_KEPT = 3
_LARGEST_THUMBNAIL_PX = 64

Key = TypeVar("Key")
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """The last few results of something slow; whoever asks for one in the making waits for it.

    Args:
        most: how many to keep.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: collections.OrderedDict[Key, Value] = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of `key`, made now if it is not there."""
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]

    def forget(self, key: Key) -> None:
        """Drop one, because what it was made from has changed."""
        with self._lock:
            self._values.pop(key, None)


class DatasetShelf:
    """Data sets by the name the page knows them by.

    A name of `penmark.data.DATASETS`; "upload:" and the name of an uploaded folder; or "run:" and
    the name of a run, which stands for the images it was trained and tested on.

    Args:
        workspace: where runs and uploads are.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._loaded: Kept[str, Dataset] = Kept(_KEPT)
        self._duplicates: Kept[tuple[str, SplitName], DuplicatesView] = Kept(8)

    def entries(self) -> list[DatasetEntry]:
        """Everything one can choose, on this computer or not."""
        found = []
        for info in DATASETS.values():
            available = data_state(info.name) != "download"
            found.append(
                DatasetEntry(
                    id=info.name,
                    title=info.name,
                    description=info.description,
                    train_images=info.train_images,
                    test_images=info.test_images,
                    image_shape=list(info.image_shape),
                    class_names=list(info.class_names),
                    available=available,
                    advice=""
                    if available
                    else f"Not on this computer yet ({info.download_bytes / 1e6:.0f} MB). The "
                    f"studio fetches nothing by itself: run penmark data show {info.name} once.",
                    uploaded=False,
                )
            )
        uploads = self._workspace.uploads_folder
        names = sorted(path.name for path in uploads.iterdir()) if uploads.is_dir() else []
        for name in names:
            path = confined(uploads, name)
            if path is not None and path.is_dir():
                found.append(
                    DatasetEntry(
                        id=UPLOAD_PREFIX + name,
                        title=name,
                        description="Your own images.",
                        train_images=None,
                        test_images=None,
                        image_shape=None,
                        class_names=None,
                        available=True,
                        advice="",
                        uploaded=True,
                    )
                )
        return found

    def source(self, data_id: str) -> str:
        """What `penmark.load_data` takes for a data set that may be trained on.

        Raises:
            DataError: there is none of that name, or it is not on this computer.
        """
        if data_id.startswith(UPLOAD_PREFIX):
            return str(self._upload(data_id))
        info = find_info(data_id)
        if info is None:
            raise DataError(f"there is no data set {shown(data_id)!r} here; choose one of the list")
        if data_state(info.name) == "download":
            raise DataError(
                f"{info.name} is not on this computer, and the studio fetches nothing by itself; "
                f"run penmark data show {info.name} once"
            )
        return info.name

    def load(self, data_id: str) -> Dataset:
        """The data set of this name, loaded or from memory.

        Raises:
            DataError: there is none of that name, it is not on this computer, or it is damaged.
            RunError: there is no such run.
        """
        if data_id.startswith(RUN_PREFIX):
            run = self._workspace.run(data_id.removeprefix(RUN_PREFIX))
            return self._loaded.get(data_id, lambda: self._load_of_run(run))
        source = self.source(data_id)
        return self._loaded.get(data_id, lambda: load_data(source, progress=False))

    def forget(self, data_id: str) -> None:
        """Load it anew the next time."""
        self._loaded.forget(data_id)
        for split in ("train", "test"):
            self._duplicates.forget((data_id, split))

    def view(self, data_id: str) -> DatasetView:
        """What is in a data set. Raises as `load`."""
        dataset = self.load(data_id)
        return DatasetView(
            id=data_id,
            title=plain(dataset.name),
            class_names=[plain(name) for name in dataset.class_names],
            image_shape=list(dataset.image_shape),
            train_counts=_counts(dataset.y_train, dataset.num_classes),
            test_counts=_counts(dataset.y_test, dataset.num_classes),
            findings=[] if dataset.report is None else list(dataset.report.summary()),
        )

    def page(self, data_id: str, split: SplitName, label: int | None, page: int) -> ImagePage:
        """A page of the images of one class, or of all. Raises as `load`."""
        _, labels = split_of(self.load(data_id), split)
        rows = np.arange(len(labels)) if label is None else np.flatnonzero(labels == label)
        part = rows[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
        return ImagePage(
            total=len(rows),
            page=page,
            page_size=PAGE_SIZE,
            images=[ImageEntry(index=int(row), label=int(labels[row])) for row in part],
        )

    def sheet(self, data_id: str, split: SplitName, indices: Sequence[int]) -> bytes:
        """Images side by side in one PNG, 12 in a row, each reduced to at most 64 pixels.

        Raises:
            DataError: an index is outside the split.
        """
        images, _ = split_of(self.load(data_id), split)
        return sprite_sheet(_rows(images, indices))

    def image(self, data_id: str, split: SplitName, index: int) -> UInt8Array:
        """One image, uint8 (height, width) or (height, width, channels). Raises as `sheet`."""
        images, _ = split_of(self.load(data_id), split)
        chosen: UInt8Array = _rows(images, [index])[0]
        return chosen

    def duplicates(self, data_id: str, split: SplitName) -> DuplicatesView:
        """Images that are almost the same as an earlier one. Raises as `load`."""
        images, labels = split_of(self.load(data_id), split)
        return self._duplicates.get((data_id, split), lambda: _duplicates(images, labels))

    def _upload(self, data_id: str) -> Path:
        name = data_id.removeprefix(UPLOAD_PREFIX)
        path = confined(self._workspace.uploads_folder, name)
        if path is None or not path.is_dir():
            raise DataError(f"there is no uploaded data set {shown(name)!r}; upload it again")
        return path

    def _load_of_run(self, run: Run) -> Dataset:
        settings = run.settings
        if find_info(settings.data) is not None:
            source = self.source(settings.data)
        else:
            path = Path(settings.data)
            if not self._workspace.contains(path):
                raise DataError(
                    f"{run.name} was trained on {path.name!r}, which is outside this workspace; "
                    "start the studio in a folder that holds both"
                )
            source = str(path)
        dataset = load_data(
            source,
            image_size=settings.image_size,
            color_mode=settings.color_mode,
            progress=False,
        )
        one = settings.positive_class
        return dataset if one is None else dataset.one_against_rest(one)


def split_of(dataset: Dataset, split: SplitName) -> tuple[UInt8Array, Int64Array]:
    """Images and labels of one split."""
    if split == "train":
        return dataset.x_train, dataset.y_train
    return dataset.x_test, dataset.y_test


def sprite_sheet(images: UInt8Array) -> bytes:
    """A PNG of images (n, height, width[, 3]), 12 in a row."""
    from PIL import Image

    side = max(images.shape[1:3])
    shrink = max(1, math.ceil(side / _LARGEST_THUMBNAIL_PX))
    images = images[:, ::shrink, ::shrink]
    count, height, width = images.shape[:3]
    rows = max(1, math.ceil(count / SHEET_COLUMNS))
    sheet = np.zeros((rows * height, SHEET_COLUMNS * width, *images.shape[3:]), np.uint8)
    for number, image in enumerate(images):
        top, left = number // SHEET_COLUMNS * height, number % SHEET_COLUMNS * width
        sheet[top : top + height, left : left + width] = image
    if sheet.ndim == 3 and sheet.shape[2] == 1:
        sheet = sheet[..., 0]
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _rows(images: UInt8Array, indices: Sequence[int]) -> UInt8Array:
    wrong = [index for index in indices if not 0 <= index < len(images)]
    if wrong:
        raise DataError(f"there is no image {wrong[0]}; they run from 0 to {len(images) - 1}")
    return images[np.asarray(indices, dtype=np.int64)]


def _counts(labels: Int64Array, classes: int) -> list[int]:
    return [int(count) for count in np.bincount(labels, minlength=classes)]


def _duplicates(images: UInt8Array, labels: Int64Array) -> DuplicatesView:
    compared = images[:MOST_COMPARED]
    pairs = near_duplicates(compared)
    return DuplicatesView(
        compared=len(compared),
        images=len(images),
        pairs=[
            DuplicatePair(
                index=pair.index,
                label=int(labels[pair.index]),
                earlier=pair.earlier,
                earlier_label=int(labels[pair.earlier]),
                correlation=pair.correlation,
            )
            for pair in sorted(pairs, key=lambda pair: -pair.correlation)[: 2 * PAGE_SIZE]
        ],
    )
