"""Training runs: start, watch, stop, resume, compare, and what they got wrong."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Annotated

import anyio
from fastapi import APIRouter, Path, Query, Request, Response, WebSocket, WebSocketDisconnect

from penmark import recipes
from penmark.report.wording import plain
from penmark.runs import SCHEDULES, Run, TrainingSettings
from penmark.runs.settings import OPTIMIZERS
from penmark.studio.context import Context, context_of
from penmark.studio.mistakes import Filter
from penmark.studio.schemas import (
    EvaluationView,
    LiveUpdate,
    MistakePage,
    Phase,
    RecipeEntry,
    ResumeRequest,
    RunEntry,
    RunName,
    RunView,
    SettingEntry,
    TrainingChoices,
    TrainingRequest,
)
from penmark.studio.security import REPORT_SECURITY_POLICY
from penmark.studio.workspace import NotFound

router = APIRouter(prefix="/api", tags=["runs"])

Name = Annotated[str, Path(max_length=220)]
Label = Annotated[int | None, Query(ge=0, le=100_000)]
PageNumber = Annotated[int, Query(ge=0, le=1_000_000)]
_UPDATES_PER_SECOND = 6

_SETTINGS = (
    ("epochs", "Epochs", "How often the network sees every training image."),
    ("batch_size", "Batch size", "Images per step: larger batches make smoother, fewer steps."),
    (
        "learning_rate",
        "Learning rate",
        "How far each step moves the weights: too large and the loss jumps, too small and it "
        "crawls.",
    ),
    ("optimizer", "Optimizer", "The rule that turns gradients into steps."),
    (
        "schedule",
        "Schedule",
        "How the learning rate changes: cosine falls to 0 over the training, exponential by a "
        "tenth every epoch, plateau halves when the loss stalls.",
    ),
    (
        "validation_split",
        "Held back for validation",
        "The share of the training images that the network never learns from, to watch it on.",
    ),
    (
        "early_stopping",
        "Stop early after",
        "Epochs without a lower loss after which training ends by itself; empty never does.",
    ),
    (
        "keep_best",
        "Keep the best epoch",
        "Keeps the model of the most accurate epoch instead of the last.",
    ),
    (
        "positive_class",
        "Class to recognize",
        "The perceptron tells this class from all the others.",
    ),
    (
        "seed",
        "Seed",
        "Decides first weights, order of images and dropout: the same seed, the same run.",
    ),
)


@router.get("/training")
async def training_choices() -> TrainingChoices:
    """What the training form offers."""
    return TrainingChoices(
        recipes=[
            RecipeEntry(
                name=recipe.name,
                network=recipe.network,
                optimizer=recipe.optimizer,
                batch_size=recipe.batch_size,
                epochs=recipe.epochs,
                validation_split=recipe.validation_split,
                binary=recipe.binary,
                published_accuracy=recipe.published_accuracy,
            )
            for recipe in recipes.RECIPES.values()
        ],
        optimizers=list(OPTIMIZERS),
        schedules=list(SCHEDULES),
        settings=[
            SettingEntry(name=name, title=title, sentence=sentence)
            for name, title, sentence in _SETTINGS
        ],
        default_recipe="mlp-dropout",
    )


@router.get("/runs")
async def list_runs(request: Request) -> list[RunEntry]:
    """All runs of the workspace, the newest first."""
    context = context_of(request)

    def look() -> list[RunEntry]:
        current = context.jobs.current()
        return [_entry(run, live=run.path.name == current) for run in context.workspace.runs()]

    return await anyio.to_thread.run_sync(look, limiter=context.light)


@router.post("/runs", status_code=201)
async def start(request: Request, wanted: TrainingRequest) -> RunName:
    """Begin a training in a process of its own."""
    context = context_of(request)

    def work() -> RunName:
        values = wanted.model_dump()
        values["data"] = context.datasets.source(wanted.data)
        return RunName(name=context.jobs.start(TrainingSettings(**values)))

    return await anyio.to_thread.run_sync(work, limiter=context.light)


@router.get("/runs/{name}")
async def show(request: Request, name: Name) -> RunView:
    """A run with its settings and curves."""
    context = context_of(request)

    def look() -> RunView:
        run = context.workspace.run(name)
        data = run.config.get("data")
        class_names = data.get("class_names", []) if isinstance(data, dict) else []
        metrics = run.metrics or {}
        return RunView(
            entry=_entry(run, live=context.jobs.is_live(name)),
            command=run.settings.command(),
            settings=run.settings.to_json(),
            class_names=[plain(entry) for entry in class_names],
            history={
                column: [value if math.isfinite(value) else None for value in values]
                for column, values in run.history.items()
            },
            per_class=metrics.get("per_class", []),
            error=str(run.config.get("error", "")),
            report=(run.path / "report.html").is_file(),
        )

    return await anyio.to_thread.run_sync(look, limiter=context.light)


@router.post("/runs/{name}/stop")
async def stop(request: Request, name: Name) -> RunName:
    """Stop a training; it keeps its last whole epoch and can be resumed."""
    context = context_of(request)
    await anyio.to_thread.run_sync(lambda: context.jobs.stop(name), limiter=context.light)
    return RunName(name=name)


@router.post("/runs/{name}/resume")
async def resume(request: Request, name: Name, wanted: ResumeRequest) -> RunName:
    """Go on with a training."""
    context = context_of(request)

    def go_on() -> None:
        context.jobs.resume(name, wanted.epochs)
        # Whoever asks next sees the new session, not the end of the one before.
        context.feed(name).refresh(at_once=True)

    await anyio.to_thread.run_sync(go_on, limiter=context.light)
    return RunName(name=name)


@router.get("/runs/{name}/live")
async def live(
    request: Request,
    name: Name,
    generation: Annotated[int, Query(ge=0)] = 0,
    number: Annotated[int, Query(ge=0)] = 0,
) -> LiveUpdate:
    """What a training has reported since; the WebSocket of the same path sends the same."""
    context = context_of(request)
    return await anyio.to_thread.run_sync(
        lambda: _update(context, name, generation, number), limiter=context.light
    )


@router.websocket("/runs/{name}/live")
async def watch(websocket: WebSocket, name: str) -> None:
    """Send what a training reports, as `LiveUpdate`, until it ends or the watcher goes."""
    context = context_of(websocket)
    limits = context.settings.limits
    if context.watchers >= limits.watchers:
        await websocket.close(1013)
        return
    context.watchers += 1
    try:
        await websocket.accept()
        gone = asyncio.create_task(_until_gone(websocket))
        try:
            await _send_updates(websocket, context, name, gone)
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone
    except (WebSocketDisconnect, TimeoutError, OSError, RuntimeError):
        pass  # the watcher has gone, or does not take what it is sent
    finally:
        context.watchers -= 1


async def _send_updates(
    websocket: WebSocket, context: Context, name: str, gone: asyncio.Task[None]
) -> None:
    generation, number, phase = 0, 0, ""
    while not gone.done():
        try:
            update = await anyio.to_thread.run_sync(
                _update, context, name, generation, number, limiter=context.light
            )
        except NotFound:
            await websocket.close(1008)
            return
        new = (update.generation, update.number, update.phase) != (generation, number, phase)
        if new or not update.live:
            generation, number, phase = update.generation, update.number, update.phase
            text = update.model_dump_json()
            await asyncio.wait_for(websocket.send_text(text), context.settings.limits.send_seconds)
        if not update.live:
            await websocket.close(1000)
            return
        await asyncio.wait({gone}, timeout=1 / _UPDATES_PER_SECOND)


async def _until_gone(websocket: WebSocket) -> None:
    """Watchers have nothing to say: whatever they send is read and forgotten."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return


