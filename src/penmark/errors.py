"""Every error that penmark raises on purpose.

    PenmarkError            exit status 1: something failed
    ├── DownloadError       no mirror gave the file
    ├── StorageError        a file or folder could not be written or read
    ├── TrainingError       training cannot go on (a loss that is not a number)
    ├── ExportError         an exported model would not do what the model does
    └── InputError          exit status 2: what the user gave cannot be used
        ├── DataError       images, labels, a data set's files
        ├── ModelError      a model, or a file that should hold one
        └── RunError        a run folder, or a request that does not fit it

A message is one line: what was wrong, where, and what to do about it.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class PenmarkError(Exception):
    """Base class: catch this to catch everything penmark raises on purpose.

    Args:
        message: one line for the person at the terminal.
        path: the file or folder concerned, where there is one.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, path: Path | str | None = None) -> None:
        super().__init__(message)
        self.path = None if path is None else Path(path)


class DownloadError(PenmarkError):
    """No mirror gave the file whole and with the published checksum."""


class StorageError(PenmarkError):
    """The file system refused: full disk, no permission, not a folder."""


class TrainingError(PenmarkError):
    """Training cannot go on, for example because the loss is not a number."""


class ExportError(PenmarkError):
    """An exported model would not answer as the model does, or its converter failed."""


class InputError(PenmarkError):
    """What the user gave cannot be used."""

    exit_code: ClassVar[int] = 2


class DataError(InputError):
    """Images or labels are missing, damaged, or do not fit together."""


class ModelError(InputError):
    """A model does not fit the data, or a file does not hold a model."""


class RunError(InputError):
    """A folder is no run, or a run cannot do what was asked of it."""
