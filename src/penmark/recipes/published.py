"""The published networks, layer by layer.

`Dense(..., dtype="float32")` ends every network: with mixed precision the probabilities and the
loss still need all their digits.
"""

from __future__ import annotations

from typing import Any

from penmark.recipes.recipe import Recipe

ImageShape = tuple[int, ...]


def _sequential(name: str, image_shape: ImageShape, layers: list[Any]) -> Any:
    from penmark.engine.backend import keras

    return keras.Sequential([keras.Input(image_shape, name="image"), *layers], name=name)


def _class_probabilities(num_classes: int) -> Any:
    from penmark.engine.backend import keras

    return keras.layers.Dense(
        num_classes, activation="softmax", dtype="float32", name="probabilities"
    )


def _softmax(image_shape: ImageShape, num_classes: int) -> Any:
    from penmark.engine.backend import keras

    layers = keras.layers
    return _sequential(
        "softmax",
        image_shape,
        [layers.Flatten(name="flatten"), _class_probabilities(num_classes)],
    )


def _mlp_relu(image_shape: ImageShape, num_classes: int) -> Any:
    from penmark.engine.backend import keras

    layers = keras.layers
    return _sequential(
        "mlp_relu",
        image_shape,
        [
            layers.Flatten(name="flatten"),
            layers.Dense(784, activation="relu", name="dense_1"),
            layers.Dense(32, activation="relu", name="dense_2"),
            _class_probabilities(num_classes),
        ],
    )


def _mlp_dropout(image_shape: ImageShape, num_classes: int) -> Any:
    from penmark.engine.backend import keras

    layers = keras.layers
    return _sequential(
        "mlp_dropout",
        image_shape,
        [
            layers.Rescaling(1 / 255, name="rescaling"),
            layers.Flatten(name="flatten"),
            layers.Dense(512, activation="relu", name="dense_1"),
            layers.Dropout(0.2, name="dropout_1"),
            layers.Dense(512, activation="relu", name="dense_2"),
            layers.Dropout(0.2, name="dropout_2"),
            _class_probabilities(num_classes),
        ],
    )


def _mlp_sigmoid(image_shape: ImageShape, num_classes: int) -> Any:
    from penmark.engine.backend import keras

    layers = keras.layers
    return _sequential(
        "mlp_sigmoid",
        image_shape,
        [
            layers.Flatten(name="flatten"),
            layers.Dense(784, activation="sigmoid", name="dense_1"),
            layers.Dense(800, activation="sigmoid", name="dense_2"),
            _class_probabilities(num_classes),
        ],
    )


def _cnn(image_shape: ImageShape, num_classes: int) -> Any:
    from penmark.engine.backend import keras

    layers = keras.layers
    # Convolution wants a channel axis; gray images come without one.
    channels = [layers.Reshape((*image_shape, 1), name="channel")] if len(image_shape) == 2 else []
    return _sequential(
        "cnn",
        image_shape,
        [
            *channels,
            layers.Conv2D(32, 3, activation="relu", name="conv_1"),
            layers.Conv2D(32, 3, activation="relu", name="conv_2"),
            layers.MaxPooling2D(2, name="pool_1"),
            layers.Conv2D(64, 3, activation="relu", name="conv_3"),
            layers.Conv2D(64, 3, activation="relu", name="conv_4"),
            layers.MaxPooling2D(2, name="pool_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(1024, activation="sigmoid", name="dense_1"),
            layers.Dropout(0.2, name="dropout_1"),
            layers.Dense(1024, activation="sigmoid", name="dense_2"),
            layers.Dropout(0.2, name="dropout_2"),
            _class_probabilities(num_classes),
        ],
    )


PUBLISHED = (
    Recipe(
        name="softmax",
        network="Dense 10 softmax",
        make_network=_softmax,
        optimizer="sgd",
        batch_size=32,
        epochs=20,
        published_accuracy=(0.92, 0.93),
    ),
    Recipe(
        name="mlp-relu",
        network="Dense 784 relu, Dense 32 relu, Dense 10 softmax",
        make_network=_mlp_relu,
        optimizer="sgd",
        batch_size=500,
        epochs=20,
        validation_split=0.1,
        published_accuracy=(0.95, 0.98),
        # The exact gradient of its first batches, on raw pixels at a rate of 0.01, is so large
        # that the weights overflow (3 of 4 seeds) or every relu dies; the Keras it was published
        # with left badly wrong images out of the gradient, and so it learns.
        loss_from="probabilities",
    ),
    Recipe(
        name="mlp-dropout",
        network="(Dense 512 relu, Dropout 0.2) twice, Dense 10 softmax",
        make_network=_mlp_dropout,
        optimizer="adam",
        batch_size=128,
        epochs=4,
        pixels="0-1",
        published_accuracy=(0.9787, 0.9787),
    ),
    Recipe(
        name="mlp-sigmoid",
        network="Dense 784 sigmoid, Dense 800 sigmoid, Dense 10 softmax",
        make_network=_mlp_sigmoid,
        optimizer="adam",
        batch_size=64,
        epochs=5,
        published_accuracy=(0.9451, 0.9451),
    ),
    Recipe(
        name="cnn",
        network="(Conv 32 3×3 relu) twice, MaxPool 2, (Conv 64 3×3 relu) twice, MaxPool 2, "
        "(Dense 1024 sigmoid, Dropout 0.2) twice, Dense 10 softmax",
        make_network=_cnn,
        optimizer="adam",
        batch_size=32,
        epochs=2,
        published_accuracy=(0.9910, 0.9910),
        # Two 3×3 convolutions and a halving, twice: 16 -> 14 -> 12 -> 6 -> 4 -> 2 -> 1.
        smallest_image_px=16,
    ),
)
