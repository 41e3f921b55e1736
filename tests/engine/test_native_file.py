"""`.keras` files without Keras: the same answers, and one line for a file that is not whole."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("penmark.engine._core", reason="the native core is not built")
keras = pytest.importorskip("keras")

import penmark  # noqa: E402
from penmark.engine.model_file import open_model  # noqa: E402
from penmark.engine.native_model import NativeModel  # noqa: E402
from penmark.engine.saved_model import read_saved_model  # noqa: E402
from penmark.errors import DataError, ModelError  # noqa: E402

L = keras.layers


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = keras.Sequential(
        [
            L.Input((8, 8, 1)),
            L.Conv2D(4, 3, activation="relu", name="first"),
            L.BatchNormalization(),
            L.Flatten(),
            L.Dense(6, "tanh", name="z"),
            L.Dense(3, "softmax", name="a"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), dtype=np.uint8)
    model.fit(x, np.arange(9) % 3, verbose=0)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path, model, x


def test_a_file_answers_as_the_model(saved):
    path, model, x = saved
    native = NativeModel.from_file(path)
    np.testing.assert_allclose(native.predict(x), model.predict(x, verbose=0), atol=1e-5)
    scores = model.evaluate(x, np.arange(9) % 3, verbose=0, return_dict=True)
    assert native.evaluate(x, np.arange(9) % 3) == pytest.approx(scores, abs=1e-4)


def test_an_opened_file_is_used_as_a_live_model(saved):
    path, model, x = saved
    opened = open_model(path)
    assert isinstance(opened, NativeModel)
    assert (opened.name, opened.input_shape) == (model.name, model.input_shape)
    assert (opened.output_shape, opened.loss) == (model.output_shape, model.loss)
    np.testing.assert_allclose(penmark.predict(opened, x), penmark.predict(model, x), atol=1e-6)
    labels = np.arange(9) % 3
    assert penmark.evaluate(opened, x, labels) == pytest.approx(penmark.evaluate(model, x, labels))
    with pytest.raises(DataError, match="model has 3 classes"):
        penmark.evaluate(opened, x, labels + 1)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "mean_squared_error"])
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([[0, 0, 1], [1, 0, 0], [0, 1, 0]], id="one-hot"),
        pytest.param([[1, 1, 0], [0, 0, 0], [0, 0, 1]], id="as-many-ones-as-rows"),
        pytest.param([[0, 0, 0.5], [1, 0, 0], [0, -1, 0]], id="one-number-a-row"),
        pytest.param([[0, 0, 2], [0, 2, 0], [1, 0, 0]], id="one-number-above-one-a-row"),
    ],
)
def test_rows_of_labels_score_as_in_keras(saved, tmp_path, loss, rows):
    _, model, x = saved
    same = keras.models.clone_model(model)
    same.set_weights(model.get_weights())
    same.compile("sgd", loss, metrics=["accuracy"])
    same.save(tmp_path / "model.keras")
    y = np.array(rows, np.float32)
    expected = same.evaluate(x[:3], y, verbose=0, return_dict=True)
    assert NativeModel.from_file(tmp_path / "model.keras").evaluate(x[:3], y) == (
        pytest.approx(expected, abs=1e-5)
    )


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_labels_as_large_as_a_float_stay_as_they_are(saved, tmp_path):
    _, model, _ = saved
    same = keras.models.clone_model(model)
    same.compile("sgd", "categorical_crossentropy")
    same.save(tmp_path / "model.keras")
    large = np.array([[0, 0, 3e38], [0, 1, 0], [-3e38, 0, 0]], np.float32)
    assert np.array_equal(NativeModel.from_file(tmp_path / "model.keras").labels(large), large)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_no_labels_are_refused_in_one_line(saved, tmp_path, loss):
    _, model, x = saved
    same = keras.models.clone_model(model)
    same.compile("sgd", loss, metrics=["accuracy"])
    same.save(tmp_path / "model.keras")
    empty = np.zeros((0, 3) if loss.startswith("categorical") else 0)
    with pytest.raises(DataError):
        penmark.evaluate(open_model(tmp_path / "model.keras"), x[:0], empty)


def test_a_file_that_the_core_does_not_cover_opens_in_keras(tmp_path):
    model = keras.Sequential([L.Input((4,)), L.LayerNormalization(), L.Dense(2, "softmax")])
    model.save(tmp_path / "model.keras")
    assert isinstance(open_model(tmp_path / "model.keras"), keras.Model)


def test_optimizer_state_is_read(saved):
    path, model, _ = saved
    for ours, theirs in zip(
        read_saved_model(path).optimizer, model.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs.numpy())


def test_keras_is_not_imported(saved):
    code = (
        "import sys; from penmark.engine.native_model import NativeModel;"
        f"NativeModel.from_file({str(saved[0])!r});"
        "assert not {'keras', 'jax', 'tensorflow', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


def one_line(path):
    with pytest.raises(ModelError) as raised:
        NativeModel.from_file(path)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_missing_and_truncated_files(saved, tmp_path):
    assert "no such file" in one_line(tmp_path / "none.keras")
    data = saved[0].read_bytes()
    for size in (0, 1, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.keras").write_bytes(data[:size])
        one_line(tmp_path / "cut.keras")


def rewritten(saved, path, config=None, weights=None):
    with zipfile.ZipFile(saved[0]) as old, zipfile.ZipFile(path, "w") as new:
        new.writestr("config.json", config or old.read("config.json"))
        new.writestr("model.weights.h5", weights or old.read("model.weights.h5"))
    return path


def test_hostile_files(saved, tmp_path):
    path = tmp_path / "hostile.keras"
    one_line(rewritten(saved, path, config="[" * 100_000))
    one_line(rewritten(saved, path, config=json.dumps({"config": 3})))
    one_line(rewritten(saved, path, weights=b"\x89HDF\r\n\x1a\n" + b"\xff" * 2000))
    huge = io.BytesIO()
    with h5py.File(huge, "w") as file:
        file.create_dataset("layers/conv2d/vars/0", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))
    assert "claims more data" in one_line(rewritten(saved, path, weights=huge.getvalue()))
    linked = io.BytesIO()
    with h5py.File(linked, "w") as file:
        file.create_group("layers/conv2d/vars")["0"] = h5py.ExternalLink("/etc/passwd", "/")
    assert "link" in one_line(rewritten(saved, path, weights=linked.getvalue()))
    empty = io.BytesIO()
    with h5py.File(empty, "w") as file:
        file.create_group("layers")
    assert "weights do not fit" in one_line(rewritten(saved, path, weights=empty.getvalue()))


@pytest.mark.skipif(
    not Path("/proc/self/statm").is_file(), reason="reads memory from Linux's /proc"
)
def test_predicting_ever_other_numbers_of_images_does_not_pile_up_memory():
    """In a process of its own, where nothing else takes or gives memory back."""
    code = (
        "import os, numpy as np\n"
        "from pathlib import Path\n"
        "from penmark.reading.classifier import default_model\n"
        "network = default_model()\n"
        "def resident_bytes():\n"
        "    pages = int(Path('/proc/self/statm').read_text().split()[1])\n"
        "    return pages * os.sysconf('SC_PAGESIZE')\n"
        "network(np.zeros((256, 28, 28), np.uint8))\n"
        "before = resident_bytes()\n"
        "for number in range(129, 256, 9):\n"
        "    network(np.zeros((number, 28, 28), np.uint8))\n"
        "print(resident_bytes() - before)\n"
    )
    grown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(grown.stdout) < 100e6
