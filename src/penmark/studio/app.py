"""The studio as one ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from penmark import __version__
from penmark.errors import DataError, InputError, ModelError, PenmarkError, RunError
from penmark.studio.context import Context
from penmark.studio.jobs import Busy
from penmark.studio.routes import data, drawing, page, runs
from penmark.studio.schemas import PROBLEMS
from penmark.studio.security import Guard
from penmark.studio.settings import Limits, StudioSettings
from penmark.studio.uploads import TooLarge
from penmark.studio.workspace import NotFound


def create_app(settings: StudioSettings) -> ASGIApp:
    """The application, guarded.

    Args:
        settings: what the studio was started with; `port` is the one it really listens on.

    Raises:
        ModelError, RunError: the model to begin with is none.
        StorageError: the page is not installed.
    """
    return guarded(bare_app(settings), settings)


def guarded(app: ASGIApp, settings: StudioSettings) -> ASGIApp:
    """An application behind the studio's guard."""
    return Guard(app, settings, body_limits(settings.limits))


def bare_app(settings: StudioSettings) -> FastAPI:
    """The application without its guard, for its schema. Raises as `create_app`."""
    context = Context(settings)
    files = page.bundle()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context.uploads.clear_leftovers()
        yield

    async def http_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return JSONResponse({"detail": "something failed"}, 500)
        answer = page.lost(request, files) if error.status_code == 404 else None
        return answer or JSONResponse(
            {"detail": str(error.detail)}, error.status_code, headers=error.headers
        )

    app = FastAPI(
        title="penmark studio",
        version=__version__,
        description="Draw a digit and see the network think. Every answer that is not what was "
        "asked for is a `Problem`: one line that says what was wrong and what to do.",
        # The usual pages load scripts from elsewhere; the schema itself is enough.
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses=PROBLEMS,
        lifespan=lifespan,
        # Nothing leaves this computer, whatever the environment asks other programs to export.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    app.state.context = context
    app.include_router(drawing.router)
    app.include_router(runs.router)
    app.include_router(data.router)
    app.include_router(page.page_router(files))
    app.add_exception_handler(PenmarkError, _penmark_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(MemoryError, _no_memory)
    return app


def body_limits(limits: Limits) -> Callable[[str, str], int]:
    """(method, path) -> the most bytes that its body may have."""

    def limit(method: str, path: str) -> int:
        if method == "PUT" and path.startswith("/api/uploads/"):
            return limits.archive_bytes if path.endswith("/archive") else limits.picture_bytes
        return limits.picture_bytes if path == "/api/picture" else limits.body_bytes

    return limit


def _status(error: PenmarkError) -> int:
    match error:
        case Busy():
            return 409
        case TooLarge():
            return 413
        case NotFound():
            return 404
        case RunError():
            return 409
        case DataError() | ModelError() | InputError():
            return 400
        case _:
            return 500


async def _penmark_error(request: Request, error: Exception) -> JSONResponse:
    status = _status(error) if isinstance(error, PenmarkError) else 500
    return JSONResponse({"detail": " ".join(str(error).split())}, status)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    where = ".".join(str(part) for part in first.get("loc", ())[1:]) or "the request"
    return JSONResponse({"detail": f"{where}: {first.get('msg', 'not understood')}"}, 422)


async def _no_memory(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "there is not enough memory for this"}, 503)
