"""Read a data set from an .npz file, without trusting it."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from numpy.lib import format as npy_format
from numpy.typing import NDArray

from penmark.data.arrays import as_images, as_labels, check_class_names, names_for_labels
from penmark.data.dataset import Dataset
from penmark.errors import DataError

# All arrays of a file together, unpacked. MNIST has 55 MB, CIFAR-10 184 MB.
MAX_NPZ_BYTES = 4 * 2**30

_KEYS = ("x_train", "y_train", "x_test", "y_test")
_READ_HEADER = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


def read_npz(path: Path | str, *, max_bytes: int = MAX_NPZ_BYTES) -> Dataset:
    """Read a data set from an .npz file.

    It holds `x_train`, `y_train`, `x_test`, `y_test`, and `class_names` where labels have names.
    Images are (n, height, width), (n, height, width, 1), which becomes (n, height, width), or
    (n, height, width, 3), whole numbers 0 to 255. Labels are (n,), (n, 1) or one-hot.

    Args:
        path: the file.
        max_bytes: refuse a file whose arrays declare more, all together.

    Raises:
        DataError: the file is damaged or too large, an array is missing, pickled, or of the wrong
            shape or values, or the labels do not fit the class names.
    """
    path = Path(path)
    arrays = read_npz_arrays(path, max_bytes=max_bytes)
    y_train = as_labels(arrays["y_train"], f"{path}: y_train")
    y_test = as_labels(arrays["y_test"], f"{path}: y_test")
    if "class_names" in arrays:
        names = _as_names(arrays["class_names"], path)
        check_class_names(names, path)
    else:
        names = names_for_labels((y_train, y_test), str(path))
    return Dataset(
        name=path.stem,
        x_train=as_images(arrays["x_train"], f"{path}: x_train"),
        y_train=y_train,
        x_test=as_images(arrays["x_test"], f"{path}: x_test"),
        y_test=y_test,
        class_names=names,
        source=str(path),
    )


def read_npz_arrays(path: Path, *, max_bytes: int = MAX_NPZ_BYTES) -> dict[str, NDArray[Any]]:
    """Read the arrays of a data set as they are stored. Raises DataError as `read_npz` does."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename: member for member in archive.infolist()}
            missing = [key for key in _KEYS if f"{key}.npy" not in members]
            if missing:
                found = (
                    ", ".join(sorted(name.removesuffix(".npy") for name in members)) or "nothing"
                )
                raise DataError(
                    f"{path} lacks {', '.join(missing)}; a data set needs {', '.join(_KEYS)}; "
                    f"it holds {found[:200]}",
                    path=path,
                )
            wanted = [members[f"{key}.npy"] for key in _KEYS]
            if "class_names.npy" in members:
                wanted.append(members["class_names.npy"])
            declared = sum(member.file_size for member in wanted)
            if declared > max_bytes:
                raise DataError(
                    f"{path} declares {declared:,} bytes of arrays, more than the {max_bytes:,} "
                    "that penmark reads",
                    path=path,
                )
            return {
                member.filename.removesuffix(".npy"): _read_member(archive, member, path)
                for member in wanted
            }
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", path=path) from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        struct.error,
        NotImplementedError,  # a compression method that zipfile does not know
        RuntimeError,  # an encrypted member
    ) as error:
        raise DataError(
            f"{path} is not a whole .npz file ({error}); get or save it again", path=path
        ) from error


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    """Read one array after its header has been checked against the size of the member.

    NumPy takes memory for what the header declares before it reads, so the header is not believed
    until it agrees with the archive, whose total is bounded.
    """
    with archive.open(member) as stream:
        version = npy_format.read_magic(stream)
        if version not in _READ_HEADER:
            raise DataError(
                f"{path}: {member.filename} is of an unusual .npy version {version}; save it with "
                "numpy.savez",
                path=path,
            )
        try:
            shape, _, dtype = _READ_HEADER[version](stream)
        except Exception as error:
            # The header is a line of Python, and NumPy lets through whatever its parser raises.
            raise ValueError(f"the header of {member.filename} cannot be read") from error
        if dtype.hasobject:
            raise DataError(
                f"{path}: {member.filename} holds pickled Python objects, which penmark never "
                "loads; save plain arrays of numbers",
                path=path,
            )
        if math.prod(shape) * dtype.itemsize != member.file_size - stream.tell():
            raise DataError(
                f"{path}: {member.filename} declares shape {shape} of {dtype}, which is not the "
                f"size of its data; save it again",
                path=path,
            )
    with archive.open(member) as stream:
        array: NDArray[Any] = npy_format.read_array(stream, allow_pickle=False)
    return array


def _as_names(array: NDArray[Any], path: Path) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise DataError(
            f"{path}: class_names must be a one-dimensional array of text; "
            f"got {array.dtype} of shape {array.shape}",
            path=path,
        )
    if array.dtype.kind == "S":
        return tuple(name.decode("utf-8", "surrogateescape") for name in array.tolist())
    return tuple(array.tolist())
