"""`Dataset`: images, labels and class names, split into training and test."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from penmark.errors import DataError

if TYPE_CHECKING:
    from penmark.data.findings import FolderReport

UInt8Array = NDArray[np.uint8]
Int64Array = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images of things that come in classes.

    Args:
        name: short name, as in `penmark train --data NAME`.
        x_train, x_test: uint8, shape (n, height, width) or (n, height, width, channels),
            0 to 255.
        y_train, y_test: int64, shape (n,), 0 to number of classes - 1.
        class_names: one name per class, in label order.
        source: where the images came from: a path, or a sentence.
        report: what loading found in a folder of images; None for other sources.

    Raises:
        DataError: shapes, dtypes, labels and class names do not fit together, or the training
            split is empty.
    """

    name: str
    x_train: UInt8Array
    y_train: Int64Array
    x_test: UInt8Array
    y_test: Int64Array
    class_names: tuple[str, ...]
    source: str = ""
    report: FolderReport | None = None

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            self._check_split(split, getattr(self, f"x_{split}"), getattr(self, f"y_{split}"))
        if len(self.x_train) == 0:
            raise DataError(f"{self.name}: there are no training images; add some and load again")
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise DataError(
                f"{self.name}: training images are {self.x_train.shape[1:]} but test images are "
                f"{self.x_test.shape[1:]}; give both the same shape"
            )

    def _check_split(self, split: str, images: UInt8Array, labels: Int64Array) -> None:
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise DataError(
                f"{self.name}: x_{split} must be uint8 of shape (n, height, width) or "
                f"(n, height, width, channels); got {images.dtype} of shape {images.shape}"
            )
        if labels.dtype != np.int64 or labels.ndim != 1:
            raise DataError(
                f"{self.name}: y_{split} must be int64 of shape (n,); "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        if len(images) != len(labels):
            raise DataError(
                f"{self.name}: {len(images)} {split} images but {len(labels)} {split} labels; "
                "each image needs one label"
            )
        out_of_range = np.flatnonzero((labels < 0) | (labels >= self.num_classes))
        if out_of_range.size:
            where = int(out_of_range[0])
            raise DataError(
                f"{self.name}: y_{split}[{where}] is {int(labels[where])}, but with "
                f"{self.num_classes} classes labels run from 0 to {self.num_classes - 1}"
            )

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(height, width) or (height, width, channels)."""
        return tuple(self.x_train.shape[1:])

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 over both splits and the class names: two data sets with the same are equal."""
        digest = hashlib.sha256("\0".join(self.class_names).encode())
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def one_against_rest(self, class_name: str) -> Dataset:
        """The two-class problem "is it `class_name` or not": label 1 for that class, else 0.

        Raises:
            DataError: there is no class of that name.
        """
        if class_name not in self.class_names:
            raise DataError(
                f"{self.name}: there is no class {class_name!r}; "
                f"choose one of {', '.join(self.class_names)}"
            )
        label = self.class_names.index(class_name)
        return dataclasses.replace(
            self,
            y_train=(self.y_train == label).astype(np.int64),
            y_test=(self.y_test == label).astype(np.int64),
            class_names=(f"not {class_name}", class_name),
        )
