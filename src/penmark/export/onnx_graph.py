"""A model as an ONNX graph, written layer by layer from the engine's specification.

ONNX: Open Neural Network Exchange, operator set 17 (https://onnx.ai/onnx/operators/). Keras keeps
an image's channels last, ONNX takes them first: the graph changes over where an operator needs it,
which for the usual network is one Transpose behind the input and one before Flatten.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from penmark.engine import spec
from penmark.engine.spec import ModelSpec, Unsupported

# 17 holds every operator used here, and runtimes from 2022 on know it.
OPSET = 17
IR_VERSION = 8
INPUT = "images"

Weights = Mapping[str, Sequence[NDArray[Any]]]


@dataclasses.dataclass(frozen=True)
class _Value:
    """A tensor of the graph; `channels_first` where Keras's (height, width, channels) is turned."""

    name: str
    shape: spec.Shape
    channels_first: bool = False


def onnx_model(model: ModelSpec, weights: Weights) -> onnx.ModelProto:
    """Write a model as ONNX.

    The input `images` is uint8, (batch, *input shape), raw pixels from 0 to 255; the output is
    float32, (batch, *output shape), called `probabilities` where the model ends in softmax or
    sigmoid and `outputs` otherwise. Any number of images goes through at once. Layers that act in
    training only (Dropout, the random ones) leave nothing in the graph.

    Args:
        model: the layers.
        weights: of each layer, by its name, in Keras's order.

    Raises:
        Unsupported: a layer that has no place in the graph.
        ValueError: the weights do not fit the layers.
    """
    return _Graph(model, weights).finished()


