"""Training a recipe from data to a finished run folder, and going on after an interruption."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from penmark.atomic import storage_error, write_json
from penmark.data import load_data
from penmark.errors import DataError, InputError, PenmarkError, RunError, StorageError
from penmark.recipes import Recipe, get
from penmark.runs.machine import machine, versions
from penmark.runs.run import Run, Status, is_run
from penmark.runs.settings import TrainingSettings

if TYPE_CHECKING:
    from penmark.data import FolderReport
    from penmark.data.dataset import Dataset

RUNS_FOLDER = Path("runs")

Announce = Callable[[str], None]


def train(
    settings: TrainingSettings,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    dataset: Dataset | None = None,
    callbacks: Sequence[Any] = (),
    report: bool = True,
    verbose: str | int = "auto",
    announce: Announce = lambda line: None,
) -> Run:
    """Train a recipe on a data set and write its run folder.

    Args:
        settings: what to train, on what, and how.
        out: the run's folder; None makes one under `runs/` named after the time and the recipe.
        overwrite: replace a run that is already there.
        dataset: already loaded images, instead of loading `settings.data`.
        callbacks: further Keras callbacks.
        report: whether to draw the figures and write the HTML report, which takes some seconds.
        verbose: as for `penmark.fit`.
        announce: gets a line for the person watching now and then.

    Returns:
        The finished run; after Ctrl-C the run with the last whole epoch, its status "interrupted".

    Raises:
        PenmarkError: everything from bad input to a full disk; see `penmark.errors`.
    """
    recipe = get(settings.recipe)
    dataset = _prepared(recipe, settings, dataset)
    settings = _completed(recipe, settings, dataset)
    # Whatever does not fit shows here, before anything is written.
    model = _fresh_model(settings, recipe, dataset)
    path = Path(out) if out is not None else _fresh_path(settings)
    _make_room(path, overwrite=overwrite)
    run = Run.create(
        path,
        {
            "status": "running",
            "created": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "settings": settings.to_json(),
            "command": settings.command(),
            "data": {
                "name": dataset.name,
                "source": dataset.source,
                "checksum": dataset.checksum,
                "train_images": len(dataset.x_train),
                "test_images": len(dataset.x_test),
                "image_shape": list(dataset.image_shape),
                "class_names": list(dataset.class_names),
            },
            "versions": versions(),
            "machine": machine(),
        },
    )
    if dataset.report is not None:
        write_json(run.path / "data-report.json", dataset.report.to_json())
        _announce_unused(run, dataset.report, announce)
    return _go_on(run, model, recipe, dataset, callbacks, report, verbose, announce)


def resume(
    path: Path | str,
    *,
    epochs: int | None = None,
    dataset: Dataset | None = None,
    callbacks: Sequence[Any] = (),
    report: bool = True,
    verbose: str | int = "auto",
    announce: Announce = lambda line: None,
) -> Run:
    """Go on with an interrupted training, or train a finished one for more epochs.

    The result is the same as without the interruption.

    Args:
        path: the run's folder.
        epochs: a new total number of epochs.
        dataset, callbacks, report, verbose, announce: as for `train`.

    Raises:
        RunError: nothing is left to do, or the data is not what the run was trained on.
        PenmarkError: as `train`.
    """
    run = Run(path)
    settings = run.settings
    if epochs is not None:
        _check_extension(run, settings, epochs)
        settings = dataclasses.replace(settings, epochs=epochs)
    elif run.status == "complete":
        raise RunError(
            f"{run.path} is already finished after {run.epochs_done} epochs; to train it longer "
            f"give a larger total, --epochs {2 * max(run.epochs_done, 1)}",
            path=run.path,
        )
    recipe = get(settings.recipe)
    dataset = _prepared(recipe, settings, dataset)
    if dataset.checksum != run.config["data"]["checksum"]:
        raise RunError(
            f"the data {settings.data!r} is not what {run.path} was trained on (its checksum "
            "differs); bring the same images back, or start a new run",
            path=run.path,
        )
    run.update_config(status="running", settings=settings.to_json(), command=settings.command())
    return _go_on(run, None, recipe, dataset, callbacks, report, verbose, announce)


def _check_extension(run: Run, settings: TrainingSettings, epochs: int) -> None:
    schedule = settings.schedule or get(settings.recipe).schedule
    if schedule in ("cosine", "one-cycle") and epochs != settings.epochs:
        raise RunError(
            f"{run.path} was planned for {settings.epochs} epochs, and its {schedule} schedule "
            "with it; start a new run for another number",
            path=run.path,
        )
    if epochs <= run.epochs_done and run.status == "complete":
        raise RunError(
            f"{run.path} already has {run.epochs_done} epochs; give a larger total than that",
            path=run.path,
        )
    if run.status == "complete" and settings.keep_best:
        raise RunError(
            f"{run.path} kept the model of its best epoch, not of its last, so it cannot be "
            "trained longer; start a new run with more epochs",
            path=run.path,
        )


def _prepared(recipe: Recipe, settings: TrainingSettings, dataset: Dataset | None) -> Dataset:
    """The data as the recipe wants it."""
    if dataset is None:
        dataset = load_data(
            settings.data, image_size=settings.image_size, color_mode=settings.color_mode
        )
    if recipe.binary:
        dataset = dataset.one_against_rest(settings.positive_class or dataset.class_names[0])
    if len(dataset.x_test) == 0:
        raise DataError(f"{dataset.name} has no test images to evaluate on; add a test split")
    return dataset


def _completed(recipe: Recipe, settings: TrainingSettings, dataset: Dataset) -> TrainingSettings:
    """The settings with the recipe's own values written out, so that they repeat the run."""
    split = (
        recipe.validation_split if settings.validation_split is None else settings.validation_split
    )
    return dataclasses.replace(
        settings,
        data=_absolute(settings.data),
        positive_class=dataset.class_names[1] if recipe.binary else None,
        epochs=settings.epochs or recipe.epochs,
        batch_size=settings.batch_size or recipe.batch_size,
        validation_split=recipe.validation_split if split is None else split,
    )


