"""A model as an ONNX file, checked before it is written."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penmark.atomic import replacing
from penmark.data.dataset import UInt8Array
from penmark.engine.spec import Unsupported
from penmark.engine.spec_reader import read_model
from penmark.errors import ExportError, InputError, ModelError
from penmark.export.card import model_card
from penmark.export.description import Description, describe
from penmark.export.destination import card_path, file_destination
from penmark.export.exported import Exported
from penmark.export.probe import largest_difference, own_model, probe_images
from penmark.export.source import Source, in_float32, open_source

if TYPE_CHECKING:
    from onnx import ModelProto

    from penmark.runs import Run


def to_onnx(
    target: Run | Path | str, out: Path | str | None = None, *, overwrite: bool = False
) -> Exported:
    """Write a model as an `.onnx` file, with its model card inside and beside it.

    The file takes raw pixels: input `images`, uint8, (batch, *image shape), 0 to 255, any number
    of images at once. uint8 makes the most common mistake impossible, scaling the pixels a second
    time: floats are refused. The output is float32, `probabilities` of shape (batch, classes).

    Args:
        target: a run, its folder, or a `.keras` file.
        out: the file to write; None puts it beside the model.
        overwrite: replace a file that is already there.

    Returns:
        What was written, and how far its answers are from the model's own.

    Raises:
        ModelError: no model, or one with a layer that cannot be exported (named).
        InputError: a missing package, or a place that is taken.
        ExportError: the file would not answer as the model does.
        StorageError: the file system refused.
    """
    require_onnx()
    source = open_source(target)
    path = file_destination(
        source.folder / f"{source.stem}.onnx", out, ".onnx", overwrite=overwrite
    )
    made = checked_onnx(source, path)
    card = model_card(made.description, _FORM)
    data = made.finished(card)
    with replacing(card_path(path)) as card_file, replacing(path) as model_file:
        card_file.write_text(card, encoding="utf-8")
        model_file.write_bytes(data)
    return Exported(
        form="onnx",
        path=path,
        size_bytes=len(data),
        description=made.description,
        checked_with=f"onnxruntime {runtime_version()}",
        checked_images=made.checked_images,
        largest_difference=made.largest_difference,
        output=made.output,
    )


_FORM = (
    "This card belongs to an ONNX file (operator set 17). It runs in ONNX Runtime and every other "
    "runtime that reads ONNX, from C++, C#, Java, JavaScript, Python and Swift."
)


class CheckedOnnx:
    """A model in ONNX that has answered as the Keras model does.

    Args:
        graph: the model.
        description: what is known about it.
        difference: largest one found.
        images: how many it was asked about.
    """

    def __init__(
        self, graph: ModelProto, description: Description, difference: float, images: int
    ) -> None:
        self._graph = graph
        self.description = description
        self.largest_difference = difference
        self.checked_images = images

    @property
    def output(self) -> str:
        return str(self._graph.graph.output[0].name)

    def finished(self, card: str) -> bytes:
        """The bytes of the file, with what is known about the model in its metadata."""
        from onnx import helper

        self._graph.doc_string = self.description.title
        self._graph.producer_version = self.description.version
        helper.set_model_props(self._graph, metadata(self.description) | {"model_card": card})
        return bytes(self._graph.SerializeToString())


def checked_onnx(source: Source, path: Path) -> CheckedOnnx:
    """Make the ONNX model, have it checked by onnx, and compare its answers with the model's own.

    Args:
        source: the model.
        path: where it shall go, for messages; nothing is written.

    Raises:
        ModelError: a layer that cannot be exported, or weights that do not fit.
        ExportError: onnx finds a fault, or the answers differ.
    """
    import onnx

    from penmark.export.onnx_graph import onnx_model

    try:
        spec = read_model(in_float32(source.saved.config))
        graph = onnx_model(spec, source.saved.weights)
    except Unsupported as error:
        raise ModelError(
            f"{source.model_path} cannot be exported to ONNX because of {error}; LiteRT may take "
            "it (--to litert)",
            path=source.model_path,
        ) from error
    except ValueError as error:
        raise ModelError(
            f"{source.model_path}: its weights do not fit its layers ({error}); save the model "
            "again",
            path=source.model_path,
        ) from error
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{path} would not be valid ONNX: {error}", path=path) from error
    images = probe_images(spec.input_shape)
    answers = run_onnx(graph.SerializeToString(), images)
    own = own_model(source).predict(images, verbose=0)
    difference = largest_difference(answers, np.asarray(own, np.float32), path)
    shape = spec.output_layer.output_shape
    description = describe(source, spec.input_shape, shape[0] if len(shape) == 1 else 0)
    return CheckedOnnx(graph, description, difference, len(images))


def run_onnx(model: bytes, images: UInt8Array) -> NDArray[np.float32]:
    """What an ONNX model answers, through onnxruntime on the processor."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    answers: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: images})[0]
    return answers


def metadata(description: Description) -> dict[str, str]:
    """What the file says about itself, to programs: every value text, lists and numbers as JSON."""
    known: dict[str, Any] = {
        "class_names": list(description.class_names),
        "preparation": description.preparation,
        "preparation_parameters": description.preparation_parameters,
        "parameters": description.parameters,
        "penmark_version": description.version,
        "recipe": description.recipe,
        "data": plain_data(description),
        "test_accuracy": description.accuracy,
    }
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in known.items()
        if value is not None
    }


def plain_data(description: Description) -> str | None:
    """The name of the data the model was trained on, if the run says it."""
    name = (description.data or {}).get("name")
    return name if isinstance(name, str) else None


def require_onnx() -> None:
    """Raise InputError, with what to install, unless onnx and onnxruntime are there."""
    if not all(importlib.util.find_spec(package) for package in ("onnx", "onnxruntime")):
        raise InputError(
            "ONNX needs two more packages; install them: pip install 'penmark[export]'"
        )


def runtime_version() -> str:
    """Version of the onnxruntime that is installed."""
    import onnxruntime

    return str(onnxruntime.__version__)
