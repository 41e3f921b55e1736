"""What the native core must compute, layer by layer: the typed form of a model's configuration.

`spec_reader.read_model` makes it from a serialized Keras configuration, without importing Keras.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

Config = Mapping[str, Any]
Shape = tuple[int, ...]  # of one image or one row of features, without the batch axis


class Unsupported(Exception):
    """The native core does not cover something; the text names it."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of the model.

    Args:
        name: Keras's name of the layer.
        inputs: names of the layers whose outputs it takes.
        output_shape: shape of its output for one image.
        bfloat16: its policy is `mixed_bfloat16`: matrix products take bfloat16, all else float32.
    """

    name: str
    inputs: tuple[str, ...]
    output_shape: Shape
    bfloat16: bool = dataclasses.field(default=False, kw_only=True)


@dataclasses.dataclass(frozen=True)
class Input(Layer):
    """Where the images come in."""


@dataclasses.dataclass(frozen=True)
class Dense(Layer):
    units: int
    use_bias: bool
    activation: str
    trainable: bool


@dataclasses.dataclass(frozen=True)
class Conv2D(Layer):
    filters: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    padding: str
    use_bias: bool
    activation: str
    trainable: bool


@dataclasses.dataclass(frozen=True)
class Pooling(Layer):
    takes_max: bool
    pool_size: tuple[int, int]
    strides: tuple[int, int]
    padding: str


@dataclasses.dataclass(frozen=True)
class GlobalAveragePooling(Layer):
    pass


@dataclasses.dataclass(frozen=True)
class Activation(Layer):
    """`activation` is a name of the core, or "softmax"; `alpha` the slope or scale it takes."""

    activation: str
    alpha: float


@dataclasses.dataclass(frozen=True)
class Dropout(Layer):
    rate: float


@dataclasses.dataclass(frozen=True)
class BatchNormalization(Layer):
    momentum: float
    epsilon: float
    center: bool
    scale: bool
    trainable: bool


@dataclasses.dataclass(frozen=True)
class Add(Layer):
    pass


@dataclasses.dataclass(frozen=True)
class Rescaling(Layer):
    scale: float
    offset: float


@dataclasses.dataclass(frozen=True)
class Reshape(Layer):
    """Flatten too."""


@dataclasses.dataclass(frozen=True)
class RandomWarp(Layer):
    """RandomTranslation, RandomRotation or RandomZoom: ranges (low, high), zero for none."""

    shift_height: tuple[float, float] = (0.0, 0.0)
    shift_width: tuple[float, float] = (0.0, 0.0)
    turn: tuple[float, float] = (0.0, 0.0)
    zoom_height: tuple[float, float] = (0.0, 0.0)
    zoom_width: tuple[float, float] | None = None
    fill_mode: str = "reflect"
    fill_value: float = 0.0
    interpolation: str = "bilinear"


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """A model for the core: its layers in an order in which each comes after its inputs."""

    name: str
    layers: tuple[Layer, ...]
    output: str

    @property
    def input_shape(self) -> Shape:
        return self.layers[0].output_shape

    @property
    def output_layer(self) -> Layer:
        return next(layer for layer in self.layers if layer.name == self.output)


# Keras's names and the core's, with the constant that the function of that name takes.
ACTIVATIONS: Mapping[str, tuple[str, float]] = {
    "linear": ("linear", 0.0),
    "relu": ("relu", 0.0),
    "sigmoid": ("sigmoid", 0.0),
    "tanh": ("tanh", 0.0),
    "softmax": ("softmax", 0.0),
    "gelu": ("gelu", 0.0),
    "silu": ("silu", 0.0),
    "swish": ("silu", 0.0),
    "elu": ("elu", 1.0),
    "selu": ("selu", 0.0),
    "leaky_relu": ("leaky_relu", 0.2),
    "softplus": ("softplus", 0.0),
    "softsign": ("softsign", 0.0),
    "exponential": ("exponential", 0.0),
    "hard_sigmoid": ("hard_sigmoid", 0.0),
    "relu6": ("relu6", 0.0),
}
