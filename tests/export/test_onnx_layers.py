"""Every layer and activation that the engine knows, in ONNX: the numbers that Keras gives."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from penmark.engine.backend import keras
from penmark.engine.saved_model import read_saved_model
from penmark.engine.spec import ACTIVATIONS
from penmark.engine.spec_reader import read_model
from penmark.export.onnx_file import run_onnx
from penmark.export.onnx_graph import onnx_model
from penmark.export.source import in_float32
from tests.export.conftest import save_model

layers = keras.layers


def in_onnx(path):
    saved = read_saved_model(path)
    model = onnx_model(read_model(in_float32(saved.config)), saved.weights)
    onnx.checker.check_model(model, full_check=True)
    return model


def compare(path, shape, *, rtol=2e-5, images=3):
    """Check that ONNX answers as Keras does, and give the graph."""
    x = np.random.default_rng(1).integers(0, 256, (images, *shape), np.uint8)
    model = in_onnx(path)
    expected = np.asarray(keras.saving.load_model(path)(x.astype(np.float32), training=False))
    actual = run_onnx(model.SerializeToString(), x)
    assert actual.shape == expected.shape and actual.dtype == np.float32
    scale = max(float(np.abs(expected).max()), 1e-3)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * scale)
    return model


def operators(model):
    return [node.op_type for node in model.graph.node]


SAME_AND_ODD = [
    # height, width, window, strides, padding
    (7, 9, 3, 1, "same"),
    (7, 9, 3, 2, "same"),
    (8, 5, 3, 2, "same"),
    (7, 10, (2, 5), (3, 2), "same"),
    (9, 8, 4, 3, "same"),
    (5, 6, (4, 1), (1, 3), "same"),
    (11, 7, 2, 4, "same"),  # strides that step over pixels
    (3, 3, 5, 2, "same"),  # a window larger than the image
    (7, 9, 3, 2, "valid"),
    (8, 8, (1, 4), (2, 3), "valid"),
]


@pytest.mark.parametrize(("height", "width", "kernel", "strides", "padding"), SAME_AND_ODD)
def test_convolution(save, height, width, kernel, strides, padding):
    shape = (height, width, 3)
    path = save(
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, kernel, strides=strides, padding=padding),
        layers.Conv2D(2, 1, use_bias=False),
        shape=shape,
    )
    assert operators(compare(path, shape)).count("Transpose") == 2


@pytest.mark.parametrize(("height", "width", "window", "strides", "padding"), SAME_AND_ODD)
def test_pooling(tmp_path, rng, height, width, window, strides, padding):
    images = keras.Input((height, width, 2))
    # Below zero, so that a border of zeros would win a maximum and pull an average.
    x = layers.Rescaling(1 / 255, offset=-3.0)(images)
    largest = layers.MaxPooling2D(window, strides, padding)(x)
    mean = layers.Rescaling(10.0)(layers.AveragePooling2D(window, strides, padding)(x))
    model = keras.Model(images, layers.Add()([largest, mean]))
    compare(save_model(model, tmp_path / "m.keras", rng), (height, width, 2))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations(save, name):
    """As a layer's own, and as a layer between others, on numbers from -4 to 4 and beyond."""
    path = save(
        layers.Rescaling(1 / 32, offset=-4.0),
        layers.Activation(name),
        layers.Flatten(),
        layers.Dense(9, activation=name),
        shape=(3, 3, 2),
    )
    compare(path, (3, 3, 2))


@pytest.mark.parametrize(
    "layer",
    [
        layers.ReLU(),
        layers.ReLU(max_value=6.0),
        layers.ReLU(negative_slope=0.3),
        layers.LeakyReLU(negative_slope=0.1),
        layers.ELU(alpha=0.7),
        layers.Softmax(),
    ],
)
def test_activation_layers(save, layer):
    path = save(layers.Rescaling(1 / 32, offset=-4.0), layers.Conv2D(3, 2), layer, shape=(5, 5, 1))
    compare(path, (5, 5, 1))


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("shape", [(5, 4, 3), (6,)])
def test_batch_normalization(save, shape, center, scale):
    layer = layers.BatchNormalization(center=center, scale=scale, epsilon=0.01)
    compare(save(layers.Rescaling(1 / 255), layer, shape=shape), shape)


def test_shapes_come_and_go(save):
    path = save(
        layers.Reshape((28, 28, 1)),
        layers.Conv2D(3, 3, padding="same"),
        layers.Reshape((-1, 14, 6)),
        layers.Conv2D(2, 3, strides=2),
        layers.Flatten(),
        layers.Dense(5),
        shape=(28, 28),
    )
    compare(path, (28, 28))


@pytest.mark.parametrize("keepdims", [True, False])
def test_global_average(save, keepdims):
    tail = [layers.Conv2D(2, 1), layers.Flatten()] if keepdims else [layers.Dense(2)]
    path = save(
        layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(keepdims=keepdims), *tail,
        shape=(6, 7, 2),
    )  # fmt: skip
    compare(path, (6, 7, 2))


def test_branches_meet(tmp_path, rng):
    images = keras.Input((9, 9, 2))
    x = layers.Rescaling(1 / 255)(images)
    left = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    right = layers.Conv2D(4, 1)(x)
    both = layers.Add()([left, right, left])
    both = layers.Add()([both, layers.Rescaling(2.0)(right)])
    scores = layers.Dense(3, activation="softmax")(layers.Flatten()(both))
    path = save_model(keras.Model(images, scores), tmp_path / "m.keras", rng)
    compare(path, (9, 9, 2))


def test_an_image_itself_can_meet_its_features(tmp_path, rng):
    """One value in both layouts: turned once, used twice."""
    images = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(images)
    joined = layers.Add()([x, layers.Conv2D(3, 3, padding="same")(x)])
    model = keras.Model(images, layers.MaxPooling2D()(joined))
    graph = compare(save_model(model, tmp_path / "m.keras", rng), (8, 8, 3))
    assert operators(graph).count("Transpose") == 2


def test_what_only_trains_leaves_nothing(save):
    path = save(
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.1),
        layers.Conv2D(2, 3, kernel_regularizer="l2", bias_constraint="non_neg"),
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
        layers.Dropout(0.5),
        shape=(8, 8, 1),
    )
    graph = compare(path, (8, 8, 1))
    assert operators(graph) == [
        "Cast", "Transpose", "Conv", "Transpose", "Reshape", "Gemm", "Softmax",
    ]  # fmt: skip
    assert graph.graph.output[0].name == "probabilities"


@pytest.mark.parametrize("images", [1, 2, 77])
def test_any_number_of_images_at_once(save, images):
    path = save(
        layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(4, activation="softmax"),
        shape=(6, 6, 1),
    )  # fmt: skip
    compare(path, (6, 6, 1), images=images)


def test_layer_names_may_be_anything(tmp_path, rng):
    model = keras.Sequential(
        [
            keras.Input((4,), name="outputs"),
            layers.Dense(3, name="images", activation="relu"),
            layers.Dense(3, name="images_Gemm"),
            layers.Dense(2, name="probabilities é 数"),
        ]
    )
    graph = compare(save_model(model, tmp_path / "m.keras", rng), (4,))
    assert [graph.graph.input[0].name, graph.graph.output[0].name] == ["images", "outputs"]


def test_large_scores_keep_their_softmax(save):
    """Raw pixels give scores in the thousands; their exponentials must not overflow."""
    path = save(layers.Rescaling(100.0), layers.Dense(3, activation="softmax"), shape=(50,))
    compare(path, (50,))
