"""Two lines speed up a Keras script; everything else in it stays as it was."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import penmark
from penmark.engine import choice
from penmark.errors import InputError

pytestmark = pytest.mark.usefixtures("path")


def script_model():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4, 4)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(12, "relu"),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_an_accelerated_model_trains_as_keras_trains_it(rng):
    images = rng.integers(0, 256, (60, 4, 4), dtype=np.uint8)
    labels = rng.integers(0, 3, 60)
    plain, fast = script_model(), penmark.accelerate(script_model())

    theirs = plain.fit(images, labels, 20, 3, 0, shuffle=False)
    ours = fast.fit(images, labels, 20, 3, 0, shuffle=False)

    np.testing.assert_allclose(ours.history["loss"], theirs.history["loss"], rtol=1e-4)
    np.testing.assert_allclose(
        fast.predict(images, verbose=0), plain.predict(images, verbose=0), atol=1e-4
    )
    assert fast.evaluate(images, labels, verbose=0) == pytest.approx(
        plain.evaluate(images, labels, verbose=0), rel=1e-3
    )


def test_it_is_the_same_model_and_saves_as_such(rng, tmp_path):
    model = script_model()
    images = rng.integers(0, 256, (5, 4, 4), dtype=np.uint8)
    assert penmark.accelerate(model) is model
    model.fit(images, np.arange(5) % 3, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(images, verbose=0), model.predict(images), rtol=1e-5)


def test_what_is_not_covered_still_runs(rng, monkeypatch):
    monkeypatch.setattr(choice, "say_once", lambda line: None)
    images = rng.integers(0, 256, (20, 4, 4), dtype=np.uint8)
    model = penmark.accelerate(script_model())
    model.compile(keras.optimizers.Lion(), "sparse_categorical_crossentropy")
    history = model.fit(images, np.arange(20) % 3, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2


def test_only_models_are_accelerated():
    with pytest.raises(InputError, match="takes a keras.Model; got int"):
        penmark.accelerate(3)