def _update(context: Context, name: str, generation: int, number: int) -> LiveUpdate:
    feed = context.feed(name)
    # In this order: what a process reported just before it ended is not missed.
    alive = context.jobs.is_live(name)
    feed.refresh()
    update = feed.since(generation, number, live=alive)
    if not alive and update.phase not in ("ended", "failed"):
        detail = context.jobs.last_words(name)
        if update.phase == "starting" and not detail:
            if context.jobs.files(name).job.is_file():
                detail = "its process was ended before the training began; start it again"
            else:
                context.workspace.run(name)  # raises if there is no such run at all
        ended: Phase = "failed" if detail else "ended"
        update = update.model_copy(update={"phase": ended, "detail": detail})
    return update


@router.get("/runs/{name}/evaluation")
async def evaluation(request: Request, name: Name) -> EvaluationView:
    """The confusion matrix of a run's model on the test images of its data."""
    context = context_of(request)
    return await anyio.to_thread.run_sync(lambda: context.mistakes.view(name), limiter=context.slow)


@router.get("/runs/{name}/images")
async def images(
    request: Request, name: Name, true: Label = None, predicted: Label = None, page: PageNumber = 0
) -> MistakePage:
    """Test images by true and by read class, the worst first; mistakes only, where one is open."""
    context = context_of(request)
    return await anyio.to_thread.run_sync(
        lambda: context.mistakes.page(name, Filter(true, predicted), page), limiter=context.slow
    )


@router.get(
    "/runs/{name}/report",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}, "description": "The report."}},
)
async def report(request: Request, name: Name) -> Response:
    """A run's report, a page of its own."""
    context = context_of(request)

    def look() -> bytes:
        path = context.workspace.run(name).path / "report.html"
        if not context.workspace.contains(path) or not path.is_file():
            raise NotFound(f"{name} has no report")
        return path.read_bytes()

    content = await anyio.to_thread.run_sync(look, limiter=context.light)
    headers = {"content-security-policy": REPORT_SECURITY_POLICY}
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


def _entry(run: Run, *, live: bool) -> RunEntry:
    metrics = run.metrics or {}
    settings = run.settings
    data = run.config.get("data")
    return RunEntry(
        name=run.path.name,
        recipe=settings.recipe,
        data=plain(data.get("name", "")) if isinstance(data, dict) else "",
        status=run.status,
        live=live,
        created=str(run.config.get("created", "")),
        epochs_done=run.epochs_done,
        epochs=settings.epochs,
        accuracy=metrics.get("accuracy"),
        loss=metrics.get("loss"),
        test_images=metrics.get("images"),
        parameters=metrics.get("parameters"),
        train_seconds=metrics.get("train_seconds"),
    )
