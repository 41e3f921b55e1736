"""What a studio is started with, and every limit it keeps."""

from __future__ import annotations

import dataclasses
import ipaddress
import secrets
from pathlib import Path

from penmark.errors import InputError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8128


@dataclasses.dataclass(frozen=True)
class Limits:
    """The most of everything that a client, or all of them together, may use.

    Args:
        body_bytes: of an ordinary request.
        picture_bytes: of a picture to be read, and of each uploaded file.
        archive_bytes: of an uploaded zip file.
        unpacked_bytes: of all files of one uploaded data set.
        upload_files: files in one uploaded data set.
        uploads_kept: uploaded data sets in a workspace.
        uploads_open: uploads that have begun and not ended.
        watchers: WebSocket connections.
        connections: of all kinds.
        receive_seconds: for the next piece of a request's body to come.
        send_seconds: for a watcher to take a message.
    """

    body_bytes: int = 1 << 20
    picture_bytes: int = 16 << 20
    archive_bytes: int = 256 << 20
    unpacked_bytes: int = 512 << 20
    upload_files: int = 20_000
    uploads_kept: int = 50
    uploads_open: int = 4
    watchers: int = 256
    connections: int = 512
    receive_seconds: float = 20.0
    send_seconds: float = 10.0


@dataclasses.dataclass(frozen=True)
class StudioSettings:
    """What `penmark studio` was asked for.

    Args:
        workspace: the folder with `runs/`; the studio reads and writes nothing outside it.
        model: a run's folder or a `.keras` file to begin with; None for the best there is.
        host: the address to listen on.
        port: the port to listen on; 0 for any free one.
        token: what a client must show; None asks for none. See `token_for`.
        limits: bounds on what clients may use.

    Raises:
        InputError: the workspace is no folder.
    """

    workspace: Path = Path()
    model: Path | None = None
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    token: str | None = None
    limits: Limits = dataclasses.field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.workspace.is_dir():
            raise InputError(f"the workspace {self.workspace} is not a folder; make it first")
        object.__setattr__(self, "workspace", self.workspace.resolve())


def token_for(host: str) -> str | None:
    """A fresh token where others can reach the address, None where only this computer can."""
    return None if is_loopback(host) else secrets.token_urlsafe(24)


def is_loopback(host: str) -> bool:
    """Whether an address or name leads to this very computer and to no other."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
