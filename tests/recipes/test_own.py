"""penmark's own networks: their sizes, their data of every epoch, and that they learn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import penmark
from penmark import recipes
from penmark.data import Dataset, load_data
from penmark.engine.choice import why_not_native
from penmark.recipes.augmentation import varied_handwriting
from penmark.runs import TrainingSettings, resume, train


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


@pytest.mark.parametrize(("name", "parameters"), [("quick", 114_090), ("reader", 354_634)])
def test_the_networks_have_the_size_that_the_docs_say(name, parameters):
    model = recipes.get(name).build()
    assert model.count_params() == parameters
    assert model.output_shape == (None, 10)
    # The native core must cover them: through Keras they would take many times as long.
    images = np.zeros((2, 28, 28), np.uint8)
    assert why_not_native(model, images, {"augment": varied_handwriting}) is None


@pytest.mark.parametrize("name", ["quick", "reader"])
@pytest.mark.parametrize(("shape", "classes"), [((24, 30), 2), ((32, 32, 3), 7), ((28, 28, 1), 47)])
def test_they_work_on_other_shapes_and_classes(name, shape, classes, rng):
    model = recipes.get(name).build(image_shape=shape, num_classes=classes)
    probabilities = penmark.predict(model, rng.integers(0, 256, (3, *shape), dtype=np.uint8))
    assert probabilities.shape == (3, classes)
    if name == "reader":  # each class has a probability of its own
        assert ((probabilities > 0) & (probabilities < 1)).all()
    else:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["quick", "reader"])
def test_the_smallest_image_is_the_smallest_that_works(name):
    recipe = recipes.get(name)
    least = recipe.smallest_image_px
    recipe.build(image_shape=(least, least))
    with pytest.raises(ValueError):
        recipe.make_network((least - 1, least - 1), 10)


def test_every_epoch_is_its_own_and_repeats_with_its_seed(digits):
    augment = varied_handwriting(digits)
    x, y = digits.x_train, np.eye(10, dtype=np.float32)[digits.y_train]
    before = x.copy()
    first, again, later, other = (augment(x, y, *key) for key in ((3, 0), (3, 0), (3, 1), (4, 0)))
    np.testing.assert_array_equal(x, before)
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for changed in (later, other):
        assert (first[0] != changed[0]).any(axis=(1, 2)).mean() > 0.99


def test_labels_stay_but_for_a_sixth_that_is_of_no_class(digits):
    augment = varied_handwriting(digits)
    y = np.eye(10, dtype=np.float32)[digits.y_train]
    images, labels = augment(digits.x_train, y, 0, 0)
    assert images.shape == digits.x_train.shape and images.dtype == np.uint8
    assert labels.shape == y.shape and labels.dtype == np.float32
    none = (labels == 0).all(axis=1)
    np.testing.assert_array_equal(labels[~none], y[~none])
    assert none.mean() == pytest.approx(1 / 6, abs=0.04)  # 4 standard deviations


def test_a_channel_axis_and_fewer_digits_are_fine(digits):
    odd = np.isin(digits.y_train, (1, 7))
    pair = Dataset(
        "pair",
        digits.x_train[odd][..., None],
        (digits.y_train[odd] == 7).astype(np.int64),
        digits.x_test[..., None],
        np.zeros(len(digits.x_test), np.int64),
        ("1", "7"),
    )
    y = np.eye(2, dtype=np.float32)[pair.y_train]
    images, labels = varied_handwriting(pair)(pair.x_train, y, 0, 0)
    assert images.shape == pair.x_train.shape
    assert set(np.unique(labels.sum(axis=1))) == {0.0, 1.0}


@pytest.mark.parametrize("shape", [(20, 32, 28), (20, 28, 28, 3)])
def test_images_of_another_shape_are_not_varied(shape):
    images, labels = np.zeros(shape, np.uint8), np.arange(20) % 10
    dataset = Dataset("some", images, labels, images, labels, tuple("0123456789"))
    assert varied_handwriting(dataset) is None


def test_classes_that_are_no_digits_are_not_varied(digits):
    assert varied_handwriting(digits) is not None
    letters = dataclasses.replace(digits, class_names=tuple("abcdefghij"))
    assert varied_handwriting(letters) is None


@pytest.mark.parametrize(("name", "epochs", "at_least"), [("quick", 3, 0.94), ("reader", 4, 0.90)])
def test_they_learn_the_bundled_digits(tmp_path, digits, name, epochs, at_least):
    settings = TrainingSettings(
        recipe=name, data="digits", epochs=epochs, batch_size=32, learning_rate=0.003
    )
    run = train(settings, out=tmp_path / "run", dataset=digits, report=False, verbose=0)
    assert run.metrics["accuracy"] > at_least


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path, digits):
    import keras

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    settings = TrainingSettings(recipe="reader", data="digits", epochs=2, seed=5)
    whole = train(settings, out=tmp_path / "whole", dataset=digits, report=False, verbose=0)
    stopped = train(
        settings,
        out=tmp_path / "parts",
        dataset=digits,
        report=False,
        verbose=0,
        callbacks=[Stop()],
    )
    assert (stopped.status, stopped.epochs_done) == ("interrupted", 1)
    parts = resume(stopped.path, dataset=digits, report=False, verbose=0)
    assert parts.history["loss"] == whole.history["loss"]
    for ours, theirs in zip(parts.model().get_weights(), whole.model().get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_another_optimizer_does_not_get_the_recipes_learning_rate():
    from penmark.runs.training import _fresh_model

    recipe = recipes.get("reader")
    settings = TrainingSettings(recipe="reader", data="digits", schedule="constant")
    dataset = load_data("digits")
    own_rate = _fresh_model(settings, recipe, dataset).optimizer
    sgd = _fresh_model(dataclasses.replace(settings, optimizer="sgd"), recipe, dataset).optimizer
    assert float(own_rate.learning_rate) == pytest.approx(0.003)
    assert float(sgd.learning_rate) == pytest.approx(0.01)
