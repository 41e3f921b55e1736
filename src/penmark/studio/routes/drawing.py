"""Reading a drawing or a picture, and looking inside the network that reads."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
import numpy as np
from fastapi import APIRouter, Query, Request, Response

from penmark import __version__
from penmark.errors import DataError
from penmark.studio.answers import read_drawing, read_picture
from penmark.studio.context import context_of
from penmark.studio.inspection import activations, as_input, network_view, unit_view
from penmark.studio.routes.bodies import body_as_file, takes_bytes
from penmark.studio.schemas import Answer, NetworkView, StudioState, UnitView

router = APIRouter(prefix="/api", tags=["draw"])

LONGEST_SIDE_PX = 1024
ModelId = Annotated[str, Query(max_length=220, description="Of `GET /api/state`.")]
Side = Annotated[int, Query(ge=1, le=LONGEST_SIDE_PX)]
IMAGE = "One image of the network's input shape, uint8, row by row."
BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "Packed bytes."}
}


@router.get("/state")
async def state(request: Request) -> StudioState:
    """Which models there are, and whether one is being trained."""
    context = context_of(request)

    def look() -> StudioState:
        entries = context.models.entries()
        return StudioState(
            version=__version__,
            workspace=context.workspace.folder.name,
            models=entries,
            default_model=context.models.default(),
            training=context.jobs.current(),
        )

    return await anyio.to_thread.run_sync(look, limiter=context.light)


@router.post("/read", openapi_extra=takes_bytes("application/octet-stream", "A byte a pixel, row "
             "by row: 0 is paper, 255 is ink."))  # fmt: skip
async def read(request: Request, model: ModelId, width: Side, height: Side) -> Answer:
    """Read a drawing."""
    context = context_of(request)
    body = await request.body()
    if len(body) != width * height:
        raise DataError(
            f"a drawing of {width}×{height} has {width * height} bytes; got {len(body)}"
        )
    ink = np.frombuffer(body, np.uint8).reshape(height, width)

    def work() -> Answer:
        return read_drawing(context.models.load(model), ink)

    return await anyio.to_thread.run_sync(work, limiter=context.quick)


@router.post("/picture", openapi_extra=takes_bytes("application/octet-stream", "An image file."))
async def picture(request: Request, model: ModelId) -> Answer:
    """Read a picture with any number of digits: a photo, a scan, a screenshot."""
    context = context_of(request)
    async with body_as_file(request) as received:

        def work() -> Answer:
            return read_picture(context.models.load(model), received)

        return await anyio.to_thread.run_sync(work, limiter=context.slow)


@router.get("/network")
async def network(request: Request, model: ModelId) -> NetworkView:
    """A network's layers: what each one does, its shape, its parameters."""
    context = context_of(request)
    return await anyio.to_thread.run_sync(
        lambda: network_view(context.models.load(model)), limiter=context.light
    )


@router.post(
    "/activations",
    response_class=Response,
    responses=BINARY,
    openapi_extra=takes_bytes("application/octet-stream", IMAGE),
)
async def all_activations(request: Request, model: ModelId) -> Response:
    """Every layer's output for one image.

    The answer: the length of a JSON header (4 bytes, little-endian); the header, a list of
    {"name", "low", "high", "size"}; then a byte a value, layer after layer, where
    value = low + byte / 255 * (high - low).
    """
    context = context_of(request)
    body = await request.body()

    def work() -> bytes:
        loaded = context.models.load(model)
        return activations(loaded, as_input(loaded, body))

    packed = await anyio.to_thread.run_sync(work, limiter=context.quick)
    return Response(packed, media_type="application/octet-stream")


@router.post(
    "/unit",
    openapi_extra=takes_bytes("application/octet-stream", IMAGE),
)
async def unit(
    request: Request,
    model: ModelId,
    layer: Annotated[str, Query(max_length=200)],
    number: Annotated[int, Query(ge=0, le=1_000_000)],
) -> UnitView:
    """One unit or feature map on one image: its weights, and which pixels drive it."""
    context = context_of(request)
    body = await request.body()

    def work() -> UnitView:
        loaded = context.models.load(model)
        return unit_view(loaded, as_input(loaded, body), layer, number)

    return await anyio.to_thread.run_sync(work, limiter=context.slow)
