"""`Exported`: what an export wrote, and how it was checked."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from penmark.export.description import Description

Form = Literal["onnx", "litert", "web"]


@dataclasses.dataclass(frozen=True)
class Exported:
    """An export that was written.

    Args:
        form: "onnx", "litert" or "web".
        path: the file, or for "web" the folder.
        size_bytes: of the file, or of all files in the folder.
        description: what is known about the model.
        checked_with: the runtime that ran the exported model, with its version.
        checked_images: how many images it was asked about.
        largest_difference: between its answers and those of the model in Keras.
        output: name of the output.
    """

    form: Form
    path: Path
    size_bytes: int
    description: Description
    checked_with: str
    checked_images: int
    largest_difference: float
    output: str

    def to_json(self) -> dict[str, Any]:
        """As a dict of JSON values."""
        return {
            "form": self.form,
            "path": str(self.path),
            "size_bytes": self.size_bytes,
            "checked_with": self.checked_with,
            "checked_images": self.checked_images,
            "largest_difference": self.largest_difference,
            "input_shape": list(self.description.input_shape),
            "class_names": list(self.description.class_names),
            "parameters": self.description.parameters,
            "test_accuracy": self.description.accuracy,
        }
