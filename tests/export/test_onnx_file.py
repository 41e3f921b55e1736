"""`.onnx` files: what they say about themselves, what is refused, what is left behind."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

import penmark
from penmark.data import load_data
from penmark.data.preparation import BOX, CENTER, SIDE
from penmark.engine.backend import keras
from penmark.errors import ExportError, InputError, ModelError, RunError, StorageError
from penmark.export import onnx_graph, to_onnx
from penmark.runs import Run
from tests.export.conftest import save_model

layers = keras.layers


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return to_onnx(run, tmp_path_factory.mktemp("onnx") / "digits.onnx")


def test_the_file_reads_raw_pixels_as_the_model_does(run, exported):
    digits = load_data("digits")
    session = onnxruntime.InferenceSession(exported.path)
    (probabilities,) = session.run(["probabilities"], {"images": digits.x_test})
    own = penmark.predict(run.model(), digits.x_test)
    assert np.abs(probabilities - own).max() < 1e-5
    accuracy = np.mean(probabilities.argmax(axis=1) == digits.y_test)
    assert accuracy == pytest.approx(run.metrics["accuracy"])
    assert exported.largest_difference < 1e-5
    assert exported.checked_images == 128


def test_pixels_scaled_by_hand_are_refused_not_misread(exported):
    session = onnxruntime.InferenceSession(exported.path)
    scaled = (load_data("digits").x_test[:1] / 255).astype(np.float32)
    with pytest.raises(Exception, match="uint8"):
        session.run(None, {"images": scaled})


def test_metadata_says_what_a_program_needs(run, exported):
    model = onnx.load(exported.path)
    onnx.checker.check_model(model, full_check=True)
    assert (model.producer_name, model.producer_version) == ("penmark", penmark.__version__)
    assert model.opset_import[0].version == 17
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["class_names"]) == list("0123456789")
    assert "center of mass" in said["preparation"]
    numbers = json.loads(said["preparation_parameters"])
    assert numbers | {"side": SIDE, "box": BOX, "center": CENTER, "range": [0, 255]} == numbers
    assert said["recipe"] == "mlp-dropout"
    assert said["data"] == "digits"
    assert said["penmark_version"] == penmark.__version__
    assert float(said["test_accuracy"]) == run.metrics["accuracy"]
    assert said["model_card"] == exported.path.with_name("digits.onnx.md").read_text("utf-8")


def test_the_card_knows_the_run(run, exported):
    card = exported.path.with_name("digits.onnx.md").read_text("utf-8")
    assert card.startswith("# mlp-dropout on digits\n")
    for fact in (
        "669,706 parameters",
        run.config["data"]["checksum"],
        "| Training images | 1,438 |",
        "penmark train mlp-dropout --data digits",
        f"Accuracy {100 * run.metrics['accuracy']:.1f}% on the 359 test images",
        "uint8, (batch, 28, 28)",
    ):
        assert fact in card
    assert len([line for line in card.splitlines() if "| 3" in line[:3]]) == 1  # a row a class
    assert "unknown" not in card


def test_a_file_alone_says_that_nothing_else_is_known(save, tmp_path):
    path = save(layers.Flatten(), layers.Dense(10, activation="softmax"))
    made = to_onnx(path)
    assert made.path == tmp_path / "model.onnx"
    card = (tmp_path / "model.onnx.md").read_text("utf-8")
    assert card.count("Unknown: only the model file was given") == 3
    assert "only numbered" in card and "Accuracy" not in card
    said = {entry.key: entry.value for entry in onnx.load(made.path).metadata_props}
    assert {"recipe", "data", "test_accuracy"}.isdisjoint(said)
    assert not made.description.class_names_known


def test_a_runs_own_model_file_counts_as_the_run(run, tmp_path):
    made = to_onnx(run.model_path, tmp_path / "m.onnx")
    assert made.description.recipe == "mlp-dropout"


def test_mixed_precision_is_exported_in_float32(tmp_path, rng):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = keras.Sequential(
            [
                keras.Input((12, 12, 1)),
                layers.Rescaling(1 / 255),
                layers.Conv2D(4, 3, activation="relu"),
                layers.BatchNormalization(),
                layers.Flatten(),
                layers.Dense(5, activation="softmax", dtype="float32"),
            ]
        )
    finally:
        keras.config.set_dtype_policy("float32")
    path = save_model(model, tmp_path / "m.keras", rng)
    made = to_onnx(path)
    # bfloat16 itself would differ in the third decimal.
    assert made.largest_difference < 1e-5
    stored = {tensor.data_type for tensor in onnx.load(made.path).graph.initializer}
    assert stored == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (layers.LayerNormalization(name="strange"), r"the layer 'strange' \(LayerNormalization\)"),
        (layers.Conv2D(2, 3, dilation_rate=2, name="wide"), "dilation_rate of the layer 'wide'"),
        (layers.Activation("mish", name="odd"), "the activation of the layer 'odd'"),
    ],
)
def test_what_cannot_be_exported_is_named_and_nothing_is_written(save, tmp_path, layer, named):
    path = save(layer, layers.Flatten(), layers.Dense(3), shape=(8, 8, 2))
    with pytest.raises(ModelError, match=named):
        to_onnx(path, tmp_path / "new" / "m.onnx")
    assert sorted(tmp_path.iterdir()) == [path]


def test_weights_that_do_not_fit_are_one_line(save, tmp_path, monkeypatch):
    path = save(layers.Flatten(), layers.Dense(3, name="scores"))
    source = penmark.export.onnx_file.open_source(path)
    source.saved.weights["scores"][0] = np.zeros((7, 3), np.float32)
    monkeypatch.setattr("penmark.export.onnx_file.open_source", lambda target: source)
    with pytest.raises(ModelError, match=r"'scores' needs weights of shape \(784, 3\)"):
        to_onnx(path)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_wrong_answer_is_noticed_and_nothing_is_written(save, tmp_path, monkeypatch):
    path = save(layers.MaxPooling2D(2, padding="same"), layers.Flatten(), shape=(7, 7, 1))
    monkeypatch.setattr(onnx_graph, "_pads", lambda *_: [1, 1, 0, 0])
    with pytest.raises(ExportError, match="would answer differently"):
        to_onnx(path)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("m.txt", r"must end in \.onnx; got 'm.txt'"),
        ("model.keras", "must end in"),
        ("folder.onnx", "is a folder; name a file in it"),
        ("taken.onnx", r"already exists; .* \(--overwrite\)"),
        ("half.onnx", "half.onnx.md already exists"),
    ],
)
def test_places_that_are_taken_are_refused_first(save, tmp_path, monkeypatch, out, message):
    path = save(layers.Flatten(), layers.Dense(3))
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "taken.onnx").write_text("mine")
    (tmp_path / "half.onnx.md").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("penmark.export.onnx_file.checked_onnx", None)  # not even begun
    with pytest.raises(InputError, match=message):
        to_onnx(path, tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "taken.onnx").read_text() == "mine"


def test_overwrite_replaces_file_and_card(save, tmp_path):
    path = save(layers.Flatten(), layers.Dense(3))
    (tmp_path / "model.onnx").write_text("old")
    (tmp_path / "model.onnx.md").write_text("old")
    made = to_onnx(path, overwrite=True)
    assert made.size_bytes == made.path.stat().st_size > 1000
    assert "old" not in (tmp_path / "model.onnx.md").read_text("utf-8")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_place_that_cannot_be_written_leaves_nothing(save, tmp_path):
    path = save(layers.Flatten(), layers.Dense(3))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        to_onnx(path, tmp_path / "file" / "m.onnx")
    with pytest.raises(StorageError, match="cannot write"):
        to_onnx(path, tmp_path / f"{'n' * 300}.onnx")
    assert sorted(tmp_path.iterdir()) == sorted([path, tmp_path / "file"])


@pytest.mark.parametrize(
    ("name", "error"),
    [("nothing.keras", ModelError), ("empty", RunError), ("text.keras", ModelError)],
)
def test_what_is_no_model_is_one_line(tmp_path, name, error):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.keras").write_text("this is no model")
    with pytest.raises(error) as caught:
        to_onnx(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.onnx*"))


def test_a_run_without_a_model_says_how_to_finish_it(run, tmp_path):
    unfinished = Run.create(tmp_path / "r", run.config | {"status": "interrupted"})
    with pytest.raises(RunError, match="--resume"):
        to_onnx(unfinished)


def test_names_from_folders_may_be_hostile(run, tmp_path):
    """A class is called what its folder is called; a file as its owner likes."""
    names = ["<b>x</b>", "a|b", "line\nbreak", "`code`", "#", "é", "数", "", "8" * 300, "[l](u)"]
    strange = tmp_path / 'it\'s "a" $(run) \n--out é.d'
    strange.mkdir()
    data = run.config["data"] | {"class_names": names, "name": "own|photos<script>"}
    copy = Run.create(strange, run.config | {"data": data})
    copy.model_path.write_bytes(run.model_path.read_bytes())
    made = to_onnx(copy)
    assert made.path.parent == strange
    said = {entry.key: entry.value for entry in onnx.load(made.path).metadata_props}
    assert json.loads(said["class_names"])[:3] == ["<b>x</b>", "a|b", "line break"]
    card = (strange / "model.onnx.md").read_text("utf-8")
    assert r"own\|photos\<script\>" in card and "<b>" not in card
    classes = next(line for line in card.splitlines() if line.startswith("| Classes"))
    assert r"a\|b, line break" in classes


def test_without_the_packages_the_message_says_what_to_install(save, monkeypatch):
    path = save(layers.Flatten(), layers.Dense(3))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'penmark\[export\]'"):
        to_onnx(path)


def test_tensorflow_stays_out(run, tmp_path):
    code = (
        "import penmark.export as e, sys; e.to_onnx(sys.argv[1], sys.argv[2]);"
        "print([m for m in ('tensorflow', 'torch') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, run.path, tmp_path / "a.onnx"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.stdout.strip() == "[]", finished.stderr
