"""`Run`: one training and the folder it left.

config.json      what was asked, with versions, machine, data checksum and how it ended
history.csv      one row an epoch
model.keras      the trained model
metrics.json     how good it is on the test images, and how long everything took
report.html      all of it to read, with figures/ as single pictures
checkpoints/     the last whole epoch, while a training is not finished
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from penmark.atomic import replacing, write_json
from penmark.errors import RunError
from penmark.runs.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

Status = Literal["running", "interrupted", "failed", "complete"]


class Run:
    """A run folder.

    Args:
        path: a folder with a `config.json`.

    Raises:
        RunError: the folder is no run.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config: dict[str, Any] = self._read_json("config.json", required=True) or {}
        if not isinstance(self.config.get("settings"), dict):
            raise RunError(f"{self.path}/config.json is not a run's configuration", path=self.path)

    @classmethod
    def create(cls, path: Path | str, config: Mapping[str, Any]) -> Self:
        """Make the folder with its configuration. Raises StorageError."""
        write_json(Path(path) / "config.json", dict(config))
        return cls(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def status(self) -> Status:
        status: Status = self.config.get("status", "failed")
        return status

    @property
    def settings(self) -> TrainingSettings:
        return TrainingSettings.from_json(self.config["settings"])

    @property
    def model_path(self) -> Path:
        return self.path / "model.keras"

    @property
    def metrics(self) -> dict[str, Any] | None:
        """The content of metrics.json; None before the training ended."""
        return self._read_json("metrics.json", required=False)

    @property
    def history(self) -> dict[str, list[float]]:
        """One list of numbers for each column of history.csv; empty before the first epoch ended.

        Raises:
            RunError: the file is damaged.
        """
        path = self.path / "history.csv"
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}", path=path) from error
        try:
            return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else {})}
        except (TypeError, ValueError) as error:
            raise RunError(f"{path} is damaged: {error}", path=path) from error

    @property
    def epochs_done(self) -> int:
        return len(self.history.get("epoch", []))

    def model(self) -> keras.Model:
        """Load the trained model.

        Raises:
            RunError: the training has not left one yet.
            ModelError: the file is damaged.
        """
        from penmark.engine.model_file import load_model

        return load_model(self.trained_model_path())

    def trained_model_path(self) -> Path:
        """The file of the trained model. Raises RunError if the training has not left one yet."""
        if not self.model_path.exists():
            raise RunError(
                f"{self.path} has no model yet (its training is {self.status}); finish it with "
                f"penmark train --resume {self.path}",
                path=self.path,
            )
        return self.model_path

    def update_config(self, **changes: Any) -> None:
        """Change entries of config.json. Raises StorageError."""
        self.config |= changes
        write_json(self.path / "config.json", self.config)

    def write_history(self, history: Mapping[str, Sequence[float]]) -> None:
        """Write history.csv: lists of equal length by column name. Raises StorageError."""
        with (
            replacing(self.path / "history.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(history)
            # repr() gives the shortest text that reads back as the same number.
            writer.writerows(
                [
                    str(int(value)) if name == "epoch" else repr(float(value))
                    for name, value in zip(history, row, strict=True)
                ]
                for row in zip(*history.values(), strict=True)
            )

    def _read_json(self, name: str, *, required: bool) -> dict[str, Any] | None:
        path = self.path / name
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            if required:
                raise RunError(
                    f"{self.path} is not a run folder: it has no {name}; "
                    "penmark runs lists the runs there are",
                    path=self.path,
                ) from None
            return None
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {path}: {error}", path=path) from error
        if not isinstance(document, dict):
            raise RunError(f"{path} is damaged: it holds no JSON object", path=path)
        return document


def is_run(path: Path | str) -> bool:
    """Whether a path is a folder with a run's configuration in it."""
    return (Path(path) / "config.json").is_file()


def list_runs(folder: Path | str) -> list[Run]:
    """The runs directly inside a folder, oldest first; damaged ones are left out.

    Args:
        folder: where `penmark train` puts runs; may be missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    runs = []
    for path in sorted(folder.iterdir()):
        if is_run(path):
            try:
                runs.append(Run(path))
            except RunError:
                continue
    return sorted(runs, key=lambda run: str(run.config.get("created", "")))