class _Graph:
    def __init__(self, model: ModelSpec, weights: Weights) -> None:
        self._model = model
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._names: set[str] = {INPUT}
        self._turned: dict[str, _Value] = {}
        self._values: dict[str, _Value] = {}
        for layer in model.layers:
            self._values[layer.name] = self._layer(layer)

    def finished(self) -> onnx.ModelProto:
        output = self._keras_order(self._values[self._model.output])
        name = "probabilities" if _gives_probabilities(self._model) else "outputs"
        for node in self._nodes:
            node.input[:] = [name if used == output.name else used for used in node.input]
            node.output[:] = [name if made == output.name else made for made in node.output]
        graph = helper.make_graph(
            self._nodes,
            "penmark",
            [_described(INPUT, TensorProto.UINT8, self._model.input_shape)],
            [_described(name, TensorProto.FLOAT, output.shape)],
            list(self._constants.values()),
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="penmark",
        )

    def _layer(self, layer: spec.Layer) -> _Value:
        if isinstance(layer, spec.Input):
            raw = _Value(INPUT, layer.output_shape)
            return self._add("Cast", layer.name, [raw], raw, to=TensorProto.FLOAT)
        x = self._values[layer.inputs[0]]
        if isinstance(layer, spec.Dense):
            return self._dense(layer, x)
        if isinstance(layer, spec.Conv2D):
            return self._conv2d(layer, x)
        if isinstance(layer, spec.Pooling):
            return self._pooling(layer, x)
        if isinstance(layer, spec.GlobalAveragePooling):
            return self._global_average(layer, x)
        if isinstance(layer, spec.Activation):
            return self._activation(layer.name, x, layer.activation, layer.alpha)
        if isinstance(layer, spec.BatchNormalization):
            return self._batch_normalization(layer, x)
        if isinstance(layer, spec.Add):
            return self._sum(layer)
        if isinstance(layer, spec.Rescaling):
            return self._rescaling(layer, x)
        if isinstance(layer, spec.Reshape):
            return self._reshape(layer.name, self._keras_order(x), layer.output_shape)
        if isinstance(layer, spec.Dropout | spec.RandomWarp):
            return x
        raise Unsupported(f"the layer {layer.name!r} ({type(layer).__name__})")

    def _dense(self, layer: spec.Dense, x: _Value) -> _Value:
        x = self._keras_order(x)
        kernel, *bias = self._weights_of(
            layer, (math.prod(x.shape), layer.units), *([(layer.units,)] if layer.use_bias else [])
        )
        inputs = [x, self._constant(layer.name, "kernel", kernel)]
        inputs += [self._constant(layer.name, "bias", array) for array in bias]
        made = self._add("Gemm", layer.name, inputs, _Value("", layer.output_shape))
        return self._activation(layer.name, made, *spec.ACTIVATIONS[layer.activation])

    def _conv2d(self, layer: spec.Conv2D, x: _Value) -> _Value:
        kernel, *bias = self._weights_of(
            layer,
            (*layer.kernel_size, x.shape[2], layer.filters),
            *([(layer.filters,)] if layer.use_bias else []),
        )
        inputs = [
            self._channels_first(x),
            self._constant(layer.name, "kernel", kernel.transpose(3, 2, 0, 1)),
        ]
        inputs += [self._constant(layer.name, "bias", array) for array in bias]
        made = self._add(
            "Conv",
            layer.name,
            inputs,
            _Value("", layer.output_shape, channels_first=True),
            kernel_shape=layer.kernel_size,
            strides=layer.strides,
            pads=_pads(x.shape, layer.kernel_size, layer.strides, layer.padding),
        )
        return self._activation(layer.name, made, *spec.ACTIVATIONS[layer.activation])

    def _pooling(self, layer: spec.Pooling, x: _Value) -> _Value:
        # Keras averages over the pixels that are there, not over the border it pads with.
        border = {} if layer.takes_max else {"count_include_pad": 0}
        return self._add(
            "MaxPool" if layer.takes_max else "AveragePool",
            layer.name,
            [self._channels_first(x)],
            _Value("", layer.output_shape, channels_first=True),
            kernel_shape=layer.pool_size,
            strides=layer.strides,
            pads=_pads(x.shape, layer.pool_size, layer.strides, layer.padding),
            **border,
        )

    def _global_average(self, layer: spec.GlobalAveragePooling, x: _Value) -> _Value:
        channels = x.shape[2]
        pooled = self._add(
            "GlobalAveragePool",
            layer.name,
            [self._channels_first(x)],
            _Value("", (1, 1, channels), channels_first=True),
        )
        if layer.output_shape == pooled.shape:
            return pooled
        return self._reshape(layer.name, pooled, layer.output_shape)

    def _batch_normalization(self, layer: spec.BatchNormalization, x: _Value) -> _Value:
        x = self._channels_first(x) if len(x.shape) == 3 else x
        channels = x.shape[-1]
        given = 2 + int(layer.scale) + int(layer.center)
        arrays = self._weights_of(layer, *[(channels,)] * given)
        scale = arrays.pop(0) if layer.scale else np.ones(channels, np.float32)
        offset = arrays.pop(0) if layer.center else np.zeros(channels, np.float32)
        mean, variance = arrays
        return self._add(
            "BatchNormalization",
            layer.name,
            [
                x,
                self._constant(layer.name, "gamma", scale),
                self._constant(layer.name, "beta", offset),
                self._constant(layer.name, "moving_mean", mean),
                self._constant(layer.name, "moving_variance", variance),
            ],
            x,
            epsilon=layer.epsilon,
        )

    def _sum(self, layer: spec.Add) -> _Value:
        values = [self._values[name] for name in layer.inputs]
        if any(value.channels_first for value in values):
            values = [self._channels_first(value) for value in values]
        return self._add("Sum", layer.name, values, values[0])

    def _rescaling(self, layer: spec.Rescaling, x: _Value) -> _Value:
        factor = self._constant(layer.name, "scale", np.float32(layer.scale))
        scaled = self._add("Mul", layer.name, [x, factor], x)
        if layer.offset == 0.0:
            return scaled
        offset = self._constant(layer.name, "offset", np.float32(layer.offset))
        return self._add("Add", layer.name, [scaled, offset], x)

    def _activation(self, layer: str, x: _Value, kind: str, alpha: float) -> _Value:
        if kind == "linear":
            return x
        if kind == "softmax":
            return self._add("Softmax", layer, [x], x, axis=1 if x.channels_first else -1)
        if kind == "silu":
            gate = self._add("Sigmoid", layer, [x], x)
            return self._add("Mul", layer, [x, gate], x)
        if kind == "gelu":
            # x/2 (1 + erf(x/√2)): an operator of its own came only with operator set 20.
            root = self._add("Mul", layer, [x, self._scalar(layer, math.sqrt(0.5))], x)
            error = self._add("Erf", layer, [root], x)
            gate = self._add("Add", layer, [error, self._scalar(layer, 1.0)], x)
            half = self._add("Mul", layer, [x, self._scalar(layer, 0.5)], x)
            return self._add("Mul", layer, [half, gate], x)
        if kind == "relu6":
            return self._add(
                "Clip", layer, [x, self._scalar(layer, 0.0), self._scalar(layer, 6.0)], x
            )
        if kind in ("elu", "leaky_relu"):
            return self._add(_OPERATORS[kind], layer, [x], x, alpha=alpha)
        if kind not in _OPERATORS:
            raise Unsupported(f"the activation of the layer {layer!r} ({kind})")
        return self._add(_OPERATORS[kind], layer, [x], x, **_CONSTANTS.get(kind, {}))

    def _reshape(self, layer: str, x: _Value, shape: spec.Shape) -> _Value:
        # 0 stands for "as it is": the batch.
        wanted = self._constant(layer, "shape", np.array([0, *shape], np.int64))
        return self._add("Reshape", layer, [x, wanted], _Value("", shape))

    def _channels_first(self, x: _Value) -> _Value:
        return x if x.channels_first else self._transposed(x, (0, 3, 1, 2))

    def _keras_order(self, x: _Value) -> _Value:
        return self._transposed(x, (0, 2, 3, 1)) if x.channels_first else x

    def _transposed(self, x: _Value, order: Sequence[int]) -> _Value:
        if x.name not in self._turned:
            like = dataclasses.replace(x, channels_first=not x.channels_first)
            self._turned[x.name] = self._add("Transpose", x.name, [x], like, perm=order)
        return self._turned[x.name]

    def _add(
        self, operator: str, layer: str, inputs: Sequence[_Value], like: _Value, **attributes: Any
    ) -> _Value:
        """Add a node; its output has the shape and layout of `like`."""
        name = self._fresh(f"{layer}/{operator}")
        self._nodes.append(
            helper.make_node(
                operator, [value.name for value in inputs], [name], name=name, **attributes
            )
        )
        return dataclasses.replace(like, name=name)

    def _constant(self, layer: str, what: str, array: Any) -> _Value:
        name = self._fresh(f"{layer}/{what}")
        stored = np.asarray(array, order="C")
        self._constants[name] = numpy_helper.from_array(stored, name)
        return _Value(name, stored.shape)

    def _scalar(self, layer: str, number: float) -> _Value:
        return self._constant(layer, f"{number:.9g}", np.float32(number))

    def _fresh(self, name: str) -> str:
        """A name that no other tensor has: layer names may hold slashes and digits of their own."""
        found, number = name, 2
        while found in self._names:
            found, number = f"{name}_{number}", number + 1
        self._names.add(found)
        return found

    def _weights_of(self, layer: spec.Layer, *shapes: spec.Shape) -> list[NDArray[np.float32]]:
        arrays = [np.asarray(a, np.float32) for a in self._weights.get(layer.name, ())]
        if [array.shape for array in arrays] != list(shapes):
            raise ValueError(
                f"the layer {layer.name!r} needs weights of shape "
                f"{', '.join(map(str, shapes))}, and the file has "
                f"{', '.join(str(array.shape) for array in arrays) or 'none'}"
            )
        return arrays


