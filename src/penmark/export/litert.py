"""A model as a LiteRT file (`.tflite`) for phones, converted in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penmark.atomic import replacing
from penmark.errors import ExportError, InputError, ModelError
from penmark.export.card import model_card
from penmark.export.description import describe
from penmark.export.destination import card_path, file_destination
from penmark.export.exported import Exported
from penmark.export.source import Source, open_source

if TYPE_CHECKING:
    from penmark.runs import Run

_FORM = (
    "This card belongs to a LiteRT (TensorFlow Lite) file for Android, iOS and small devices. It "
    "needs the built-in operators only. `labels.txt` and this card lie inside it as a ZIP archive."
)


def to_litert(
    target: Run | Path | str, out: Path | str | None = None, *, overwrite: bool = False
) -> Exported:
    """Write a model as a `.tflite` file, with its class names and card inside.

    Keras's own converter does it, on TensorFlow, in another process: this one never imports
    TensorFlow. Input `images` is uint8, (batch, *image shape), raw pixels; output float32.

    Args:
        target: a run, its folder, or a `.keras` file.
        out: the file to write; None puts it beside the model.
        overwrite: replace a file that is already there.

    Raises:
        ModelError: no model, or one that the converter refuses (the layer named).
        InputError: TensorFlow is missing, or the place is taken.
        ExportError: the file would not answer as the model does, or the converter crashed.
        StorageError: the file system refused.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(
            "LiteRT needs TensorFlow for the conversion; install it: pip install 'penmark[litert]'"
        )
    source = open_source(target)
    path = file_destination(
        source.folder / f"{source.stem}.tflite", out, ".tflite", overwrite=overwrite
    )
    with replacing(card_path(path)) as card_file, replacing(path) as model_file:
        result = _convert(source, model_file)
        description = describe(source, tuple(result["input_shape"]), result["outputs"])
        card = model_card(description, _FORM)
        # Where LiteRT's own tools put a model's associated files: a ZIP archive behind its data.
        with zipfile.ZipFile(model_file, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("labels.txt", "\n".join(description.class_names) + "\n")
            archive.writestr("MODEL_CARD.md", card)
        card_file.write_text(card, encoding="utf-8")
    return Exported(
        form="litert",
        path=path,
        size_bytes=path.stat().st_size,
        description=description,
        checked_with=result["runtime"],
        checked_images=result["images"],
        largest_difference=result["difference"],
        output="output_0",
    )


def _convert(source: Source, out: Path) -> dict[str, Any]:
    """Run `litert_process`, and turn what it says into a result or an error."""
    command = [
        sys.executable, "-m", "penmark.export.litert_process", str(source.model_path), str(out)
    ]  # fmt: skip
    quiet = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    finished = subprocess.run(command, capture_output=True, text=True, env=os.environ | quiet)
    lines = finished.stdout.strip().splitlines()
    try:
        result = json.loads(lines[-1] if lines else "")
    except ValueError:
        said = finished.stderr.strip().splitlines()
        raise ExportError(
            f"the conversion of {source.model_path} to LiteRT stopped with status "
            f"{finished.returncode}: {said[-1] if said else 'it said nothing'}",
            path=source.model_path,
        ) from None
    if "error" in result:
        layer = result.get("layer")
        raise ModelError(
            f"{source.model_path} cannot be exported to LiteRT because of "
            f"{f'the layer {layer}: ' if layer else ''}{result['error']}",
            path=source.model_path,
        )
    return dict(result)
