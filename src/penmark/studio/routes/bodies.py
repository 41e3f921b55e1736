"""Request bodies that are bytes, not JSON."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request


def takes_bytes(kind: str, description: str) -> dict[str, Any]:
    """The `openapi_extra` of a route whose body is raw bytes of a media type."""
    return {
        "requestBody": {
            "required": True,
            "description": description,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}}},
        }
    }


@contextlib.asynccontextmanager
async def body_as_file(request: Request) -> AsyncIterator[Path]:
    """The body as a temporary file, written as it arrives, so that it never is in memory whole."""
    with tempfile.TemporaryDirectory(prefix="penmark-studio-") as folder:
        path = Path(folder) / "body"
        with path.open("wb") as file:
            async for piece in request.stream():
                if piece:
                    await run_in_threadpool(file.write, piece)
        yield path
