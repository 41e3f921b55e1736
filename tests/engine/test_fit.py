"""`penmark.fit`, `evaluate` and `predict`: Keras's arguments, Keras's results, clear errors."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import penmark
from penmark.engine.inputs import checked_labels
from penmark.errors import DataError, InputError, ModelError, TrainingError

pytestmark = pytest.mark.usefixtures("path")


def dropout_model(optimizer="adam", loss="categorical_crossentropy"):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((5, 5)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, size=(90, 5, 5), dtype=np.uint8)


@pytest.fixture
def labels(rng):
    return rng.integers(0, 4, size=90)


def same_weights(one, other):
    return all(
        np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    )


def test_training_in_two_parts_gives_exactly_the_same_as_in_one(images, labels):
    whole, parts = dropout_model(), dropout_model()
    penmark.fit(whole, images, labels, epochs=4, seed=5, verbose=0)
    penmark.fit(parts, images, labels, epochs=2, seed=5, verbose=0)
    penmark.fit(parts, images, labels, epochs=4, initial_epoch=2, seed=5, verbose=0)
    assert same_weights(whole, parts)


def test_the_seed_decides(images, labels):
    models = [dropout_model() for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        penmark.fit(model, images, labels, epochs=1, seed=seed, verbose=0)
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])


def test_without_a_seed_keras_set_random_seed_decides(images, labels):
    models = []
    for _ in range(2):
        models.append(dropout_model())  # sets the random seed
        penmark.fit(models[-1], images, labels, epochs=1, verbose=0)
    assert same_weights(*models)


@pytest.mark.parametrize("weighting", ["class_weight", "sample_weight"])
def test_weights_and_validation_as_in_keras(rng, images, labels, weighting):
    """Against `model.fit` on the same images in the same order, without dropout."""
    weights = {
        "class_weight": {0: 1.0, 1: 3.0, 2: 0.5, 3: 2.0},
        "sample_weight": rng.uniform(0.1, 2, size=90).astype(np.float32),
    }[weighting]
    histories = []
    for fit in (penmark.fit, lambda model, *args, **kwargs: model.fit(*args, **kwargs)):
        model = dropout_model("sgd")
        model.layers[3].rate = 0.0
        history = fit(
            model,
            images,
            np.eye(4, dtype=np.float32)[labels],
            batch_size=20,
            epochs=3,
            shuffle=False,
            validation_split=0.2,
            verbose=0,
            **{weighting: weights},
        )
        histories.append(history.history)
    assert set(histories[0]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    for name in histories[0]:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-4, err_msg=name)


def test_integer_labels_do_for_either_cross_entropy(images, labels):
    losses = []
    for loss in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        for given in (labels, labels.reshape(-1, 1), np.eye(4)[labels]):
            model = dropout_model(loss=loss)
            losses.append(penmark.evaluate(model, images, given)[0])
    assert losses == pytest.approx([losses[0]] * 6)


def test_labels_take_32_bits_where_these_do(images, labels):
    """JAX warns of 64, and `load_data` gives 64."""
    for loss in ("sparse_categorical_crossentropy", "mean_squared_error"):
        model = dropout_model(loss=loss)
        given = np.eye(4, dtype=np.int64)[labels] if loss == "mean_squared_error" else labels
        checked = checked_labels(model, images, given)
        assert checked.dtype == np.int32
        np.testing.assert_array_equal(checked, given)
    large = given + 2**40
    np.testing.assert_array_equal(checked_labels(model, images, large), large)


def test_integer_labels_do_for_a_probability_for_each_class(images, labels):
    losses = [
        penmark.evaluate(dropout_model(loss="binary_crossentropy"), images, given)[0]
        for given in (labels, labels.reshape(-1, 1), np.eye(4)[labels])
    ]
    assert losses == pytest.approx([losses[0]] * 3)
    with pytest.raises(DataError, match="the model has 4 classes"):
        penmark.evaluate(dropout_model(loss="binary_crossentropy"), images, labels + 1)


def test_evaluate_and_predict_return_what_keras_returns(images, labels):
    model = dropout_model()
    one_hot = np.eye(4)[labels]
    theirs = model.evaluate(images, one_hot, verbose=0, return_dict=True)
    ours = penmark.evaluate(model, images, labels, return_dict=True)
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert penmark.evaluate(model, images, labels) == pytest.approx(
        [theirs["loss"], theirs["accuracy"]], rel=1e-5
    )
    # The order of additions differs between the engines; the last bit of a float32 with it.
    np.testing.assert_allclose(
        penmark.predict(model, images), model.predict(images, verbose=0), rtol=1e-5
    )


def test_other_sources_of_batches_are_passed_on(images, labels):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            part = slice(index * 30, index * 30 + 30)
            return images[part], np.eye(4, dtype=np.float32)[labels[part]]

    model = dropout_model()
    history = penmark.fit(model, Batches(), epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert int(model.optimizer.iterations) == 6


@pytest.mark.parametrize("learning_rate", [1e30])
def test_a_loss_that_is_not_a_number_stops_training_with_advice(images, labels, learning_rate):
    model = dropout_model(keras.optimizers.SGD(learning_rate))
    with pytest.raises(TrainingError, match=r"loss became .* in epoch 1.*smaller learning rate"):
        penmark.fit(model, images.astype(np.float32) * 1e30, labels, epochs=3, verbose=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((0, 5, 5), np.uint8)}, "x is empty"),
        ({"x": np.zeros((90, 25), np.uint8)}, r"of shape \(n, 5, 5\).*reshape\(\(-1, 5, 5\)\)"),
        ({"x": np.zeros((90, 28, 28), np.uint8)}, "resize the images"),
        ({"x": np.zeros((5, 5), np.uint8)}, r"for one image, use x.reshape\(\(1, 5, 5\)\)"),
        ({"x": np.full((90, 5, 5), "a")}, "images must be numbers"),
        ({"y": None}, "there are no labels"),
        ({"y": np.zeros(89, int)}, "90 images but 89 labels"),
        ({"y": np.full(90, 4)}, "label of image 0 is 4, but the model has 4 classes, 0 to 3"),
        ({"y": np.full(90, -1)}, "label of image 0 is -1"),
        ({"y": np.full(90, 0.5)}, "whole numbers"),
        ({"y": np.zeros((90, 7))}, "4 class scores an image, but the labels have shape"),
        ({"y": np.full((90, 4), np.nan)}, "label of image 0 is not a finite number"),
        ({"y": np.full(90, "cat")}, "labels must be numbers"),
        ({"validation_split": 0.999}, "leaves no training images"),
        ({"validation_split": 1e-17}, "leaves no validation images"),
    ],
)  # fmt: skip
def test_bad_data_is_named_in_one_line(images, labels, change, message):
    arguments = {"x": images, "y": labels, "verbose": 0} | change
    with pytest.raises(DataError, match=message) as caught:
        penmark.fit(dropout_model(), **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "warp"}, "engine must be one of auto, native, keras; got 'warp'"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"validation_split": 1.5}, "validation_split must be at least 0 and less than 1"),
        ({"class_weight": {0: 1.0}, "sample_weight": np.ones(90)}, "not both"),
    ],
)
def test_bad_arguments_are_named_in_one_line(images, labels, change, message):
    with pytest.raises(InputError, match=message):
        penmark.fit(dropout_model(), images, labels, **({"verbose": 0} | change))


def test_a_model_must_be_compiled(images, labels):
    model = keras.Sequential([keras.Input((5, 5)), keras.layers.Flatten()])
    with pytest.raises(ModelError, match="not compiled"):
        penmark.fit(model, images, labels)
