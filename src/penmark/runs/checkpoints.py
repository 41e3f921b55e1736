"""A checkpoint after every epoch, from which a killed training goes on as if nothing had happened.

Order matters: first history.csv gets the epoch's row, then the model appears under its final name,
then the previous one goes. Whenever the process dies, the newest checkpoint is whole and its
history is there.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

from penmark.atomic import replacing, storage_error
from penmark.engine.backend import keras
from penmark.runs.run import Run

_NAME = re.compile(r"epoch-(\d{4,})\.keras")


def checkpoint_path(run: Run, epochs_done: int) -> Path:
    """Where the model after so many epochs is kept."""
    return run.path / "checkpoints" / f"epoch-{epochs_done:04d}.keras"


def newest_checkpoint(run: Run) -> tuple[Path, int] | None:
    """The newest checkpoint whose history is there, and how many epochs it has behind it."""
    recorded = run.epochs_done
    found = [
        (path, int(match[1]))
        for path in (run.path / "checkpoints").glob("epoch-*.keras")
        if (match := _NAME.fullmatch(path.name)) and int(match[1]) <= recorded
    ]
    return max(found, key=lambda item: item[1], default=None)


def remove_checkpoints(run: Run) -> None:
    """Remove the checkpoints of a finished training."""
    shutil.rmtree(run.path / "checkpoints", ignore_errors=True)


def save_model(model: Any, path: Path) -> None:
    """Save a model as a `.keras` file, whole or not at all. Raises StorageError."""
    with replacing(path) as temporary:
        model.save(temporary)


def copy_model(source: Path, target: Path) -> None:
    """Copy a saved model, whole or not at all. Raises StorageError."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def best_epoch(history: dict[str, list[float]]) -> int:
    """Number of epochs (1 or more) after which the model was most accurate, the first of equals.

    Accuracy on validation where there is one, else on the training images.
    """
    watched = history.get("val_accuracy") or history["accuracy"]
    return watched.index(max(watched)) + 1


class SaveCheckpoints(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes history.csv and a checkpoint after every epoch.

    Args:
        run: where.
        history: what earlier sessions of the same training have recorded.
        keep_best: keep the most accurate epoch's checkpoint beside the newest.
    """

    def __init__(self, run: Run, history: dict[str, list[float]], *, keep_best: bool) -> None:
        super().__init__()
        self._run = run
        self._history = {name: list(values) for name, values in history.items()}
        self._keep_best = keep_best
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = {"epoch": epoch + 1, **(logs or {}), "seconds": time.perf_counter() - self._started}
        for name, value in row.items():
            self._history.setdefault(name, []).append(float(value))
        self._run.write_history(self._history)
        newest = checkpoint_path(self._run, epoch + 1)
        save_model(self.model, newest)
        kept = {newest}
        if self._keep_best:
            kept.add(checkpoint_path(self._run, best_epoch(self._history)))
        try:
            for path in newest.parent.glob("epoch-*.keras"):
                if path not in kept:
                    path.unlink()
        except OSError as error:
            raise storage_error(error, newest.parent) from error


class ReplayHistory(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells callbacks that decide by past epochs what happened before the training was resumed.

    Keras's early stopping and plateau schedule forget their counts when a training begins; told
    of every recorded epoch again, they decide as if there had been no interruption. It must come
    after them in the list, so that its `on_train_begin` runs after theirs.

    Args:
        history: the recorded epochs.
        callbacks: whom to tell.
    """

    def __init__(self, history: dict[str, list[float]], callbacks: list[Any]) -> None:
        super().__init__()
        self._history = history
        self._callbacks = callbacks

    def on_train_begin(self, logs: Any = None) -> None:
        # A checkpoint already has the learning rate that these epochs led to.
        plateau = any(isinstance(cb, keras.callbacks.ReduceLROnPlateau) for cb in self._callbacks)
        rate = float(self.model.optimizer.learning_rate) if plateau else None
        tell(self._callbacks, self._history)
        if rate is not None:
            self.model.optimizer.learning_rate = rate


def tell(callbacks: list[Any], history: dict[str, list[float]]) -> None:
    """Call `on_epoch_end` of every callback for every recorded epoch, in order."""
    for index in range(len(history.get("epoch", []))):
        row = {name: values[index] for name, values in history.items()}
        for callback in callbacks:
            callback.on_epoch_end(index, row)
