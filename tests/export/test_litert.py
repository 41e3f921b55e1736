"""`.tflite` files. The conversion needs TensorFlow, and skips, visibly, without it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import penmark
from penmark.data import load_data
from penmark.engine.backend import keras
from penmark.errors import ExportError, InputError, ModelError
from penmark.export import litert, to_litert

layers = keras.layers
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None,
    reason="TensorFlow is not installed: pip install 'penmark[litert]'",
)


def test_without_tensorflow_the_message_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'penmark\[litert\]'"):
        to_litert(run, tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())


def pretend(monkeypatch, tmp_path, code):
    """Let another program stand in for the conversion."""
    script = tmp_path / "stand-in"
    script.write_text(f"#!{sys.executable}\n{code}\n")
    script.chmod(0o755)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr(litert.sys, "executable", str(script))


def test_a_conversion_that_dies_leaves_nothing(run, tmp_path, monkeypatch):
    pretend(monkeypatch, tmp_path, "import os, sys; print('boom', file=sys.stderr); os._exit(7)")
    with pytest.raises(ExportError, match="stopped with status 7: boom"):
        to_litert(run, tmp_path / "out" / "m.tflite")
    assert not list((tmp_path / "out").iterdir())


def test_a_refusal_names_the_layer(run, tmp_path, monkeypatch):
    answer = json.dumps({"error": "needs an operator", "layer": "'odd' (Odd)"})
    pretend(monkeypatch, tmp_path, f"print({answer!r})")
    with pytest.raises(ModelError, match=r"because of the layer 'odd' \(Odd\): needs an operator"):
        to_litert(run, tmp_path / "out" / "m.tflite")
    assert not list((tmp_path / "out").iterdir())


@needs_tensorflow
def test_the_file_reads_raw_pixels_as_the_model_does(run, tmp_path):
    digits = load_data("digits")
    made = to_litert(run, tmp_path / "digits.tflite")
    assert made.largest_difference < 1e-4
    # The finished file, archive and all.
    np.save(tmp_path / "x.npy", digits.x_test)
    code = (
        "import sys, numpy as np, pathlib; from penmark.export.litert_process import run_litert;"
        "a = run_litert(pathlib.Path(sys.argv[1]), np.load(sys.argv[2])); np.save(sys.argv[3], a)"
    )
    subprocess.run(
        [sys.executable, "-c", code, made.path, tmp_path / "x.npy", tmp_path / "y.npy"],
        check=True,
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
    )
    answers = np.load(tmp_path / "y.npy")
    own = penmark.predict(run.model(), digits.x_test)
    assert np.abs(answers - own).max() < 1e-4
    with zipfile.ZipFile(made.path) as archive:
        assert archive.read("labels.txt").decode().split() == list("0123456789")
        card = archive.read("MODEL_CARD.md").decode()
    assert card == (tmp_path / "digits.tflite.md").read_text("utf-8")
    assert "digits" in card


@needs_tensorflow
def test_tensorflow_stays_in_its_own_process(run, tmp_path):
    code = (
        "import penmark.export as e, sys; e.to_litert(sys.argv[1], sys.argv[2]);"
        "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    command = [sys.executable, "-c", code, run.path, tmp_path / "m.tflite"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.stdout.strip() == "False False", finished.stderr


@needs_tensorflow
def test_convolutions_odd_paddings_and_activations(save, tmp_path):
    path = save(
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, strides=2, padding="same", activation="swish"),
        layers.BatchNormalization(),
        layers.AveragePooling2D(2, padding="same"),
        layers.Conv2D(3, 2, activation="selu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(4, activation="softmax"),
        shape=(15, 13, 1),
    )
    assert to_litert(path).largest_difference < 1e-4


@needs_tensorflow
def test_a_layer_that_phones_do_not_have_is_named(save, tmp_path):
    path = save(
        layers.Resizing(7, 7, interpolation="lanczos3", name="odd"),
        layers.Flatten(),
        layers.Dense(3),
        shape=(9, 9, 1),
    )
    with pytest.raises(ModelError, match="the layer 'odd'"):
        to_litert(path)
    assert sorted(tmp_path.iterdir()) == [path]
