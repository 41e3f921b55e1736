"""Files appear whole or not at all: write to a temporary name beside the target, then rename."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penmark.errors import StorageError


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes `path` when the block ends without an error.

    The temporary file stands in the same folder, so that the rename is atomic, and keeps the
    suffix of `path`, because some writers choose their format by it. Missing folders are made.

    Args:
        path: the file to create or replace.

    Raises:
        StorageError: the file system refused (the message names the path and the reason). The
            old content of `path`, if any, is untouched.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # mkstemp makes a private file; a finished one gets what an ordinary open() would give.
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


@contextlib.contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """Give an empty folder to fill; it becomes `path` when the block ends without an error.

    A folder that is already at `path` makes way only then, whole. Missing parents are made.

    Args:
        path: the folder to create or replace.

    Raises:
        StorageError: the file system refused; the old folder, if any, is untouched.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".", dir=path.parent))
        new, old = temporary / "new", temporary / "old"
        new.mkdir()
        yield new
        for file in new.rglob("*"):
            if file.is_file():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(new, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def storage_error(error: OSError, path: Path | str) -> StorageError:
    """Say in one line which path could not be written, and why."""
    reason = error.strerror or str(error) or type(error).__name__
    return StorageError(
        f"cannot write {path}: {reason.lower()}; choose another folder or free some space",
        path=path,
    )


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all. Raises StorageError."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, document: Any) -> None:
    """Write `document` as indented JSON to `path`, whole or not at all. Raises StorageError."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
