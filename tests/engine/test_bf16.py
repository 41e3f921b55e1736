"""Models under `mixed_bfloat16`: the core does what Keras does, as near as 8 bits are."""

import numpy as np
import pytest
from ml_dtypes import bfloat16

pytest.importorskip("penmark.engine._core", reason="the native core is not built")
keras = pytest.importorskip("keras")

import penmark  # noqa: E402
from penmark.engine import native  # noqa: E402
from penmark.engine.native_model import NativeModel  # noqa: E402

L, O = keras.layers, keras.optimizers  # noqa: E741
SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture
def mixed():
    before = keras.config.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def convolutional(last_dtype="float32", **options):
    model = keras.Sequential(
        [
            L.Input((14, 12, 1)),
            L.Rescaling(1 / 255),
            L.Conv2D(7, 3, activation="relu", **options),
            L.BatchNormalization(),
            L.Conv2D(20, 3, activation="tanh", **options),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(24, "sigmoid"),
            L.Dense(10, "softmax", dtype=last_dtype),
        ]
    )
    model.compile(O.Adam(0.01, epsilon=1e-3), SPARSE, metrics=["accuracy"])
    return model


def data(shape=(14, 12, 1), n=75):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), rng.integers(0, 10, n)


def twin_of(model):
    twin = keras.models.clone_model(model)
    twin.compile(O.deserialize(O.serialize(model.optimizer)), model.loss, metrics=["accuracy"])
    twin.set_weights(model.get_weights())
    return twin


class Losses(keras.callbacks.Callback):
    """Mean loss of an epoch's batches so far, after each."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(logs["loss"])


@pytest.mark.parametrize("options", [{}, {"padding": "same", "strides": 2}])
def test_ten_steps_follow_keras(mixed, options):
    model = convolutional(**options)
    twin = twin_of(model)
    x, y = data()
    assert native.unsupported_reason(model) is None
    losses = []
    for fit, of in ((lambda *a, **o: penmark.fit(*a, engine="native", **o), model),
                    (keras.Model.fit, twin)):  # fmt: skip
        watcher = Losses()
        fit(of, x, y, batch_size=15, epochs=2, shuffle=False, verbose=0, callbacks=[watcher])
        losses.append(watcher.seen)
    assert len(losses[0]) == 10
    # Keras rounds activations to 8 bits too, the core their products' operands only.
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.02)
    for ours, theirs in zip(model.weights, twin.weights, strict=True):
        assert ours.numpy().dtype == np.float32
        if len(ours.shape) > 1:  # the true gradient of a bias before normalization is zero
            distance = np.linalg.norm(ours.numpy() - theirs.numpy())
            assert distance <= 0.05 * np.linalg.norm(theirs.numpy())


@pytest.mark.parametrize("last_dtype, expected", [("float32", np.float32), (None, bfloat16)])
def test_predictions_have_the_type_and_the_values_of_keras(mixed, last_dtype, expected):
    model = convolutional(last_dtype)
    x, y = data()
    ours, theirs = penmark.predict(model, x), model.predict(x, verbose=0)
    assert ours.dtype == theirs.dtype == expected
    np.testing.assert_allclose(ours.astype(np.float32), theirs.astype(np.float32), atol=0.01)
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    assert native.evaluate(model, x, y, return_dict=True)["loss"] == pytest.approx(
        scores["loss"], rel=0.01
    )


def test_a_file_answers_as_the_model(mixed, tmp_path):
    model = convolutional(None)
    path = tmp_path / "model.keras"
    model.save(path)
    x, _ = data()
    from_file = NativeModel.from_file(path).predict(x)
    assert from_file.dtype == bfloat16
    np.testing.assert_array_equal(from_file, native.predict(model, x))


def test_only_layers_of_that_policy_round(mixed):
    x, _ = data((6, 6, 1))
    mixed_model = keras.Sequential([L.Input((6, 6, 1)), L.Flatten(), L.Dense(4)])
    exact = keras.Sequential([L.Input((6, 6, 1)), L.Flatten(), L.Dense(4, dtype="float32")])
    exact.set_weights(mixed_model.get_weights())
    kernel, bias = exact.get_weights()
    flat = x.reshape(len(x), -1).astype(np.float32)
    np.testing.assert_allclose(
        penmark.predict(exact, x), flat @ kernel + bias, rtol=1e-4, atol=1e-3
    )
    rounded = flat @ kernel.astype(bfloat16).astype(np.float32) + bias  # pixels have 8 bits
    ours = penmark.predict(mixed_model, x)
    np.testing.assert_allclose(ours.astype(np.float32), rounded, rtol=2**-8, atol=1e-3)


def test_other_policies_are_left_to_keras():
    for policy in ("mixed_float16", "bfloat16", "float16"):
        model = keras.Sequential([L.Input((36,)), L.Dense(10, dtype=policy, name="d")])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        assert native.unsupported_reason(model) == f"dtype={policy!r} of the layer 'd'"


def test_digits_are_learned_as_well_as_in_float32(mixed):
    from penmark.data import load_data

    digits = load_data("digits")
    accuracies = []
    for policy in ("mixed_bfloat16", "float32"):
        keras.mixed_precision.set_global_policy(policy)
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                L.Input((28, 28)),
                L.Rescaling(1 / 255),
                L.Reshape((28, 28, 1)),
                L.Conv2D(8, 3, strides=2, activation="relu"),
                L.Conv2D(16, 3, activation="relu"),
                L.MaxPooling2D(2),
                L.Flatten(),
                L.Dropout(0.2),
                L.Dense(32, "relu"),
                L.Dense(10, "softmax", dtype="float32"),
            ]
        )
        model.compile(O.Adam(3e-3), SPARSE, metrics=["accuracy"])
        penmark.fit(
            model, digits.x_train, digits.y_train, engine="native", epochs=5, seed=0, verbose=0
        )
        scores = penmark.evaluate(model, digits.x_test, digits.y_test, return_dict=True)
        accuracies.append(scores["accuracy"])
    assert min(accuracies) > 0.9
    assert abs(accuracies[0] - accuracies[1]) < 0.03
