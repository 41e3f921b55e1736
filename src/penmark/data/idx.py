"""IDX, the file format of MNIST: a big-endian header of the shape, then the bytes.

Format: http://yann.lecun.com/exdb/mnist/, section "The IDX file format".
"""

from __future__ import annotations

import gzip
import hashlib
import math
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from penmark.data.dataset import Int64Array, UInt8Array
from penmark.errors import DataError

# A header may claim anything; MNIST's largest file holds 47 MB. What is refused here would not
# fit into the memory of an ordinary computer together with a model.
MAX_IDX_BYTES = 4 * 2**30

_CHUNK_BYTES = 2**20
_GZIP_MAGIC = b"\x1f\x8b"
_TYPE_NAMES = {
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}
_UNSIGNED_BYTE = 0x08

_IMAGES_NAME = re.compile(r"images?[-._]idx[34]-ubyte(\.gz)?$", re.IGNORECASE)


def read_idx(path: Path | str, *, max_bytes: int = MAX_IDX_BYTES) -> UInt8Array:
    """Read an IDX file of unsigned bytes, plain or gzipped.

    Memory stays in proportion to the bytes that are really there, whatever the header claims.

    Args:
        path: the file; whether it is gzipped is told from its first two bytes.
        max_bytes: refuse a file whose header declares more.

    Returns:
        uint8, in the shape that the header declares.

    Raises:
        DataError: the file cannot be read, is no IDX file, does not hold unsigned bytes, or is
            longer or shorter than its header says.
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not compressed:
                return _read_stream(raw, path, max_bytes)
            with gzip.open(raw) as unpacked:
                return _read_stream(cast(BinaryIO, unpacked), path, max_bytes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path} is a damaged or incomplete gzip file ({error}); get it again", path=path
        ) from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", path=path) from error


def _read_stream(stream: BinaryIO, path: Path, max_bytes: int) -> UInt8Array:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or not 1 <= magic[3] <= 8:
        raise DataError(f"{path} is not an IDX file: its first bytes are {magic!r}", path=path)
    if magic[2] != _UNSIGNED_BYTE:
        held = _TYPE_NAMES.get(magic[2], f"values of unknown type 0x{magic[2]:02x}")
        raise DataError(
            f"{path} holds {held}; penmark reads IDX files of unsigned bytes (0 to 255)", path=path
        )
    dimensions = magic[3]
    header = stream.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(f"{path} ends within its header; get it again", path=path)
    shape = struct.unpack(f">{dimensions}I", header)
    expected = math.prod(shape)
    if expected > max_bytes:
        raise DataError(
            f"{path} declares {' × '.join(map(str, shape))} = {expected:,} bytes, more than "
            f"the {max_bytes:,} that penmark reads",
            path=path,
        )
    # Grown as bytes arrive, so that a short file with a huge header costs nothing.
    content = bytearray()
    while len(content) < expected:
        chunk = stream.read(min(_CHUNK_BYTES, expected - len(content)))
        if not chunk:
            raise DataError(
                f"{path} is incomplete: its header declares {expected:,} bytes, "
                f"{len(content):,} are there; get it again",
                path=path,
            )
        content += chunk
    if stream.read(1):
        raise DataError(
            f"{path} is longer than the {expected:,} bytes that its header declares; get it again",
            path=path,
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def read_idx_pair(images_path: Path, labels_path: Path) -> tuple[UInt8Array, Int64Array]:
    """Read an IDX file of images and the one of their labels.

    Returns:
        images: uint8, shape (n, height, width) or (n, height, width, channels).
        labels: int64, shape (n,).

    Raises:
        DataError: a file is damaged, or the two do not belong together.
    """
    images = read_idx(images_path)
    labels = read_idx(labels_path)
    if images.ndim not in (3, 4):
        raise DataError(
            f"{images_path} has shape {images.shape}; images need 3 dimensions "
            "(number, height, width), or 4 with channels",
            path=images_path,
        )
    if labels.ndim != 1:
        raise DataError(
            f"{labels_path} has shape {labels.shape}; labels need 1 dimension", path=labels_path
        )
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images but {labels_path} holds {len(labels)} "
            "labels; each image needs one label",
            path=images_path,
        )
    return images, labels.astype(np.int64)


def idx_header(shape: tuple[int, ...]) -> bytes:
    """Header of an IDX file of unsigned bytes of this shape."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, _UNSIGNED_BYTE, len(shape), *shape)


def idx_sha256(array: NDArray[np.integer]) -> str:
    """SHA-256 of the uncompressed IDX file that would hold `array` (values 0 to 255)."""
    digest = hashlib.sha256(idx_header(array.shape))
    digest.update(np.ascontiguousarray(array, dtype=np.uint8).data)
    return digest.hexdigest()


def is_images_name(name: str) -> bool:
    """Whether a file name is that of an IDX file of images, as in `train-images-idx3-ubyte.gz`."""
    return _IMAGES_NAME.search(name) is not None


def labels_beside(images_path: Path) -> Path:
    """The file of the labels that belong to a file of images, found by its name.

    Raises:
        DataError: there is none.
    """
    wanted = _IMAGES_NAME.sub("", images_path.name)
    for candidate in sorted(images_path.parent.iterdir()):
        name = candidate.name.lower()
        if re.fullmatch(re.escape(wanted.lower()) + r"labels?[-._]idx1-ubyte(\.gz)?", name):
            return candidate
    raise DataError(
        f"{images_path} has no labels beside it; put "
        f"{wanted}labels-idx1-ubyte (or the same with .gz) into {images_path.parent}",
        path=images_path,
    )


def images_in(folder: Path) -> list[Path]:
    """The IDX files of images directly in `folder`, sorted by name; a plain one before its .gz."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_images_name(path.name) and path.is_file():
            found.setdefault(path.name.lower().removesuffix(".gz").replace(".", "-"), path)
    return list(found.values())
