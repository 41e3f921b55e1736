"""One's own images, sent by the page: file by file, or as a zip archive.

Nothing is believed: names must be plain, only image files are kept, counts and sizes are checked
while the bytes arrive, and a data set appears in the workspace whole or not at all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import lzma
import os
import secrets
import shutil
import stat
import struct
import threading
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from penmark.atomic import storage_error
from penmark.data.image_file import image_extensions
from penmark.errors import DataError, StorageError
from penmark.studio.settings import Limits
from penmark.studio.workspace import Workspace, confined, is_plain_name, shown

_COPY_BYTES = 1 << 16
# An upload whose next piece does not come for so long is given up.
_PATIENCE_SECONDS = 600.0
# What archives and folders bring along beside the files.
_IGNORED = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


class TooLarge(DataError):
    """More files or bytes than one data set may have."""


@dataclasses.dataclass
class _Open:
    """An upload that has begun."""

    name: str
    folder: Path
    files: int = 0
    bytes: int = 0
    touched: float = dataclasses.field(default_factory=time.monotonic)


class Uploads:
    """Uploads on their way, by ticket.

    Args:
        workspace: where they go.
        limits: how much they may be.
    """

    def __init__(self, workspace: Workspace, limits: Limits) -> None:
        self._workspace = workspace
        self._limits = limits
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()

    def begin(self, name: str) -> str:
        """Begin an upload; gives its ticket.

        Raises:
            DataError: the name cannot be one, is taken, or there are too many uploads.
            StorageError: the workspace cannot be written to.
        """
        if not is_plain_name(name):
            raise DataError(
                f"a data set cannot be called {shown(name)!r}; use letters, digits, spaces, - and _"
            )
        uploads = self._workspace.uploads_folder
        with self._lock:
            self._give_up_stale()
            if confined(uploads, name) is None or (uploads / name).exists():
                raise DataError(f"there is already a data set called {name!r}; choose another name")
            kept = len(list(uploads.iterdir())) if uploads.is_dir() else 0
            if kept >= self._limits.uploads_kept + self._limits.uploads_open:
                raise DataError(f"there are already {kept} data sets; remove one first")
            if len(self._open) >= self._limits.uploads_open:
                raise DataError("too many uploads at once; wait until one has ended")
            ticket = secrets.token_urlsafe(16)
            folder = uploads / f".{ticket}"
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise storage_error(error, folder) from error
            self._open[ticket] = _Open(name, folder)
            return ticket

    def name(self, ticket: str) -> str:
        """What an upload will be called. Raises DataError."""
        return self._find(ticket).name

    def progress(self, ticket: str) -> tuple[int, int]:
        """Files and bytes that have arrived. Raises DataError."""
        upload = self._find(ticket)
        return upload.files, upload.bytes

    def add_file(self, ticket: str, path: str, content: BinaryIO) -> bool:
        """Keep one file; gives False for one that is no image and is left out.

        Args:
            ticket: of `begin`.
            path: "class/name.png" or "train/class/name.png", as in the folder that was chosen;
                one more folder around it may be there.
            content: its bytes, from the start.

        Raises:
            DataError: an unknown ticket, or a path that leads elsewhere.
            TooLarge: more files or bytes than allowed.
        """
        upload = self._find(ticket)
        parts = safe_parts(path)
        if parts is None:
            return False
        self._store(upload, parts, content)
        return True

    def add_archive(self, ticket: str, path: Path) -> None:
        """Keep the images of a zip archive.

        Raises:
            DataError: an unknown ticket, no zip archive, or a damaged one.
            TooLarge: it holds more files or bytes than allowed, whatever it claims.
        """
        upload = self._find(ticket)
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
                if len(members) > 4 * self._limits.upload_files:
                    raise TooLarge(self._too_many())
                for member in members:
                    if member.is_dir() or _is_link(member):
                        continue
                    parts = safe_parts(member.filename)
                    if parts is None:
                        continue
                    with archive.open(member) as content:
                        self._store(upload, parts, content)  # type: ignore[arg-type]
        except (
            zipfile.BadZipFile,
            zlib.error,
            lzma.LZMAError,
            struct.error,
            NotImplementedError,
            RuntimeError,
            EOFError,
            LookupError,
            OSError,
            ValueError,
        ) as error:
            raise DataError(
                f"the zip archive cannot be read ({' '.join(str(error).split())[:120]}); make it "
                "again, without a password"
            ) from error

    def finish(self, ticket: str) -> str:
        """Make the upload a data set of the workspace; gives its name.

        Raises:
            DataError: an unknown ticket, nothing in it, or a name that was taken meanwhile.
            StorageError: the folder cannot be moved.
        """
        upload = self._find(ticket)
        target = self._workspace.uploads_folder / upload.name
        with self._lock:
            if upload.files == 0:
                raise DataError(
                    "none of that was an image in a class folder; put the images of each class in "
                    "a folder of its own"
                )
            try:
                if target.exists():
                    raise DataError(f"there is already a data set called {upload.name!r}")
                os.rename(_without_outer_folder(upload.folder), target)
            except OSError as error:
                raise storage_error(error, target) from error
        self.discard(ticket)
        return upload.name

    def discard(self, ticket: str) -> None:
        """Forget an upload and remove what it left."""
        with self._lock:
            upload = self._open.pop(ticket, None)
        if upload is not None:
            shutil.rmtree(upload.folder, ignore_errors=True)

    def remove(self, name: str) -> None:
        """Remove an uploaded data set.

        Raises:
            DataError: there is none of that name.
            StorageError: it cannot be removed.
        """
        path = confined(self._workspace.uploads_folder, name)
        if path is None or not path.is_dir():
            raise DataError(f"there is no uploaded data set {shown(name)!r}")
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise StorageError(f"cannot remove {path}: {error.strerror}", path=path) from error

    def clear_leftovers(self) -> None:
        """Remove what uploads of an earlier studio left behind."""
        folder = self._workspace.uploads_folder
        if folder.is_dir():
            for path in folder.glob(".*"):
                shutil.rmtree(path, ignore_errors=True)

    def _find(self, ticket: str) -> _Open:
        upload = self._open.get(ticket)
        if upload is None:
            raise DataError("this upload is not known any more; begin it again")
        upload.touched = time.monotonic()
        return upload

    def _give_up_stale(self) -> None:
        now = time.monotonic()
        for ticket, upload in list(self._open.items()):
            if now - upload.touched > _PATIENCE_SECONDS:
                del self._open[ticket]
                shutil.rmtree(upload.folder, ignore_errors=True)

    def _store(self, upload: _Open, parts: tuple[str, ...], content: BinaryIO) -> None:
        target = upload.folder.joinpath(*parts)
        with self._lock:
            if upload.files >= self._limits.upload_files:
                raise TooLarge(self._too_many())
            upload.files += 1
        written = 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # "x": two files whose names differ only in case must not become one unseen.
            with target.open("xb") as file:
                while piece := content.read(_COPY_BYTES):
                    written += len(piece)
                    with self._lock:
                        upload.bytes += len(piece)
                        total = upload.bytes
                    if written > self._limits.picture_bytes:
                        raise TooLarge(
                            f"{shown('/'.join(parts))} is larger than "
                            f"{self._limits.picture_bytes >> 20} MB"
                        )
                    if total > self._limits.unpacked_bytes:
                        raise TooLarge(
                            f"the images take more than {self._limits.unpacked_bytes >> 20} MB "
                            "together; send fewer or smaller ones"
                        )
                    file.write(piece)
        except FileExistsError as error:
            raise DataError(f"{shown('/'.join(parts))} is there twice") from error
        except OSError as error:
            raise storage_error(error, target) from error
        except Exception:
            # A file cut short, too large or damaged is not kept.
            with contextlib.suppress(OSError):
                target.unlink()
            raise

    def _too_many(self) -> str:
        return f"more than {self._limits.upload_files:,} images; send fewer"


def safe_parts(path: str) -> tuple[str, ...] | None:
    """The folders and the file name of an uploaded image; None for what is to be left out.

    Raises:
        DataError: the path leads out of its folder, or a name in it is not a plain one.
    """
    if "\\" in path or path.startswith("/") or ":" in path:
        raise DataError(f"the path {shown(path)!r} leads elsewhere; send a folder of images")
    parts = PurePosixPath(path).parts
    if ".." in parts:
        raise DataError(f"the path {shown(path)!r} leads elsewhere; send a folder of images")
    if any(part.startswith(".") or part in _IGNORED for part in parts):
        return None
    if not 2 <= len(parts) <= 4 or Path(parts[-1]).suffix.lower() not in image_extensions():
        return None
    if not all(is_plain_name(part) for part in parts):
        raise DataError(f"the name {shown(path)!r} cannot be kept; use plain letters and digits")
    return parts


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def _without_outer_folder(folder: Path) -> Path:
    """The folder of the class folders: archives often have one more around them."""
    while True:
        inside = [path for path in folder.iterdir()]
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        if not any(path.is_dir() for path in inside[0].iterdir()):
            return folder
        folder = inside[0]
