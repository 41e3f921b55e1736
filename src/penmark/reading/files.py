"""Reading image files one after another: a bad one does not stop the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from penmark.errors import InputError, PenmarkError
from penmark.reading.classifier import Classifier, default_model
from penmark.reading.picture import open_picture
from penmark.reading.reader import read_picture
from penmark.reading.results import Reading


@dataclasses.dataclass(frozen=True)
class FileReading:
    """One file: what it says, or why it could not be read.

    Args:
        file: its path as it was given.
        reading: None where there is an error.
        error: one line, or None.
        exit_code: the error's exit status, or 0.
    """

    file: Path
    reading: Reading | None
    error: str | None = None
    exit_code: int = 0

    def to_text(self, *, alone: bool) -> str:
        """Its lines as they stand, or all in one line after the file's name."""
        if self.reading is None:
            return ""
        if alone:
            return self.reading.text
        return f"{self.file}: {' / '.join(self.reading.lines) or self.reading.note}"

    def to_json(self) -> dict[str, Any]:
        """As `penmark read --json` writes it: "error" is null for a file that was read."""
        document: dict[str, Any] = {"text": "", "lines": [], "digits": []}
        if self.reading is not None:
            document = self.reading.to_json()
        return {"file": str(self.file)} | document | {"error": self.error}


def check_targets(files: Sequence[Path], *targets: Path | None) -> None:
    """Several pictures need a folder to go to, one needs a file.

    Raises:
        InputError: a target does not fit the number of files.
    """
    for target in targets:
        if target is None:
            continue
        if len(files) > 1 and (target.is_file() or target.suffix):
            raise InputError(
                f"{len(files)} images cannot all be drawn to {target}; name a folder instead"
            )
        if len(files) == 1 and target.is_dir():
            raise InputError(f"{target} is a folder; name a picture file, such as read.png")


def read_files(
    files: Sequence[Path],
    *,
    model: Any = None,
    save: Path | None = None,
    show_prepared: Path | None = None,
) -> Iterator[FileReading]:
    """Read files one by one.

    Args:
        files: image files.
        model: as for `penmark.read`.
        save: where to draw boxes and labels on the picture: a file, or for several files a folder
            that gets one of the same name for each.
        show_prepared: the same for the 28×28 images that the network saw.

    Raises:
        ModelError: the model cannot be loaded or does not read digits.
        StorageError: a picture could not be written.
    """
    classifier = default_model() if model is None else Classifier(model)
    stems = [file.stem for file in files]
    for number, file in enumerate(files):
        # Two files of one name in different folders must not overwrite each other's pictures.
        stem = file.stem if stems.count(file.stem) == 1 else f"{number + 1}-{file.stem}"
        try:
            picture = open_picture(file)
            reading = read_picture(picture, classifier)
        except PenmarkError as error:
            yield FileReading(file, None, str(error), error.exit_code)
            continue
        except MemoryError:
            yield FileReading(file, None, f"there is not enough memory to read {file}", 1)
            continue
        if save is not None or show_prepared is not None:
            # Most pictures are read and not drawn.
            from penmark.reading.drawing import annotated, prepared_sheet, save_image
        if save is not None:
            target = save if len(files) == 1 else save / f"{stem}.png"
            save_image(annotated(Image.fromarray(picture.pixels), reading), target)
        if show_prepared is not None:
            target = show_prepared if len(files) == 1 else show_prepared / f"{stem}-prepared.png"
            save_image(prepared_sheet(reading), target)
        yield FileReading(file, reading)
