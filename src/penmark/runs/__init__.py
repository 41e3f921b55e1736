"""Training runs: one training, one folder."""

from __future__ import annotations

from penmark.runs.run import Run, Status, is_run, list_runs
from penmark.runs.settings import SCHEDULES, TrainingSettings
from penmark.runs.training import RUNS_FOLDER, resume, train

__all__ = [
    "RUNS_FOLDER",
    "SCHEDULES",
    "Run",
    "Status",
    "TrainingSettings",
    "is_run",
    "list_runs",
    "resume",
    "train",
]