def _absolute(data: str) -> str:
    """A path that still holds when somebody resumes from another folder; a name stays a name."""
    return str(Path(data).resolve()) if Path(data).exists() else data


def _fresh_path(settings: TrainingSettings) -> Path:
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
    data = Path(settings.data).name if "/" in settings.data else settings.data
    base = RUNS_FOLDER / f"{stamp}_{settings.recipe}_{data}"
    path, number = base, 2
    while path.exists():
        path, number = base.with_name(f"{base.name}_{number}"), number + 1
    return path


def _make_room(path: Path, *, overwrite: bool) -> None:
    """Leave an empty or missing folder at `path`, or say why that cannot be."""
    try:
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return
        if not is_run(path):
            raise RunError(f"{path} exists and is not a run; choose another folder", path=path)
        if not overwrite:
            raise RunError(
                f"{path} already holds a run; choose another folder, go on with it "
                f"(--resume {path}) or replace it (--overwrite)",
                path=path,
            )
        shutil.rmtree(path)
    except OSError as error:
        raise storage_error(error, path) from error


def _announce_unused(run: Run, report: FolderReport, announce: Announce) -> None:
    unused = sum(not file.used for file in report.files)
    if unused:
        announce(
            f"{unused:,} of {len(report.files):,} files left out; {run.path / 'data-report.json'} "
            f"says which and why, and so does penmark data check {report.folder}"
        )


def _go_on(
    run: Run,
    fresh_model: Any | None,
    recipe: Recipe,
    dataset: Dataset,
    callbacks: Sequence[Any],
    report: bool,
    verbose: str | int,
    announce: Announce,
) -> Run:
    """Train from wherever the run stands to its end, and write what a finished run has."""
    from penmark.runs import checkpoints
    from penmark.runs.results import write_metrics, write_pages

    settings = run.settings
    started = time.perf_counter()
    interrupted = False
    try:
        model, epochs_done = (
            _model_so_far(run, recipe, dataset) if fresh_model is None else (fresh_model, 0)
        )
        engine = _engine_used(recipe, settings, model, dataset)
        run.update_config(**engine)
        announce(
            f"Training {settings.recipe} on {dataset.name}: {len(dataset.x_train):,} images of "
            f"{'×'.join(map(str, dataset.image_shape))}, {dataset.num_classes} classes; "
            f"{model.count_params():,} parameters; {' '.join(map(str, engine.values()))}"
        )
        if epochs_done:
            announce(f"Going on after epoch {epochs_done} of {settings.epochs}")
        deciding = _deciding_callbacks(settings, recipe)
        history = run.history
        if epochs_done < (settings.epochs or 0) and not _stopped_early(deciding, history):
            (recipe.fit or _engine_fit)(
                model,
                dataset.x_train,
                dataset.y_train,
                engine=settings.engine,
                loss_from=recipe.loss_from,
                seed=settings.seed,
                batch_size=settings.batch_size,
                epochs=settings.epochs,
                initial_epoch=epochs_done,
                **_augmentation(recipe, dataset),
                validation_split=settings.validation_split,
                verbose=verbose,
                callbacks=[
                    *deciding,
                    checkpoints.ReplayHistory(history, deciding),
                    checkpoints.SaveCheckpoints(run, history, keep_best=settings.keep_best),
                    *callbacks,
                ],
            )
    except KeyboardInterrupt:
        interrupted = True
    except PenmarkError as error:
        # On a full disk this cannot be written either; the first error is the one to report.
        with contextlib.suppress(StorageError):
            run.update_config(status="failed", error=str(error))
        raise

    newest = checkpoints.newest_checkpoint(run)
    if newest is not None:
        best = checkpoints.best_epoch(run.history) if settings.keep_best else newest[1]
        checkpoints.copy_model(checkpoints.checkpoint_path(run, best), run.model_path)
    status: Status = "interrupted" if interrupted else "complete"
    if run.model_path.exists():
        model = run.model()
        evaluation = write_metrics(run, recipe, dataset, model, time.perf_counter() - started)
        if report:
            write_pages(run, recipe, dataset, model, evaluation, status)
    run.update_config(status=status)
    if not interrupted:
        checkpoints.remove_checkpoints(run)
    return run


