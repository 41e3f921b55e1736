"""Read the binary version of CIFAR-10 straight from its archive; nothing is unpacked to disk.

Format: https://www.cs.toronto.edu/~kriz/cifar.html, section "Binary version".
"""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path

import numpy as np

from penmark.data.dataset import Int64Array, UInt8Array
from penmark.errors import DataError

ARCHIVE_NAME = "cifar-10-binary.tar.gz"
IMAGES_PER_BATCH = 10_000

_FOLDER = "cifar-10-batches-bin"
_TRAIN_BATCHES = tuple(f"{_FOLDER}/data_batch_{number}.bin" for number in range(1, 6))
_TEST_BATCH = f"{_FOLDER}/test_batch.bin"
_SIDE = 32
_RECORD_BYTES = 1 + 3 * _SIDE * _SIDE
# Beside the batches the archive holds a page and a list of names, both small.
_MAX_OTHER_BYTES = 2**20
_MAX_MEMBERS = 32


def read_cifar10(
    path: Path | str, *, images_per_batch: int = IMAGES_PER_BATCH
) -> tuple[UInt8Array, Int64Array, UInt8Array, Int64Array]:
    """Read the five training batches and the test batch.

    Args:
        path: the archive.
        images_per_batch: images that each batch must hold.

    Returns:
        x_train, y_train, x_test, y_test: images uint8 (n, 32, 32, 3), labels int64 (n,).

    Raises:
        DataError: the archive is damaged, lacks a batch, or holds something that does not belong.
    """
    path = Path(path)
    batches: dict[str, UInt8Array] = {}
    expected_bytes = images_per_batch * _RECORD_BYTES
    try:
        # As a stream: members are met in order, none can point elsewhere.
        with tarfile.open(path, mode="r|gz") as archive:
            for count, member in enumerate(archive):
                is_batch = member.name in (*_TRAIN_BATCHES, _TEST_BATCH)
                if count >= _MAX_MEMBERS or (not is_batch and member.size > _MAX_OTHER_BYTES):
                    raise DataError(
                        f"{path} holds {member.name[:80]!r}, which is not part of CIFAR-10; get "
                        "the archive again",
                        path=path,
                    )
                if not is_batch:
                    continue
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None or member.size != expected_bytes:
                    raise DataError(
                        f"{path}: {member.name} must be a file of {expected_bytes:,} bytes; "
                        f"got {member.size:,}; get the archive again",
                        path=path,
                    )
                content = stream.read(expected_bytes)
                if len(content) != expected_bytes:
                    raise DataError(f"{path} is incomplete; get it again", path=path)
                batches[member.name] = np.frombuffer(content, dtype=np.uint8)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} is a damaged or incomplete archive ({error}); get it again", path=path
        ) from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", path=path) from error
    missing = [name for name in (*_TRAIN_BATCHES, _TEST_BATCH) if name not in batches]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; get the archive again", path=path)
    x_train, y_train = _unpack([batches[name] for name in _TRAIN_BATCHES])
    x_test, y_test = _unpack([batches[_TEST_BATCH]])
    return x_train, y_train, x_test, y_test


def _unpack(batches: list[UInt8Array]) -> tuple[UInt8Array, Int64Array]:
    """Records of a label and three color planes, to images with channels last and labels."""
    records = np.concatenate(batches).reshape(-1, _RECORD_BYTES)
    planes = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int64)
