"""Where an export goes, and what must not be there yet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from penmark.atomic import storage_error
from penmark.errors import InputError


def file_destination(
    default: Path, out: Path | str | None, suffix: str, *, overwrite: bool
) -> Path:
    """The file to write.

    Args:
        default: where it goes unless told otherwise.
        out: where the user wants it.
        suffix: that such a file has, with its dot.
        overwrite: whether it may replace a file.

    Raises:
        InputError: another suffix, a folder, or a file that is there already.
        StorageError: the file system refuses to look.
    """
    path = default if out is None else Path(out)
    with _reachable(path):
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file in it: {path / default.name}")
        if path.suffix.lower() != suffix:
            raise InputError(f"the file's name must end in {suffix}; got {path.name!r}")
        for taken in (path, card_path(path)):
            if (taken.exists() or taken.is_symlink()) and not (overwrite and taken.is_file()):
                raise InputError(_taken(taken, replaceable=taken.is_file()), path=taken)
    return path


def folder_destination(
    default: Path, out: Path | str | None, mark: str, *, overwrite: bool
) -> Path:
    """The folder to write.

    Args:
        default: where it goes unless told otherwise.
        out: where the user wants it.
        mark: a file that an earlier export of this kind has in it; only such a folder is replaced.
        overwrite: whether it may replace one.

    Raises:
        InputError: something else is there, or an earlier export and `overwrite` is off.
        StorageError: the file system refuses to look.
    """
    path = default if out is None else Path(out)
    with _reachable(path):
        if not path.exists() and not path.is_symlink():
            return path
        if not path.is_dir():
            raise InputError(f"{path} is a file; choose another name for the folder", path=path)
        if not any(path.iterdir()):
            return path
        if not (path / mark).is_file():
            raise InputError(
                f"{path} holds something else than an exported page; choose another folder",
                path=path,
            )
        if not overwrite:
            raise InputError(_taken(path, replaceable=True), path=path)
        return path


def card_path(path: Path) -> Path:
    """The model card that stands beside an exported file."""
    return path.with_name(path.name + ".md")


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[None]:
    """A name that is too long or a folder without permission is one line."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def _taken(path: Path, *, replaceable: bool) -> str:
    way_out = " or replace it (--overwrite)" if replaceable else ""
    return f"{path} already exists; choose another name (--out){way_out}"
