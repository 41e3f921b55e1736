"""Data sets: look at them, and bring one's own."""

from __future__ import annotations

from typing import Annotated

import anyio
from fastapi import APIRouter, Path, Query, Request, Response

from penmark.errors import DataError, PenmarkError
from penmark.report.wording import plain
from penmark.studio.context import context_of
from penmark.studio.datasets import PAGE_SIZE, UPLOAD_PREFIX
from penmark.studio.routes.bodies import body_as_file, takes_bytes
from penmark.studio.schemas import (
    DatasetEntry,
    DatasetView,
    DuplicatesView,
    ImagePage,
    SplitName,
    UploadProgress,
    UploadRequest,
    UploadResult,
    UploadTicket,
)

router = APIRouter(prefix="/api", tags=["data"])

DataId = Annotated[str, Query(max_length=220, description="Of `GET /api/data`, or run:NAME.")]
Ticket = Annotated[str, Path(max_length=60)]
Index = Annotated[int, Query(ge=0, le=100_000_000)]


@router.get("/data")
async def list_data(request: Request) -> list[DatasetEntry]:
    """The data sets one can choose."""
    context = context_of(request)
    return await anyio.to_thread.run_sync(context.datasets.entries, limiter=context.light)


@router.get("/data/view")
async def view(request: Request, data: DataId) -> DatasetView:
    """What is in a data set."""
    context = context_of(request)
    return await anyio.to_thread.run_sync(lambda: context.datasets.view(data), limiter=context.slow)


@router.get("/data/images")
async def images(
    request: Request,
    data: DataId,
    split: SplitName = "test",
    label: Annotated[int | None, Query(ge=0, le=100_000)] = None,
    page: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> ImagePage:
    """A page of images of one class, or of all."""
    context = context_of(request)
    return await anyio.to_thread.run_sync(
        lambda: context.datasets.page(data, split, label, page), limiter=context.slow
    )


@router.get(
    "/data/sheet",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "12 images in a row."}},
)
async def sheet(
    request: Request,
    data: DataId,
    indices: Annotated[str, Query(max_length=2000, pattern=r"^\d{1,9}(,\d{1,9})*$")],
    split: SplitName = "test",
) -> Response:
    """Images by index, side by side in one PNG."""
    wanted = [int(index) for index in indices.split(",")]
    if len(wanted) > PAGE_SIZE:
        raise DataError(f"at most {PAGE_SIZE} images make a sheet; got {len(wanted)}")
    context = context_of(request)
    png = await anyio.to_thread.run_sync(
        lambda: context.datasets.sheet(data, split, wanted), limiter=context.slow
    )
    return Response(png, media_type="image/png", headers={"cache-control": "private, max-age=600"})


@router.get(
    "/data/image",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "Its bytes."}},
)
async def image(
    request: Request, data: DataId, index: Index, split: SplitName = "test"
) -> Response:
    """One image as raw bytes, row by row, as a network of its shape takes it."""
    context = context_of(request)
    pixels = await anyio.to_thread.run_sync(
        lambda: context.datasets.image(data, split, index), limiter=context.slow
    )
    return Response(pixels.tobytes(), media_type="application/octet-stream")


@router.get("/data/duplicates")
async def duplicates(request: Request, data: DataId, split: SplitName = "test") -> DuplicatesView:
    """Images that are almost the same as an earlier one of their split."""
    context = context_of(request)
    return await anyio.to_thread.run_sync(
        lambda: context.datasets.duplicates(data, split), limiter=context.slow
    )


@router.post("/uploads", status_code=201)
async def begin(request: Request, wanted: UploadRequest) -> UploadTicket:
    """Begin to upload a data set."""
    context = context_of(request)
    ticket = await anyio.to_thread.run_sync(
        lambda: context.uploads.begin(wanted.name), limiter=context.light
    )
    limits = context.settings.limits
    return UploadTicket(
        ticket=ticket,
        name=wanted.name,
        file_bytes=limits.picture_bytes,
        files=limits.upload_files,
        archive_bytes=limits.archive_bytes,
    )


@router.put(
    "/uploads/{ticket}/file",
    openapi_extra=takes_bytes("application/octet-stream", "The image file."),
)
async def add_file(
    request: Request, ticket: Ticket, path: Annotated[str, Query(min_length=1, max_length=600)]
) -> UploadProgress:
    """Send one image file of a folder; what is no image is left out."""
    context = context_of(request)
    context.uploads.name(ticket)  # an unknown ticket is refused before anything is received

    async with body_as_file(request) as received:

        def work() -> UploadProgress:
            with received.open("rb") as content:
                context.uploads.add_file(ticket, path, content)
            files, size = context.uploads.progress(ticket)
            return UploadProgress(files=files, bytes=size)

        return await anyio.to_thread.run_sync(work, limiter=context.slow)


@router.put(
    "/uploads/{ticket}/archive",
    openapi_extra=takes_bytes("application/octet-stream", "A zip archive."),
)
async def add_archive(request: Request, ticket: Ticket) -> UploadProgress:
    """Send a zip archive of class folders."""
    context = context_of(request)
    context.uploads.name(ticket)

    async with body_as_file(request) as received:

        def work() -> UploadProgress:
            context.uploads.add_archive(ticket, received)
            files, size = context.uploads.progress(ticket)
            return UploadProgress(files=files, bytes=size)

        return await anyio.to_thread.run_sync(work, limiter=context.slow)


@router.post("/uploads/{ticket}/finish")
async def finish(request: Request, ticket: Ticket) -> UploadResult:
    """Make what was sent a data set; one that cannot be used is removed again."""
    context = context_of(request)

    def work() -> UploadResult:
        name = context.uploads.finish(ticket)
        data_id = UPLOAD_PREFIX + name
        context.datasets.forget(data_id)
        try:
            shown = context.datasets.view(data_id)
        except PenmarkError:
            context.uploads.remove(name)
            raise
        return UploadResult(
            id=data_id,
            title=plain(name),
            class_names=shown.class_names,
            findings=shown.findings,
        )

    return await anyio.to_thread.run_sync(work, limiter=context.slow)


@router.delete("/uploads/{ticket}")
async def discard(request: Request, ticket: Ticket) -> UploadProgress:
    """Give an upload up."""
    context = context_of(request)
    await anyio.to_thread.run_sync(lambda: context.uploads.discard(ticket), limiter=context.slow)
    return UploadProgress(files=0, bytes=0)


@router.delete("/data")
async def remove(request: Request, data: DataId) -> list[DatasetEntry]:
    """Remove an uploaded data set from the workspace."""
    context = context_of(request)
    if not data.startswith(UPLOAD_PREFIX):
        raise DataError("only data sets that were uploaded here can be removed")

    def work() -> list[DatasetEntry]:
        context.uploads.remove(data.removeprefix(UPLOAD_PREFIX))
        context.datasets.forget(data)
        return context.datasets.entries()

    return await anyio.to_thread.run_sync(work, limiter=context.slow)
