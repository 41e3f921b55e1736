"""The part of a LiteRT export that needs TensorFlow, run in a process of its own.

    python -m penmark.export.litert_process MODEL.keras FILE.tflite

`penmark.export.litert` starts it with Keras on the TensorFlow backend. It prints one line of JSON:
{"difference", "images", "output", "input_shape", "outputs", "runtime"} or {"error", "layer"}.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.data.dataset import UInt8Array
from penmark.errors import PenmarkError
from penmark.export.probe import largest_difference, own_model, probe_images
from penmark.export.source import open_source


def convert(model_path: Path, out: Path) -> dict[str, Any]:
    """Convert a model and compare the file's answers with the model's own.

    Args:
        model_path: a `.keras` file.
        out: the `.tflite` file to write.

    Returns:
        What the process prints.
    """
    model = own_model(open_source(model_path))
    shape = model.input_shape[1:] if isinstance(model.input_shape, tuple) else (None,)
    if None in shape or not isinstance(model.output_shape, tuple) or len(model.output_shape) != 2:
        return {
            "error": f"it takes {model.input_shape} and gives {model.output_shape}, not images of "
            "one known shape to one row of numbers"
        }
    try:
        _export(_from_pixels(model, shape), out)
    except Exception as error:  # the converter raises whatever stops it
        return {"error": _first_line(error), "layer": _culprit(model)}
    images = probe_images(shape)
    answers = run_litert(out, images)
    own = np.asarray(model.predict(images, verbose=0), np.float32)
    return {
        "difference": largest_difference(answers, own, out.name),
        "images": len(images),
        "input_shape": list(shape),
        "outputs": int(own.shape[1]),
        "runtime": f"TensorFlow {_tensorflow().__version__}'s LiteRT interpreter",
    }


def run_litert(path: Path, images: UInt8Array) -> NDArray[np.float32]:
    """What a `.tflite` file answers, all images in one batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow announces that the class will move
        interpreter = _tensorflow().lite.Interpreter(model_path=str(path))
    entry = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(entry["index"], list(images.shape))
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], images)
    interpreter.invoke()
    answers: NDArray[np.float32] = interpreter.get_tensor(
        interpreter.get_output_details()[0]["index"]
    )
    return answers


def _from_pixels(model: Any, shape: tuple[int, ...]) -> Any:
    """The model behind a uint8 input: raw pixels in, as in every export."""
    from penmark.engine.backend import keras

    images = keras.Input(shape, dtype="uint8", name="images")
    return keras.Model(images, model(keras.ops.cast(images, "float32")), name=model.name)


def _export(model: Any, out: Path) -> None:
    lite = _tensorflow().lite
    # Without "select TensorFlow operators", which a phone has only with a much larger runtime.
    model.export(
        str(out),
        format="litert",
        verbose=False,
        target_spec={"supported_ops": [lite.OpsSet.TFLITE_BUILTINS]},
    )


def _culprit(model: Any) -> str | None:
    """The first layer that cannot be converted alone."""
    import tempfile

    from penmark.engine.backend import keras

    with tempfile.TemporaryDirectory() as folder:
        for layer in model.layers:
            if isinstance(layer, keras.layers.InputLayer):
                continue
            try:
                given = keras.Input(batch_shape=layer.input.shape, dtype=layer.input.dtype)
                _export(keras.Model(given, layer(given)), Path(folder) / "layer.tflite")
            except Exception:  # whatever stops the converter
                return f"{layer.name!r} ({type(layer).__name__})"
    return None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _tensorflow() -> Any:
    import tensorflow

    return tensorflow


def main() -> None:
    """Convert what the command line names, and print the result."""
    model_path, out = map(Path, sys.argv[1:3])
    # TensorFlow talks on standard output; that is for the one line of JSON.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            result = convert(model_path, out)
        except PenmarkError as error:
            result = {"error": str(error)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
