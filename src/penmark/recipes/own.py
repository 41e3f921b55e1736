"""penmark's own networks: `reader`, for handwriting on real pictures, and `quick`."""

from __future__ import annotations

from typing import Any

from penmark.recipes.augmentation import varied_handwriting
from penmark.recipes.recipe import Recipe


def _network(
    name: str,
    image_shape: tuple[int, ...],
    num_classes: int,
    layers: list[Any],
    activation: str = "softmax",
) -> Any:
    from penmark.engine.backend import keras

    channels = (
        [keras.layers.Reshape((*image_shape, 1), name="channel")] if len(image_shape) == 2 else []
    )
    return keras.Sequential(
        [
            keras.Input(image_shape, name="image"),
            keras.layers.Rescaling(1 / 255, name="rescaling"),
            *channels,
            *layers,
            keras.layers.Dense(
                num_classes, activation=activation, dtype="float32", name="probabilities"
            ),
        ],
        name=name,
    )


def _normalized_conv(number: int, filters: int, kernel_size: int, strides: int = 1) -> list[Any]:
    """Convolution, batch normalization, ReLU; the normalization's shift stands in for a bias."""
    from penmark.engine.backend import keras

    layers = keras.layers
    return [
        layers.Conv2D(filters, kernel_size, strides=strides, use_bias=False, name=f"conv_{number}"),
        layers.BatchNormalization(momentum=0.9, name=f"norm_{number}"),
        layers.ReLU(name=f"relu_{number}"),
    ]


def _reader(image_shape: tuple[int, ...], num_classes: int) -> Any:
    from penmark.engine.backend import keras

    layers = keras.layers
    return _network(
        "reader",
        image_shape,
        num_classes,
        [
            layers.Conv2D(32, 3, activation="relu", name="conv_1"),
            *_normalized_conv(2, 32, 3),
            layers.MaxPooling2D(2, name="pool_1"),
            *_normalized_conv(3, 64, 3),
            *_normalized_conv(4, 64, 3),
            *_normalized_conv(5, 128, 3),
            *_normalized_conv(6, 128, 3),
            layers.MaxPooling2D(2, name="pool_2"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.2, name="dropout"),
            layers.Dense(128, activation="relu", name="dense"),
        ],
        # Each digit has a probability of its own, so that none need be likely: a softmax would have
        # to share 1 out among the digits also where there is none.
        activation="sigmoid",
    )


def _quick(image_shape: tuple[int, ...], num_classes: int) -> Any:
    from penmark.engine.backend import keras

    layers = keras.layers
    return _network(
        "quick",
        image_shape,
        num_classes,
        [
            *_normalized_conv(1, 32, 5, strides=2),
            *_normalized_conv(2, 32, 3, strides=2),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="dense"),
        ],
    )


OWN = (
    Recipe(
        name="quick",
        network="Conv 32 5×5 stride 2, Conv 32 3×3 stride 2, Dense 128 relu, Dense 10 softmax; "
        "batch normalization and relu after each convolution",
        make_network=_quick,
        optimizer="adam",
        learning_rate=0.005,
        schedule="one-cycle",
        batch_size=128,
        epochs=4,
        pixels="0-1",
        smallest_image_px=9,
    ),
    Recipe(
        name="reader",
        network="Conv 32 3×3 relu, Conv 32 3×3, MaxPool 2, (Conv 64 3×3) twice, "
        "(Conv 128 3×3) twice, MaxPool 2, Dropout 0.2, Dense 128 relu, Dense 10 sigmoid; "
        "batch normalization and relu after all convolutions but the first",
        make_network=_reader,
        optimizer="adam",
        learning_rate=0.003,
        schedule="one-cycle",
        batch_size=128,
        epochs=30,
        loss="binary_crossentropy",
        validation_split=0.02,
        pixels="0-1",
        smallest_image_px=24,
        augmentation=varied_handwriting,
    ),
)
