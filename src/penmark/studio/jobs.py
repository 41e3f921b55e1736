"""Trainings in processes of their own: start, stop, resume, and who is alive."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from penmark import recipes
from penmark.atomic import storage_error, write_json
from penmark.errors import InputError, RunError
from penmark.runs import TrainingSettings
from penmark.studio.workspace import NotFound, Workspace, confined, is_plain_name, shown

Action = Literal["train", "resume"]
_LONGEST_LOG_BYTES = 4000


@dataclasses.dataclass(frozen=True)
class JobFiles:
    """What a training leaves beside its run: who trains it, its events, its last words."""

    job: Path

    @property
    def lock(self) -> Path:
        return self.job.with_suffix(".lock")

    @property
    def events(self) -> Path:
        return self.job.with_suffix(".jsonl")

    @property
    def log(self) -> Path:
        return self.job.with_suffix(".log")


class Busy(InputError):
    """It cannot be done now, but perhaps later."""


class Jobs:
    """The trainings of a workspace; one at a time, since each can use every core.

    Args:
        workspace: where runs are, and the notes on them.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._process: tuple[str, subprocess.Popen[bytes]] | None = None

    def files(self, name: str) -> JobFiles:
        """The files of the training of a run of this name. Raises NotFound for a strange name."""
        if not is_plain_name(name):
            raise NotFound(f"there is no run {shown(name)!r} in this workspace")
        # The suffix is put on, not put in place of one: a run may be called "try.2".
        return JobFiles(self._workspace.jobs_folder / f"{name}.job.json")

    def current(self) -> str | None:
        """The name of the run that is being trained; None if none is."""
        if self._process is not None and self._process[1].poll() is None:
            return self._process[0]
        folder = self._workspace.jobs_folder
        if not folder.is_dir():
            return None
        names = (path.name.removesuffix(".job.json") for path in folder.glob("*.job.json"))
        return next((name for name in names if is_plain_name(name) and self._is_locked(name)), None)

    def is_live(self, name: str) -> bool:
        """Whether a process trains this run right now."""
        if self._process is not None and self._process[0] == name:
            if self._process[1].poll() is None:
                return True
        return self._is_locked(name)

    def start(self, settings: TrainingSettings) -> str:
        """Begin a training; gives the new run's name.

        Raises:
            Busy: another training is running.
            InputError: there is no such recipe.
            StorageError: the workspace cannot be written to.
        """
        recipe = recipes.get(settings.recipe)
        with self._lock:
            self._check_free()
            name = self._fresh_name(settings)
            self._launch(name, "train", recipe.binary, settings=settings.to_json())
        return name

    def resume(self, name: str, epochs: int | None) -> None:
        """Go on with a training.

        Raises:
            Busy: a training is running.
            RunError: there is no such run.
        """
        run = self._workspace.run(name)
        recipe = recipes.get(run.settings.recipe)
        if run.status == "complete" and (epochs is None or epochs <= run.epochs_done):
            raise RunError(
                f"{name} is finished after {run.epochs_done} epochs; to train it longer, give a "
                "larger total"
            )
        with self._lock:
            self._check_free()
            self._launch(name, "resume", recipe.binary, epochs=epochs)

    def stop(self, name: str) -> None:
        """Ask a training to end after what it has: it keeps its last whole epoch.

        Raises:
            RunError: nobody trains this run.
        """
        pid = self._pid(name)
        if pid is None:
            raise RunError(f"{name} is not being trained here")
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(pid, signal.SIGINT)

    def stop_own(self) -> str | None:
        """Stop the training that this studio started, if it goes on; gives the run's name."""
        if self._process is None or self._process[1].poll() is not None:
            return None
        name, process = self._process
        process.send_signal(signal.SIGINT)
        return name

    def last_words(self, name: str) -> str:
        """Why a training ended before it had a run folder; empty if it said nothing."""
        try:
            with self.files(name).log.open("rb") as file:
                text = file.read(_LONGEST_LOG_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:500] if lines else ""

    def _check_free(self) -> None:
        current = self.current()
        if current is not None:
            raise Busy(f"{current} is being trained; wait until it ends, or stop it first")

    def _fresh_name(self, settings: TrainingSettings) -> str:
        stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
        data = re.sub(r"[^\w-]+", "-", Path(settings.data).name).strip("-") or "data"
        base = f"{stamp}_{settings.recipe}_{data}"[:120]
        name, number = base, 2
        while (self._workspace.runs_folder / name).exists() or self.files(name).job.exists():
            name, number = f"{base}_{number}", number + 1
        return name

    def _launch(self, name: str, action: Action, binary: bool, **what: Any) -> None:
        path = confined(self._workspace.runs_folder, name)
        if path is None:
            raise RunError(f"a run cannot be called {name!r}")
        files = self.files(name)
        job = {"action": action, "run": str(path), "binary": binary, "epochs": None, "settings": {}}
        write_json(files.job, job | what)
        # Python finds penmark there as it did here, wherever it was started from.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            # Watchers see at once that a new session begins, not the end of the one before.
            with files.events.open("a", encoding="utf-8") as events:
                events.write(json.dumps({"type": "starting"}) + "\n")
            with files.log.open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "penmark.studio.training_process", str(files.job)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    cwd=self._workspace.folder,
                    env=environment,
                    # Ctrl-C in the studio's terminal is the studio's: it passes on what it means.
                    start_new_session=True,
                )
        except OSError as error:
            raise storage_error(error, files.log) from error
        self._process = (name, process)

    def _is_locked(self, name: str) -> bool:
        path = self.files(name).lock
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    def _pid(self, name: str) -> int | None:
        if self._process is not None and self._process[0] == name:
            process = self._process[1]
            if process.poll() is None:
                return process.pid
        if not self._is_locked(name):
            return None
        try:
            pid = json.loads(self.files(name).job.read_text(encoding="utf-8")).get("pid")
        except (OSError, ValueError, AttributeError):
            return None
        return pid if isinstance(pid, int) and pid > 1 else None
