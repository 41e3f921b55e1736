"""The core against Keras: same weights and batches; the same outputs, losses and weights after."""

import numpy as np
import pytest

pytest.importorskip("penmark.engine._core", reason="the native core is not built")
keras = pytest.importorskip("keras")

import penmark  # noqa: E402
from penmark.engine import native  # noqa: E402

L, O = keras.layers, keras.optimizers  # noqa: E741
SPARSE = "sparse_categorical_crossentropy"


def mlp(activation="relu", units=10, last="softmax"):
    return keras.Sequential(
        [
            L.Input((7, 5)),
            L.Rescaling(1 / 255),
            L.Flatten(),
            L.Dense(33, activation=activation),
            L.Dense(units, activation=last),
        ]
    )


def conv(channels=3, **options):
    return keras.Sequential(
        [
            L.Input((12, 10, channels)),
            L.Rescaling(1 / 127.5, -1),
            L.Conv2D(7, 3, activation="relu", **options),
            L.Conv2D(20, 3, activation="tanh", **options),
            L.MaxPooling2D(2, padding="same"),
            L.Flatten(),
            L.Dense(10, activation="softmax"),
        ]
    )


def residual():
    image = L.Input((8, 8, 3))
    x = L.Conv2D(8, 3, padding="same", use_bias=False)(L.Rescaling(1 / 255)(image))
    x = L.ReLU()(L.BatchNormalization(momentum=0.9)(x))
    y = L.Conv2D(8, 3, padding="same", use_bias=False)(x)
    y = L.BatchNormalization()(y, training=False)  # `fit` overrules it, also in Keras
    y = L.Activation("gelu")(L.Add()([x, y]))
    y = L.GlobalAveragePooling2D()(L.AveragePooling2D(3, 2, padding="same")(y))
    return keras.Model(image, L.Softmax()(L.Dense(10)(y)))