_OPERATORS = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "elu": "Elu",
    "selu": "Selu",
    "leaky_relu": "LeakyRelu",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "exponential": "Exp",
    "hard_sigmoid": "HardSigmoid",
}
# Keras's own constants; those of SELU are from Klambauer et al., "Self-Normalizing Neural
# Networks", 2017.
_CONSTANTS: dict[str, dict[str, float]] = {
    "selu": {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805},
    "hard_sigmoid": {"alpha": 1 / 6, "beta": 0.5},
}


def _pads(
    shape: spec.Shape, window: tuple[int, int], strides: tuple[int, int], padding: str
) -> list[int]:
    """[top, left, bottom, right]: padding "same" gives an odd pixel to the bottom and right."""
    if padding != "same":
        return [0, 0, 0, 0]
    begin, end = [], []
    for size, length, stride in zip(shape[:2], window, strides, strict=True):
        wanted = (-(-size // stride) - 1) * stride + length
        total = max(wanted - size, 0)
        begin.append(total // 2)
        end.append(total - total // 2)
    return begin + end


def _gives_probabilities(model: ModelSpec) -> bool:
    last = model.output_layer
    while isinstance(last, spec.Dropout | spec.Reshape | spec.RandomWarp):
        last = next(layer for layer in model.layers if layer.name == last.inputs[0])
    return getattr(last, "activation", None) in ("softmax", "sigmoid")


def _described(name: str, kind: int, shape: spec.Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["batch", *shape])