def _engine_used(
    recipe: Recipe, settings: TrainingSettings, model: Any, dataset: Dataset
) -> dict[str, str]:
    """What will compute, for config.json: the engine, and what it computes with."""
    from penmark.engine.backend import keras
    from penmark.engine.choice import choose_engine
    from penmark.engine.core import core_name

    if recipe.fit is not None:
        return {"engine": "rule", "backend": "numpy"}
    chosen, _ = choose_engine(model, settings.engine, dataset.x_train, {})  # type: ignore[arg-type]
    backend = core_name() if chosen == "native" else keras.backend.backend()
    return {"engine": chosen, "backend": backend}


def _augmentation(recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    """The argument of `penmark.fit` for a recipe that varies the images of every epoch."""
    augment = recipe.augmentation(dataset) if recipe.augmentation is not None else None
    return {} if augment is None else {"augment": augment}


def _engine_fit(*arguments: Any, **keywords: Any) -> Any:
    from penmark.engine import fit

    return fit(*arguments, **keywords)


def _model_so_far(run: Run, recipe: Recipe, dataset: Dataset) -> tuple[Any, int]:
    """The model to go on with and the number of epochs it has behind it; 0 for a fresh one."""
    from penmark.engine.model_file import load_model
    from penmark.runs.checkpoints import newest_checkpoint

    settings = run.settings
    newest = newest_checkpoint(run)
    if newest is not None:
        path, epochs_done = newest
        run.write_history({name: values[:epochs_done] for name, values in run.history.items()})
        return load_model(path), epochs_done
    if run.model_path.exists() and run.epochs_done:
        return load_model(run.model_path), run.epochs_done
    if run.epochs_done:
        run.write_history({name: [] for name in run.history})
    return _fresh_model(settings, recipe, dataset), 0


def _fresh_model(settings: TrainingSettings, recipe: Recipe, dataset: Dataset) -> Any:
    return recipe.build(
        dataset,
        optimizer=_optimizer(settings, recipe, dataset),
        precision=settings.precision,  # type: ignore[arg-type]  # checked by build
        seed=settings.seed,
    )


def _optimizer(settings: TrainingSettings, recipe: Recipe, dataset: Dataset) -> Any:
    """The optimizer that the settings ask for; None for the recipe's own."""
    from penmark.engine.backend import keras

    schedule = settings.schedule or recipe.schedule
    # The recipe's rate is right for the recipe's optimizer alone.
    own_rate = recipe.learning_rate if settings.optimizer is None else None
    learning_rate = settings.learning_rate or own_rate
    constant_rate = schedule in ("constant", "plateau")
    if settings.optimizer is None and learning_rate is None and constant_rate:
        return None
    if recipe.optimizer is None:
        raise InputError(
            f"{recipe.name} is trained by a rule of its own; leave out the optimizer, the learning "
            "rate and the schedule"
        )
    optimizer = keras.optimizers.get(settings.optimizer or recipe.optimizer)
    rate: Any = learning_rate or float(optimizer.learning_rate)
    images = len(dataset.x_train)
    images = int(images * (1 - (settings.validation_split or 0)))
    steps_per_epoch = -(-images // (settings.batch_size or recipe.batch_size))
    steps = steps_per_epoch * (settings.epochs or recipe.epochs)
    if schedule == "one-cycle":
        warmup = steps // 4
        rate = keras.optimizers.schedules.CosineDecay(
            rate / 10, decay_steps=steps - warmup, warmup_target=rate, warmup_steps=warmup
        )
    elif schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, decay_steps=steps)
    elif schedule == "exponential":
        rate = keras.optimizers.schedules.ExponentialDecay(
            rate, decay_steps=steps_per_epoch, decay_rate=0.9
        )
    return type(optimizer)(learning_rate=rate)


def _deciding_callbacks(settings: TrainingSettings, recipe: Recipe) -> list[Any]:
    """Keras's callbacks that act on what past epochs brought."""
    from penmark.engine.backend import keras

    monitor = "val_loss" if settings.validation_split else "loss"
    chosen: list[Any] = []
    if settings.early_stopping is not None:
        chosen.append(
            keras.callbacks.EarlyStopping(
                monitor=monitor, mode="min", patience=settings.early_stopping
            )
        )
    if (settings.schedule or recipe.schedule) == "plateau":
        chosen.append(
            keras.callbacks.ReduceLROnPlateau(monitor=monitor, mode="min", factor=0.5, patience=2)
        )
    return chosen


def _stopped_early(deciding: list[Any], history: dict[str, list[float]]) -> bool:
    """Whether early stopping had already ended the training when the process died."""
    from penmark.engine.backend import keras
    from penmark.runs.checkpoints import tell

    stopping = [cb for cb in deciding if isinstance(cb, keras.callbacks.EarlyStopping)]
    model = SimpleNamespace(stop_training=False)
    for callback in stopping:
        callback.set_model(model)
        callback.on_train_begin()
    tell(stopping, history)
    return bool(model.stop_training)