def ten_batches(model, labels, n=75, batch=15, **fit_arguments):
    """Train the model in the core and its twin in Keras for two epochs of five batches; compare."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, *model.input_shape[1:]), dtype=np.uint8)
    y = labels(rng, n)
    twin = keras.models.clone_model(model)
    twin.compile(
        O.deserialize(O.serialize(model.optimizer)), model.loss, metrics=model_metrics(model)
    )
    twin.set_weights(model.get_weights())
    assert native.unsupported_reason(model) is None
    np.testing.assert_allclose(native.predict(model, x), twin.predict(x, verbose=0), atol=1e-5)
    ours = penmark.fit(
        model,
        x,
        y,
        engine="native",
        batch_size=batch,
        epochs=2,
        shuffle=False,
        verbose=0,
        **fit_arguments,
    )
    theirs = twin.fit(x, y, batch_size=batch, epochs=2, shuffle=False, verbose=0, **fit_arguments)
    assert ours.history.keys() == theirs.history.keys()
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, atol=1e-4, rtol=1e-4, err_msg=name)
    # Adam divides by the root of a squared gradient: where that is near zero, rounding is enlarged.
    for ours_w, theirs_w in zip(model.weights, twin.weights, strict=True):
        np.testing.assert_allclose(ours_w.numpy(), theirs_w.numpy(), atol=2e-4, rtol=1e-3)
    for ours_v, theirs_v in zip(model.optimizer.variables, twin.optimizer.variables, strict=True):
        np.testing.assert_allclose(ours_v.numpy(), theirs_v.numpy(), atol=2e-4, rtol=1e-3)
    scores = twin.evaluate(x, y, return_dict=True, verbose=0)
    assert native.evaluate(model, x, y, return_dict=True) == pytest.approx(scores, abs=2e-4)


def model_metrics(model):
    metrics = model.get_compile_config()["metrics"]
    return [m if isinstance(m, str) else keras.metrics.deserialize(m) for m in metrics]


def classes(rng, n):
    return rng.integers(0, 10, n)


def one_hot(rng, n):
    return np.eye(10, dtype=np.float32)[classes(rng, n)]


def bits(units):
    return lambda rng, n: rng.integers(0, 2, (n, units)).astype(np.float32)


OPTIMIZERS = {
    "sgd": lambda: O.SGD(0.1, weight_decay=0.01),
    "momentum": lambda: O.SGD(0.05, 0.9),
    "nesterov": lambda: O.SGD(0.05, 0.9, nesterov=True),
    "rmsprop": lambda: O.RMSprop(1e-3, centered=True, momentum=0.5),
    "adagrad": lambda: O.Adagrad(0.01),
    "adadelta": lambda: O.Adadelta(1.0),
    "adam": lambda: O.Adam(epsilon=1e-5),
    "amsgrad": lambda: O.Adam(amsgrad=True, epsilon=1e-5, clipvalue=0.01),
    "adamw": lambda: O.AdamW(1e-3, weight_decay=0.01, epsilon=1e-5),
    "clipnorm": lambda: O.SGD(0.1, clipnorm=0.1),
    "global_clipnorm": lambda: O.SGD(0.1, global_clipnorm=0.1),
    "exponential": lambda: O.SGD(O.schedules.ExponentialDecay(0.1, 3, 0.5)),
    "cosine": lambda: O.SGD(O.schedules.CosineDecay(0.1, 8)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    model = mlp()
    model.compile(OPTIMIZERS[name](), SPARSE, metrics=["accuracy"])
    ten_batches(model, classes)


@pytest.mark.parametrize(
    "options",
    [{}, {"padding": "same"}, {"strides": 2}, {"padding": "same", "strides": 2, "use_bias": False}],
)
def test_convolutions(options):
    model = conv(**options)
    model.compile(O.SGD(0.05), SPARSE, metrics=["accuracy"])
    ten_batches(model, classes)


def test_functional_with_residual_and_batch_normalization():
    model = residual()
    model.compile(O.SGD(0.05), SPARSE, metrics=["accuracy"])
    ten_batches(model, classes)


@pytest.mark.parametrize("activation", ["leaky_relu", "silu", "elu", "gelu"])
def test_activations(activation):
    model = mlp(activation)
    model.compile(O.SGD(0.05), SPARSE, metrics=["acc"])
    ten_batches(model, classes)


def test_losses_and_metrics():
    top = keras.metrics.TopKCategoricalAccuracy(3)
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    cases = [
        (mlp(), smooth, ["accuracy", top], one_hot),
        (mlp(), "mse", ["accuracy"], one_hot),
        (mlp(units=1, last="sigmoid"), "binary_crossentropy", ["accuracy"], bits(1)),
        (
            mlp(units=4, last="sigmoid"),
            keras.losses.BinaryCrossentropy(label_smoothing=0.2),
            ["binary_accuracy"],
            bits(4),
        ),
        (
            mlp(last=None),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            ["sparse_top_k_categorical_accuracy"],
            classes,
        ),
    ]
    for model, loss, metrics, labels in cases:
        model.compile(O.SGD(0.1), loss, metrics=metrics)
        ten_batches(model, labels)


def test_weights_of_classes_and_samples():
    for arguments in (
        {"class_weight": {0: 2.0, 3: 0.5}},
        {"sample_weight": np.linspace(0, 2, 75, dtype=np.float32)},
        {"validation_split": 0.2},
    ):
        model = mlp()
        model.compile(O.SGD(0.1), SPARSE, metrics=["accuracy"])
        if "validation_split" in arguments:
            x = np.random.default_rng(0).integers(0, 256, (75, 7, 5), dtype=np.uint8)
            y = np.arange(75) % 10
            twin = keras.models.clone_model(model)
            twin.compile(O.SGD(0.1), SPARSE, metrics=["accuracy"])
            twin.set_weights(model.get_weights())
            ours = penmark.fit(model, x, y, engine="native", shuffle=False, verbose=0, **arguments)
            theirs = twin.fit(x, y, verbose=0, shuffle=False, **arguments)
            for name, values in theirs.history.items():
                np.testing.assert_allclose(ours.history[name], values, atol=1e-4)
        else:
            ten_batches(model, classes, **arguments)
