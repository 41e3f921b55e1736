"""The page itself: the files of the built bundle, and nothing else of the disk."""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from fastapi import APIRouter, Request, Response

from penmark.errors import StorageError

STATIC = importlib.resources.files("penmark.studio") / "static"
INDEX = "/index.html"
# The page's own addresses; which view they show is up to its script.
PAGES = ("/", "/look", "/train", "/data", "/mistakes")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


def bundle() -> dict[str, bytes]:
    """Every file of the page by its path, all read now: no request names a file of the disk.

    Raises:
        StorageError: the page is not there.
    """
    files = dict(_files(STATIC, PurePosixPath("/")))
    if INDEX not in files:
        raise StorageError("the studio's page is not installed; install penmark again")
    return files


def page_router(files: Mapping[str, bytes]) -> APIRouter:
    """Routes for the files of `bundle`."""
    router = APIRouter(include_in_schema=False)
    for path in PAGES:
        router.add_api_route(path, _giver(files[INDEX], ".html"), methods=["GET", "HEAD"])
    for path, content in files.items():
        if path != INDEX:
            router.add_api_route(
                path, _giver(content, PurePosixPath(path).suffix), methods=["GET", "HEAD"]
            )
    return router


def lost(request: Request, files: Mapping[str, bytes]) -> Response | None:
    """The page that says that it is not there, for a person who opened a wrong address."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if request.url.path.startswith("/api/") or not wants_page:
        return None
    return Response(files[INDEX], 404, media_type=_TYPES[".html"])


def _files(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, path / entry.name)
        elif PurePosixPath(entry.name).suffix in _TYPES:
            yield str(path / entry.name), entry.read_bytes()


def _giver(content: bytes, suffix: str) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}

    async def give(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=_TYPES[suffix], headers=headers)

    return give
