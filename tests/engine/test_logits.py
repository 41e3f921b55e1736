"""The cross-entropy is taken from the logits, and nobody but the loss notices."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import penmark
from penmark.engine.logits import LogitsView, logits_view
from penmark.errors import InputError

pytestmark = pytest.mark.usefixtures("path")


def raw_pixel_problem(rng, n=64, classes=5):
    """Bright images whose logits saturate softmax: probabilities of exactly 0 occur."""
    images = rng.integers(0, 256, size=(n, 6, 6), dtype=np.uint8)
    return images, rng.integers(0, classes, size=n)


def softmax_model(classes=5, *, kernel=None, learning_rate=0.01):
    model = keras.Sequential(
        [
            keras.Input((6, 6)),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    if kernel is not None:
        model.layers[-1].set_weights([kernel, np.zeros(classes)])
    model.compile(
        keras.optimizers.SGD(learning_rate), "categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def test_one_step_of_gradient_descent_on_saturated_probabilities_is_the_textbook_step(rng):
    images, labels = raw_pixel_problem(rng)
    kernel = rng.normal(size=(36, 5))
    model = softmax_model(kernel=kernel, learning_rate=1e-4)
    start = model.layers[-1].get_weights()[0].astype(np.float64)
    assert (penmark.predict(model, images) == 0).any()

    penmark.fit(model, images, labels, batch_size=64, epochs=1, verbose=0, seed=0)

    x = images.reshape(64, -1).astype(np.float64)
    error = np.exp(log_softmax(x @ start)) - np.eye(5)[labels]
    expected = start - 1e-4 * x.T @ error / 64
    np.testing.assert_allclose(model.layers[-1].get_weights()[0], expected, rtol=1e-5, atol=1e-6)


def test_loss_is_not_capped_by_clipping(rng):
    images, labels = raw_pixel_problem(rng)
    kernel = rng.normal(size=(36, 5))
    model = softmax_model(kernel=kernel)
    logits = images.reshape(64, -1).astype(np.float64) @ kernel
    expected = -log_softmax(logits)[np.arange(64), labels].mean()

    loss, accuracy = penmark.evaluate(model, images, labels)

    assert expected > 16.2  # -log(1e-7), where clipped probabilities end
    assert loss == pytest.approx(expected, rel=1e-4)
    assert accuracy == pytest.approx(np.mean(logits.argmax(axis=1) == labels))


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        (
            keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        ),
        (
            keras.losses.SparseCategoricalCrossentropy(),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        ),
        (
            "sparse_categorical_crossentropy",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        ),
    ],
)
@pytest.mark.parametrize("ending", ["activation", "softmax_layer", "activation_layer"])
def test_ten_steps_follow_a_model_that_keras_trains_from_logits(rng, loss, reference, ending):
    images, labels = raw_pixel_problem(rng, n=70)
    if isinstance(loss, keras.losses.CategoricalCrossentropy):
        labels = np.eye(5, dtype=np.float32)[labels]
    kernel = rng.normal(scale=0.01, size=(36, 5))
    endings = {
        "activation": [keras.layers.Dense(5, activation="softmax")],
        "softmax_layer": [keras.layers.Dense(5), keras.layers.Softmax()],
        "activation_layer": [keras.layers.Dense(5), keras.layers.Activation("softmax")],
    }
    start = [keras.Input((6, 6)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    model = keras.Sequential([*start, *endings[ending]])
    model.compile("adam", loss)
    expected = keras.Sequential(
        [*start[:1], keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(5)]
    )
    expected.compile("adam", reference)
    for net in (model, expected):
        net.set_weights([kernel, np.zeros(5)])

    history = penmark.fit(
        model, images, labels, batch_size=32, epochs=4, shuffle=False, verbose=0, seed=0
    )
    reference_history = expected.fit(
        images, labels, batch_size=32, epochs=4, shuffle=False, verbose=0
    )

    np.testing.assert_allclose(
        history.history["loss"], reference_history.history["loss"], rtol=1e-5
    )
    for ours, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_binary_crossentropy_of_a_saturated_sigmoid(rng):
    images = rng.integers(0, 256, size=(50, 6, 6), dtype=np.uint8)
    labels = rng.integers(0, 2, size=50)
    model = keras.Sequential(
        [keras.Input((6, 6)), keras.layers.Flatten(), keras.layers.Dense(1, activation="sigmoid")]
    )
    kernel = rng.normal(size=(36, 1))
    model.layers[-1].set_weights([kernel, np.zeros(1)])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    logits = (images.reshape(50, -1) @ kernel)[:, 0]

    loss, accuracy = penmark.evaluate(model, images, labels)

    assert loss == pytest.approx(
        np.logaddexp(0, np.where(labels == 1, -logits, logits)).mean(), rel=1e-4
    )
    assert accuracy == pytest.approx(np.mean((logits > 0) == (labels == 1)))


def test_callbacks_see_the_users_model_and_can_stop_and_save_it(rng, tmp_path):
    images, labels = raw_pixel_problem(rng)
    model = softmax_model()
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((self.model, self.model.get_weights()[0].copy()))

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "at-epoch.keras")
    history = penmark.fit(
        model, images, labels, batch_size=32, epochs=9, callbacks=[Watch(), checkpoint], verbose=0
    )

    assert history is model.history
    assert history.epoch == [0, 1]
    assert [model_seen is model for model_seen, _ in seen] == [True] * 4
    # In mid-epoch the weights are there and move.
    assert not np.array_equal(seen[0][1], seen[1][1])
    assert "jax_state_sync" not in vars(model)
    saved = keras.saving.load_model(tmp_path / "at-epoch.keras")
    assert saved.layers[-1].activation is keras.activations.softmax
    np.testing.assert_array_equal(
        saved.predict(images, verbose=0), model.predict(images, verbose=0)
    )


def test_learning_rate_set_by_a_callback_takes_effect(rng):
    images, labels = raw_pixel_problem(rng)
    model = softmax_model()
    start = model.get_weights()[0]
    zero = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    penmark.fit(model, images, labels, epochs=2, callbacks=[zero], verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], start)


def test_optimizer_state_belongs_to_the_users_model(rng):
    images, labels = raw_pixel_problem(rng)
    model = softmax_model()
    model.compile("adam", "categorical_crossentropy")
    penmark.fit(model, images, labels, batch_size=16, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 8


def test_a_view_is_kept_while_the_model_is_compiled_the_same_way():
    model = softmax_model()
    view = logits_view(model)
    assert isinstance(view, LogitsView)
    assert logits_view(model) is view
    model.compile(model.optimizer, "sparse_categorical_crossentropy")
    assert logits_view(model) is not view


@pytest.mark.parametrize("case", ["other loss", "already logits", "two outputs", "subclass"])
def test_models_that_need_no_view_are_trained_as_they_are(case):
    image = keras.Input((6, 6))
    scores = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(image))
    model = keras.Model(image, scores)
    loss = keras.losses.CategoricalCrossentropy()
    if case == "other loss":
        loss = "mean_squared_error"
    elif case == "already logits":
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    elif case == "two outputs":
        model = keras.Model(image, [scores, scores])
    else:

        class Subclass(keras.Model):
            def __init__(self):
                super().__init__()
                self.dense = keras.layers.Dense(3, activation="softmax")

            def call(self, x):
                return self.dense(keras.ops.reshape(x, (-1, 36)))

        model = Subclass()
    model.compile("sgd", loss)
    assert logits_view(model) is model


def test_loss_from_probabilities_is_keras_on_clipped_probabilities(rng):
    """The reference is Keras itself: on JAX its cross-entropy clips probabilities."""
    images, labels = raw_pixel_problem(rng)
    one_hot = np.eye(5, dtype=np.float32)[labels]
    kernel = rng.normal(size=(36, 5))
    models = [softmax_model(kernel=kernel) for _ in range(2)]
    ours = penmark.fit(
        models[0], images, labels, loss_from="probabilities",
        batch_size=32, epochs=3, shuffle=False, verbose=0,
    )  # fmt: skip
    theirs = models[1].fit(images, one_hot, batch_size=32, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(ours.history["loss"], theirs.history["loss"], rtol=1e-5)
    np.testing.assert_allclose(
        models[0].get_weights()[0], models[1].get_weights()[0], rtol=1e-4, atol=1e-5
    )


def test_clipping_is_for_categorical_cross_entropy():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    images = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match="is for categorical ones"):
        penmark.fit(model, images, np.zeros(4), loss_from="probabilities", verbose=0)
