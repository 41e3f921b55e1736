"""One training in a process of its own, reporting to a file.

    python -m penmark.studio.training_process JOB.json

A file, not a pipe: nobody who reads it can make the training wait, it is there again after the
page or the server was restarted, and a training outlives a server that was killed. While the
process lives it holds a lock, so that a job file left behind by a dead one is known as such.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from filelock import FileLock, Timeout

from penmark.atomic import write_json
from penmark.data import load_data
from penmark.engine.backend import keras
from penmark.errors import PenmarkError, RunError
from penmark.runs import Run, TrainingSettings, resume, train

if TYPE_CHECKING:
    from penmark.data import Dataset

# The largest share of the time that looking at examples may take from the training.
_SHARE_FOR_EXAMPLES = 0.1
_BATCH_EVENTS_PER_SECOND = 5
_MOST_TEST_IMAGES = 1000
_EXAMPLES = 24
_LOCK_SECONDS = 10.0


class Reporter:
    """Writes events, one JSON object a line.

    Args:
        file: opened for appending, line-buffered.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def say(self, kind: str, **values: Any) -> None:
        """Append one event. A full disk loses the event, not the training."""
        line = json.dumps({"type": kind, "time": time.time(), **values}, allow_nan=False)
        try:
            self._file.write(line + "\n")
        except OSError:
            return


class ReportTraining(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells a `Reporter` how training goes on, and now and then how well on test images.

    Args:
        reporter: whom to tell.
        dataset: the images; a sample of its test split is looked at.
        settings: of the training.
        first_epoch: epochs done before this session.
    """

    # Only reads the logs, so that neither engine has to stop for it after every batch.
    async_safe = True

    def __init__(
        self, reporter: Reporter, dataset: Dataset, settings: TrainingSettings, first_epoch: int
    ) -> None:
        super().__init__()
        self._reporter = reporter
        self._settings = settings
        self._first_epoch = first_epoch
        self._epoch = first_epoch
        self._class_names = dataset.class_names
        rows = np.random.default_rng(0).permutation(len(dataset.x_test))[:_MOST_TEST_IMAGES]
        self._rows = rows
        self._images = dataset.x_test[rows]
        self._labels = dataset.y_test[rows]
        self._train_images = len(dataset.x_train)
        self._epoch_started = 0.0
        self._last_batch = 0.0
        self._looked = 0.0
        self._look_cost = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        split = self._settings.validation_split or 0.0
        self._train_images = int(self._train_images * (1 - split))
        self._reporter.say(
            "start",
            first_epoch=self._first_epoch,
            epochs=int((self.params or {}).get("epochs") or 0),
            images=self._train_images,
            class_names=list(self._class_names),
            test_images=len(self._labels),
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._epoch_started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        if now - self._last_batch < 1 / _BATCH_EVENTS_PER_SECOND:
            return
        self._last_batch = now
        steps = (self.params or {}).get("steps") or 0
        share = min((batch + 1) / steps, 1.0) if steps else 0.0
        seconds = max(now - self._epoch_started, 1e-9)
        self._reporter.say(
            "batch",
            epoch=self._epoch,
            share=share,
            loss=_number(logs, "loss"),
            accuracy=_number(logs, "accuracy"),
            rate=share * self._train_images / seconds,
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds = time.perf_counter() - self._epoch_started
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        self._reporter.say(
            "epoch",
            epoch=epoch + 1,
            seconds=seconds,
            rate=self._train_images / max(seconds, 1e-9),
            logs={name: _number(logs, name) for name in names if name in (logs or {})},
        )
        last = epoch + 1 == int((self.params or {}).get("epochs") or 0)
        since = time.perf_counter() - self._looked
        if last or since * _SHARE_FOR_EXAMPLES >= self._look_cost:
            self._look(epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        # What follows writes the results; stopping it half-way would only lose them.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._reporter.say("finishing")

    def _look(self, epoch: int) -> None:
        from penmark.runs.scoring import class_probabilities

        if len(self._labels) == 0:
            return
        started = time.perf_counter()
        probabilities = class_probabilities(self.model)(self._images, self._class_names)
        predicted = probabilities.argmax(axis=1)
        right = predicted == self._labels
        accuracies = [
            float(right[self._labels == label].mean()) if (self._labels == label).any() else None
            for label in range(len(self._class_names))
        ]
        self._reporter.say(
            "examples",
            epoch=epoch,
            accuracy=float(right.mean()),
            accuracies=accuracies,
            examples=[
                {
                    "index": int(self._rows[row]),
                    "label": int(self._labels[row]),
                    "predicted": int(predicted[row]),
                    "probability": _finite(float(probabilities[row, predicted[row]])),
                }
                for row in range(min(_EXAMPLES, len(self._labels)))
            ],
        )
        self._looked = time.perf_counter()
        self._look_cost = self._looked - started


def _number(logs: Mapping[str, Any] | None, name: str) -> float | None:
    value = (logs or {}).get(name)
    return None if value is None else _finite(float(value))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def work(job_path: Path) -> None:
    """Do what a job file says.

    Raises:
        PenmarkError: as `penmark.runs.train` and `resume`.
    """
    job = json.loads(job_path.read_text(encoding="utf-8"))
    with (
        FileLock(job_path.with_suffix(".lock"), timeout=_LOCK_SECONDS),
        job_path.with_suffix(".jsonl").open("a", encoding="utf-8", buffering=1) as file,
    ):
        # The process that holds the lock says who it is.
        write_json(job_path, job | {"pid": os.getpid()})
        reporter = Reporter(file)
        try:
            reporter.say("loading")
            run = _train_or_resume(job, reporter)
            reporter.say("end", status=run.status)
        except PenmarkError as error:
            reporter.say("error", detail=str(error))
            raise


def _train_or_resume(job: Mapping[str, Any], reporter: Reporter) -> Run:
    out = Path(job["run"])
    if job["action"] == "resume":
        run = Run(out)
        settings, done = run.settings, run.epochs_done
    else:
        settings, done = TrainingSettings.from_json(job["settings"]), 0
    dataset = load_data(
        settings.data,
        image_size=settings.image_size,
        color_mode=settings.color_mode,
        progress=False,
    )
    watched = dataset
    if job["binary"]:
        watched = dataset.one_against_rest(settings.positive_class or dataset.class_names[0])
    callbacks = [ReportTraining(reporter, watched, settings, done)]
    if job["action"] == "resume":
        return resume(out, epochs=job["epochs"], dataset=dataset, callbacks=callbacks, verbose=0)
    return train(settings, out=out, dataset=dataset, callbacks=callbacks, verbose=0)


def main() -> None:
    """The process's whole life: one job, one line on standard error if it fails."""
    # A studio that was started in the background of a shell ignores SIGINT, and so would its
    # trainings, which are stopped by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        work(Path(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
    except Timeout:
        print("another process trains this run already", file=sys.stderr)
        sys.exit(RunError.exit_code)
    except PenmarkError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except MemoryError:
        print("there is not enough memory; try a smaller batch size", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
