"""`penmark.fit(augment=...)`: other images every epoch, on both engines, and when resumed."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import penmark
from penmark.errors import DataError, InputError


def small_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4, 4)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (40, 4, 4), dtype=np.uint8)


LABELS = np.arange(40) % 3


def noisy(x, y, seed, epoch):
    rng = np.random.default_rng([seed, epoch])
    return rng.permuted(x, axis=0), np.full_like(y, 1 / 3) * 0.5 + y * 0.5


@pytest.mark.parametrize("engine", ["native", "keras"])
def test_it_is_asked_every_epoch_with_what_is_trained_on(engine, images):
    asked = []

    def watch(x, y, seed, epoch):
        asked.append((x.shape, y.shape, y.dtype, seed, epoch))
        return x, y

    penmark.fit(
        small_model(), images, LABELS, engine=engine, seed=9, epochs=3, initial_epoch=1,
        validation_split=0.25, augment=watch, verbose=0,
    )  # fmt: skip
    assert asked == [((30, 4, 4), (30, 3), np.float32, 9, epoch) for epoch in (1, 2)]


def test_both_engines_train_on_the_same_images(images):
    losses = {}
    for engine in ("native", "keras"):
        history = penmark.fit(
            small_model(), images, LABELS, engine=engine, seed=1, epochs=4, batch_size=8,
            augment=noisy, verbose=0,
        )  # fmt: skip
        losses[engine] = history.history["loss"]
    assert losses["native"] == pytest.approx(losses["keras"], rel=1e-4)
    plain = penmark.fit(
        small_model(), images, LABELS, seed=1, epochs=4, batch_size=8, verbose=0
    ).history["loss"]
    assert losses["native"] != pytest.approx(plain, rel=1e-2)


@pytest.mark.parametrize("engine", ["native", "keras"])
def test_training_in_two_parts_gives_the_same(engine, images):
    common = dict(engine=engine, seed=1, batch_size=8, augment=noisy, verbose=0)
    whole, parts = small_model(), small_model()
    penmark.fit(whole, images, LABELS, epochs=4, **common)
    penmark.fit(parts, images, LABELS, epochs=2, **common)
    penmark.fit(parts, images, LABELS, epochs=4, initial_epoch=2, **common)
    for ours, theirs in zip(parts.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("engine", ["native", "keras"])
def test_other_shapes_are_refused(engine, images):
    with pytest.raises(DataError, match="it must keep the shapes"):
        penmark.fit(
            small_model(), images, LABELS, engine=engine, verbose=0,
            augment=lambda x, y, seed, epoch: (x[1:], y[1:]),
        )  # fmt: skip


def test_images_that_are_no_array_are_refused(images):
    with pytest.raises(InputError, match="augment needs images in an array; got list"):
        penmark.fit(small_model(), images.tolist(), LABELS, augment=noisy)
