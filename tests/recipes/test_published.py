"""The published networks: layers, numbers and training exactly as in the table of the docs."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import penmark
from penmark import recipes
from penmark.errors import InputError, ModelError

# name: (parameters, dense and convolution layers, optimizer, batch size, epochs, validation
# split, rescaled, published)
TABLE = {
    "softmax": (7_850, [(10, "softmax")], "SGD", 32, 20, 0.0, False, (0.92, 0.93)),
    "mlp-relu": (
        640_890,
        [(784, "relu"), (32, "relu"), (10, "softmax")],
        "SGD", 500, 20, 0.1, False, (0.95, 0.98),
    ),
    "mlp-dropout": (
        669_706,
        [(512, "relu"), 0.2, (512, "relu"), 0.2, (10, "softmax")],
        "Adam", 128, 4, 0.0, True, (0.9787, 0.9787),
    ),
    "mlp-sigmoid": (
        1_251_450,
        [(784, "sigmoid"), (800, "sigmoid"), (10, "softmax")],
        "Adam", 64, 5, 0.0, False, (0.9451, 0.9451),
    ),
    "cnn": (
        2_174_442,
        [
            (32, (3, 3), "relu"), (32, (3, 3), "relu"), "pool (2, 2)",
            (64, (3, 3), "relu"), (64, (3, 3), "relu"), "pool (2, 2)",
            (1024, "sigmoid"), 0.2, (1024, "sigmoid"), 0.2, (10, "softmax"),
        ],
        "Adam", 32, 2, 0.0, False, (0.9910, 0.9910),
    ),
}  # fmt: skip


def described(model):
    """The layers that compute, in the words of the table."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            found.append((layer.units, layer.activation.__name__))
        elif isinstance(layer, keras.layers.Conv2D):
            assert layer.padding == "valid" and layer.strides == (1, 1)
            found.append((layer.filters, layer.kernel_size, layer.activation.__name__))
        elif isinstance(layer, keras.layers.MaxPooling2D):
            found.append(f"pool {layer.pool_size}")
        elif isinstance(layer, keras.layers.Dropout):
            found.append(layer.rate)
        else:
            assert isinstance(
                layer, keras.layers.Flatten | keras.layers.Rescaling | keras.layers.Reshape
            )
    return found


def test_the_table_has_every_published_recipe():
    assert recipes.published() == ["perceptron", *TABLE]
    assert recipes.names() == [*recipes.published(), "quick", "reader"]


@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_is_what_was_published(name):
    parameters, layers, optimizer, batch_size, epochs, split, rescaled, published = TABLE[name]
    recipe = recipes.get(name)
    model = recipe.build()

    assert model.count_params() == parameters
    assert described(model) == layers
    assert type(model.optimizer).__name__ == optimizer
    assert float(model.optimizer.learning_rate) == pytest.approx(
        {"SGD": 0.01, "Adam": 0.001}[optimizer]
    )
    assert model.loss == "categorical_crossentropy"
    assert (recipe.batch_size, recipe.epochs, recipe.validation_split) == (
        batch_size,
        epochs,
        split,
    )
    assert any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers) is rescaled
    assert recipe.published_accuracy == published


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize(("shape", "classes"), [((16, 20), 2), ((32, 32, 3), 7), ((28, 28, 1), 47)])
def test_a_recipe_works_on_other_shapes_and_classes(name, shape, classes, rng):
    model = recipes.get(name).build(image_shape=shape, num_classes=classes)
    probabilities = penmark.predict(model, rng.integers(0, 256, (3, *shape), dtype=np.uint8))
    assert probabilities.shape == (3, classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_the_seed_decides_the_initial_weights():
    first, second, other = (recipes.get("softmax").build(seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.get_weights()[0], second.get_weights()[0])
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


def test_mixed_precision_keeps_float32_weights_and_probabilities_and_the_users_policy(rng):
    before = keras.config.dtype_policy().name
    model = recipes.get("mlp-dropout").build(precision="mixed_bfloat16", seed=0)
    assert keras.config.dtype_policy().name == before
    assert model.get_layer("dense_1").compute_dtype == "bfloat16"
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    images = rng.integers(0, 256, (64, 28, 28), dtype=np.uint8)
    history = penmark.fit(model, images, np.arange(64) % 10, epochs=8, verbose=0, seed=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert penmark.predict(model, images).dtype == np.float32


def test_images_too_small_for_the_layers_are_refused():
    with pytest.raises(ModelError, match=r"cnn needs images of at least 16×16 pixels; .* 15×28"):
        recipes.get("cnn").build(image_shape=(15, 28))
    recipes.get("cnn").build(image_shape=(16, 16))


@pytest.mark.parametrize(
    ("name", "advice"),
    [("sofmax", "did you mean softmax?"), ("resnet", "choose one of perceptron, softmax")],
)
def test_an_unknown_recipe_is_answered_with_advice(name, advice):
    with pytest.raises(InputError, match=f"there is no recipe '{name}'; {advice}"):
        recipes.get(name)


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="float32, mixed_bfloat16; got 'float16'"):
        recipes.get("softmax").build(precision="float16")
