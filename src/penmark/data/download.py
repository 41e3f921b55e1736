"""Download published files: several mirrors, resumed where interrupted, verified by checksum.

Bytes arrive in NAME.part beside the target. pooch then checks the whole file's SHA-256 and puts
it in place under its own name, so that a file under that name is always the published one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penmark.atomic import storage_error
from penmark.data.progress import progress_bar
from penmark.data.registry import RemoteFile
from penmark.errors import DownloadError

if TYPE_CHECKING:
    import requests

# When a transfer breaks off, the block that was on its way is lost, so blocks are small.
_CHUNK_BYTES = 2**13
# A connection that drops is taken up again on the same mirror as long as each attempt brings
# bytes, but not for ever.
_MAX_ATTEMPTS = 20


@dataclasses.dataclass(frozen=True)
class Timeouts:
    """How long to wait for a mirror, in seconds.

    Args:
        connect_s: for the connection.
        read_s: for the next bytes; a transfer that stands still so long counts as dropped.
    """

    connect_s: float = 10.0
    read_s: float = 30.0


class _MirrorError(Exception):
    """This mirror cannot give the file; the message says why in a few words."""


class _WrongBytesError(_MirrorError):
    """The file is whole, but not the published one."""


class _DroppedError(_MirrorError):
    """The transfer broke off; what arrived is kept."""


def download_files(
    files: Sequence[RemoteFile],
    mirrors: Sequence[str],
    folder: Path,
    *,
    title: str,
    ways_out: str,
    progress: bool = True,
    timeouts: Timeouts | None = None,
) -> list[Path]:
    """Bring files into a folder, from the first mirror that has them.

    A file that is there already with the right checksum is left as it is. Two processes may do
    this at once: the second waits and finds the files. After an interruption, Ctrl-C included,
    the next call goes on with the bytes that have arrived.

    Args:
        files: what to fetch.
        mirrors: addresses that end in "/"; each is tried in turn.
        folder: where the files go; made if missing.
        title: name of the data set, for the progress bar and for messages.
        ways_out: end of the message when no mirror helps: what to do instead.
        progress: whether to show a bar, if standard error is a terminal.
        timeouts: how long to wait; None for the usual times.

    Returns:
        The paths of the files, in order.

    Raises:
        DownloadError: no mirror gave a file; the message has each mirror's reason.
        StorageError: the folder cannot be written to.
    """
    import filelock

    times = timeouts or Timeouts()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if progress and sys.stderr.isatty():
                print(f"{title}: another process is downloading it; waiting", file=sys.stderr)
            lock.acquire()
        try:
            return _download_locked(files, list(mirrors), folder, title, ways_out, progress, times)
        finally:
            lock.release()
    except OSError as error:
        raise storage_error(error, folder) from error


def _download_locked(
    files: Sequence[RemoteFile],
    mirrors: list[str],
    folder: Path,
    title: str,
    ways_out: str,
    progress: bool,
    timeouts: Timeouts,
) -> list[Path]:
    import pooch

    # pooch announces each download on standard error; the progress bar does that better.
    pooch.get_logger().setLevel(logging.WARNING)
    total = sum(file.size_bytes for file in files)
    paths = []
    finished_bytes = 0
    with progress_bar(f"{title}: downloading", total, enabled=progress, in_bytes=True) as show:
        for file in files:

            def show_file(done: int, before: int = finished_bytes) -> None:
                show(before + done)

            def fetch(url: str, target: str, _pooch: object, file: RemoteFile = file) -> None:
                part = folder / f"{file.name}.part"
                _fetch_from_mirrors(file, mirrors, part, title, ways_out, timeouts, show_file)
                os.replace(part, target)

            paths.append(
                Path(
                    pooch.retrieve(
                        url=mirrors[0] + file.name if mirrors else file.name,
                        known_hash=f"sha256:{file.sha256}",
                        fname=file.name,
                        path=folder,
                        downloader=fetch,
                    )
                )
            )
            finished_bytes += file.size_bytes
            show(finished_bytes)
    return paths


def _fetch_from_mirrors(
    file: RemoteFile,
    mirrors: list[str],
    part: Path,
    title: str,
    ways_out: str,
    timeouts: Timeouts,
    show: Callable[[int], None],
) -> None:
    """Fill `part` with the published file. A mirror that worked moves to the front of `mirrors`."""
    reasons = []
    for mirror in tuple(mirrors):
        try:
            _fetch_from_one(file, mirror + file.name, part, timeouts, show)
        except _MirrorError as failure:
            reasons.append(f"{urlsplit(mirror).netloc or mirror}: {failure}")
            continue
        mirrors.remove(mirror)
        mirrors.insert(0, mirror)
        return
    reason = "; ".join(reasons) or "no mirror is known"
    raise DownloadError(f"cannot download {title} ({file.name}): {reason}; {ways_out}")


def _fetch_from_one(
    file: RemoteFile, url: str, part: Path, timeouts: Timeouts, show: Callable[[int], None]
) -> None:
    """Fill `part` from one address, going on after each interruption that brought something."""
    begun_again = False
    for _ in range(_MAX_ATTEMPTS):
        before = _size(part)
        try:
            _transfer(file, url, part, timeouts, show)
            _verify(file, part)
            return
        except _WrongBytesError:
            part.unlink(missing_ok=True)
            # The bytes that were there, from an earlier run or another mirror, may be the bad ones.
            if before == 0 or begun_again:
                raise
            begun_again = True
        except _DroppedError:
            if _size(part) <= before:
                raise
    raise _MirrorError(f"the connection dropped {_MAX_ATTEMPTS} times")


def _transfer(
    file: RemoteFile, url: str, part: Path, timeouts: Timeouts, show: Callable[[int], None]
) -> None:
    """Ask once for the bytes that `part` still lacks, and append them."""
    import requests

    offset = _size(part)
    if offset > file.size_bytes:
        part.unlink()
        offset = 0
    if offset == file.size_bytes:
        return
    # identity: a server must not compress on the way what is checked as it was published.
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        with requests.get(
            url, headers=headers, stream=True, timeout=(timeouts.connect_s, timeouts.read_s)
        ) as response:
            if response.status_code == requests.codes.partial_content and _starts_at(
                response, offset
            ):
                mode = "ab"
            elif response.status_code == requests.codes.ok:
                mode = "wb"  # the whole file, although only the rest was asked for
            elif response.status_code in (
                requests.codes.partial_content,
                requests.codes.requested_range_not_satisfiable,
            ):
                # It has another idea of the file than we do: from the start, then.
                raise _WrongBytesError("it does not have the range asked for")
            else:
                reason = f" {response.reason}" if response.reason else ""
                raise _MirrorError(f"HTTP status {response.status_code}{reason}")
            _append(file, response, part, mode, show)
    except requests.exceptions.SSLError as error:
        raise _MirrorError("no secure connection (SSL)") from error
    except requests.exceptions.ConnectTimeout as error:
        raise _MirrorError(f"no answer within {timeouts.connect_s:g} s") from error
    except requests.exceptions.ReadTimeout as error:
        raise _DroppedError(f"no data for {timeouts.read_s:g} s") from error
    except requests.exceptions.ConnectionError as error:
        # requests reports a stalled or dropped transfer so, as well as a host that is not there.
        if "timed out" in str(error):
            raise _DroppedError(f"no data for {timeouts.read_s:g} s") from error
        raise _DroppedError("no connection") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise _DroppedError("the connection dropped") from error
    except requests.exceptions.RequestException as error:
        raise _MirrorError(type(error).__name__) from error


def _starts_at(response: requests.Response, offset: int) -> bool:
    """Whether a partial answer begins where it was asked to."""
    return response.headers.get("Content-Range", "").strip().startswith(f"bytes {offset}-")


def _append(
    file: RemoteFile,
    response: requests.Response,
    part: Path,
    mode: str,
    show: Callable[[int], None],
) -> None:
    with part.open(mode) as stream:
        done = stream.tell() if mode == "ab" else 0
        show(done)
        for chunk in response.iter_content(_CHUNK_BYTES):
            done += len(chunk)
            if done > file.size_bytes:
                # A page that never ends must not fill the disk.
                raise _WrongBytesError("it has another, longer file under that name")
            stream.write(chunk)
            show(done)
    if done < file.size_bytes:
        raise _DroppedError(f"it ended after {done:,} of {file.size_bytes:,} bytes")


def _verify(file: RemoteFile, part: Path) -> None:
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != file.sha256:
        raise _WrongBytesError("its file is not the published one (checksum differs)")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
