"""Turn arrays as people keep them into images and labels as `Dataset` wants them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.data.dataset import Int64Array, UInt8Array
from penmark.errors import DataError

# Control characters, halves of surrogate pairs, line and paragraph separators: what would break a
# line of output or a file. All else (markup, other scripts, long names) is kept as it is.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_MAX_LISTED = 5


def as_images(array: NDArray[Any], where: str) -> UInt8Array:
    """Check images and give them as uint8; a single channel is squeezed away.

    Args:
        array: integers, or floats that are whole numbers, 0 to 255, of shape (n, height, width),
            (n, height, width, 1) or (n, height, width, 3).
        where: what to call the array in a message, such as "digits.npz: x_train".

    Returns:
        uint8, shape (n, height, width) or (n, height, width, 3).

    Raises:
        DataError: the shape is another, or the values are no whole numbers from 0 to 255.
    """
    images = array
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim == 2:
        raise DataError(
            f"{where} has shape {array.shape}; images need (n, height, width) or "
            "(n, height, width, 3): reshape them, for example with x.reshape(-1, 28, 28)"
        )
    if images.ndim == 4 and images.shape[-1] != 3:
        hint = "keep 1 (gray) or 3 (red, green, blue) channels"
        if images.shape[1] in (1, 3):
            hint = "channels come last: use x.transpose(0, 2, 3, 1)"
        raise DataError(f"{where} has shape {array.shape}, so {array.shape[-1]} channels; {hint}")
    if images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise DataError(
            f"{where} has shape {array.shape}; images need (n, height, width) or "
            "(n, height, width, 3)"
        )
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if images.dtype.kind not in "iuf":
        raise DataError(f"{where} has dtype {images.dtype}; give uint8, 0 to 255")
    converted = np.empty(images.shape, dtype=np.uint8)
    largest = 0.0
    # In blocks: a float copy of a whole data set may not fit into memory.
    for start in range(0, len(images), 1024):
        block = images[start : start + 1024]
        low, high = float(block.min()), float(block.max())
        if not (low >= 0 and high <= 255):  # also true when one of them is not a number
            raise DataError(
                f"{where} has values from {low:g} to {high:g}; give raw pixels, uint8, 0 to 255"
            )
        if block.dtype.kind == "f" and not np.array_equal(block, np.round(block)):
            raise DataError(
                f"{where} has fractions such as {_first_fraction(block):g}; give raw pixels, "
                "uint8, 0 to 255: if scaled to 0..1, use (x * 255).round().astype('uint8')"
            )
        largest = max(largest, high)
        converted[start : start + 1024] = block
    if images.dtype.kind == "f" and largest == 1:
        raise DataError(
            f"{where} is {images.dtype} and holds only 0 and 1; give raw pixels, uint8, 0 to 255: "
            "use (x * 255).astype('uint8')"
        )
    return converted


def _first_fraction(block: NDArray[Any]) -> float:
    return float(block[block != np.round(block)].flat[0])


def as_labels(array: NDArray[Any], where: str) -> Int64Array:
    """Check labels and give them as int64 of shape (n,).

    Args:
        array: whole numbers of shape (n,) or (n, 1), or one-hot rows of shape (n, classes).
        where: what to call the array in a message.

    Raises:
        DataError: the shape is another, or a label is no whole number from 0 up.
    """
    labels = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if labels.dtype.kind not in "biuf":
        raise DataError(
            f"{where} has dtype {labels.dtype}; give whole numbers from 0, and the names of the "
            "classes in the array class_names"
        )
    if labels.ndim == 2:
        one_hot = np.isin(labels, (0, 1)).all(axis=1) & (labels.sum(axis=1) == 1)
        if not one_hot.all():
            row = int(np.flatnonzero(~one_hot)[0])
            raise DataError(
                f"{where} has shape {array.shape}, but row {row} is not one-hot (a single 1, "
                "else 0); give labels of shape (n,)"
            )
        hot: Int64Array = np.argmax(labels, axis=1).astype(np.int64)
        return hot
    if labels.ndim != 1:
        raise DataError(f"{where} has shape {array.shape}; give labels of shape (n,)")
    # Negative, fractional, not a number, or too large for int64: the comparison is false for all.
    valid = (labels >= 0) & (labels < 2**31)
    if labels.dtype.kind == "f":
        valid &= np.floor(labels) == labels
    if not valid.all():
        index = int(np.flatnonzero(~valid)[0])
        raise DataError(
            f"{where}[{index}] is {labels[index]}; labels are whole numbers 0, 1, 2, ..."
        )
    return np.asarray(labels, dtype=np.int64)


def names_for_labels(labels: Sequence[Int64Array], where: str) -> tuple[str, ...]:
    """Class names "0", "1", ... for labels that came without names.

    Raises:
        DataError: the labels skip a value, do not start at 0, or are all the same.
    """
    used = np.unique(np.concatenate(labels)) if labels else np.empty(0, dtype=np.int64)
    count = len(used)
    if count and used[-1] != count - 1:
        missing = np.setdiff1d(np.arange(min(int(used[-1]), 1000)), used)[:_MAX_LISTED]
        listed = ", ".join(map(str, missing.tolist()))
        if used[0] == 1 and used[-1] == count:
            raise DataError(
                f"{where}: labels run from 1 to {count}; subtract 1, so they start at 0"
            )
        raise DataError(
            f"{where}: labels go up to {int(used[-1])} but {listed} "
            f"{'is' if len(missing) == 1 else 'are'} never used; number the classes 0 to "
            f"{count - 1}, or add class_names with a name for every label"
        )
    names = tuple(str(value) for value in range(count))
    check_class_names(names, where)
    return names


def check_class_names(names: Sequence[str], where: Path | str, *, at_least: int = 2) -> None:
    """Refuse class names that cannot be shown or told apart.

    Markup, other scripts and very long names are fine: whoever shows them escapes them.

    Raises:
        DataError: fewer than `at_least` names, a name twice, an empty one, or one with control
            characters or undecodable bytes.
    """
    for name in names:
        if not name.strip():
            raise DataError(f"{where}: the class name {name!r} is blank; give it a name")
        if any(unicodedata.category(character) in _UNSAFE_CATEGORIES for character in name):
            raise DataError(
                f"{where}: the class name {ascii(name)} has control characters or undecodable "
                "bytes; rename it"
            )
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise DataError(f"{where}: the class name {twice!r} is there twice; rename one")
    if len(names) < at_least:
        only = f"only one class, {names[0]!r}" if names else "no classes"
        raise DataError(
            f"{where}: there is {only}; to tell images apart takes at least two classes"
        )
