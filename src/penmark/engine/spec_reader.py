"""Reads a model's serialized Keras configuration into a `ModelSpec`, without importing Keras.

What the core does not cover raises `Unsupported`, whose text names the layer or option.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penmark.engine.spec import (
    ACTIVATIONS,
    Activation,
    Add,
    BatchNormalization,
    Config,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePooling,
    Input,
    Layer,
    ModelSpec,
    Pooling,
    RandomWarp,
    Rescaling,
    Reshape,
    Shape,
    Unsupported,
)


def read_model(config: Config) -> ModelSpec:
    """Read a model's configuration.

    Args:
        config: of a `Sequential` or of a functional model with one input and one output, as from
            `model.get_config()`.

    Raises:
        Unsupported: a layer or option that the core does not cover.
    """
    try:
        if "input_layers" in config:
            return _read_functional(config)
        if "layers" in config:
            return _read_sequential(config)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise Unsupported(f"a configuration that is not understood ({error!r})") from error
    raise Unsupported("a model that is neither Sequential nor functional")


def _read_sequential(config: Config) -> ModelSpec:
    layers: list[Layer] = []
    entries = list(config["layers"])
    if not entries or entries[0]["class_name"] != "InputLayer":
        shape = config.get("build_input_shape")
        if shape is None:
            raise Unsupported("a Sequential model without an input shape; add keras.Input first")
        layers.append(Input("input", (), _image_shape(shape)))
    for entry in entries:
        previous = (layers[-1],) if layers else ()
        layers.append(_read_layer(entry, previous))
    return ModelSpec(str(config.get("name", "model")), tuple(layers), layers[-1].name)


def _read_functional(config: Config) -> ModelSpec:
    if (
        len(_endpoints(config["input_layers"])) != 1
        or len(_endpoints(config["output_layers"])) != 1
    ):
        raise Unsupported("a model with several inputs or outputs")
    known: dict[str, Layer] = {}
    waiting = list(config["layers"])
    while waiting:
        ready = [e for e in waiting if all(name in known for name in _inbound(e))]
        if not ready:
            raise Unsupported("a model whose layers go round in a circle")
        for entry in ready:
            inputs = tuple(known[name] for name in _inbound(entry))
            known[str(entry["name"])] = _read_layer(entry, inputs)
        waiting = [entry for entry in waiting if entry not in ready]
    layers = list(known.values())
    layers.sort(key=lambda layer: not isinstance(layer, Input))  # stable: the input comes first
    output = _endpoints(config["output_layers"])[0]
    return ModelSpec(str(config.get("name", "model")), tuple(layers), output)


def _endpoints(entries: Any) -> list[str]:
    """Layer names in ["name", 0, 0] or [["name", 0, 0], ...]."""
    if entries and isinstance(entries[0], str):
        return [entries[0]]
    return [str(entry[0]) for entry in entries]


def _inbound(entry: Config) -> list[str]:
    nodes = entry.get("inbound_nodes", [])
    if len(nodes) > 1:
        raise Unsupported(f"the layer {entry['name']!r}, which is used more than once")
    names: list[str] = []
    for node in nodes:
        if any(value is not None for key, value in node.get("kwargs", {}).items() if key != "mask"):
            if set(node["kwargs"]) - {"mask", "training"} or node["kwargs"].get("training"):
                raise Unsupported(f"arguments in the call of the layer {entry['name']!r}")
        _collect_tensors(node.get("args", []), names)
    return names


def _collect_tensors(value: Any, names: list[str]) -> None:
    if isinstance(value, Mapping):
        names.append(str(value["config"]["keras_history"][0]))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            _collect_tensors(item, names)


def _image_shape(shape: Sequence[int | None]) -> Shape:
    sizes = list(shape)[1:]
    if not sizes or any(size is None or size < 1 for size in sizes):
        raise Unsupported(f"an input of shape {tuple(shape)}: every size must be known")
    return tuple(int(size) for size in sizes if size is not None)


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    height, width = value
    return int(height), int(width)


def _read_layer(entry: Config, inputs: tuple[Layer, ...]) -> Layer:
    kind = str(entry["class_name"])
    config: Config = entry["config"]
    name = str(config.get("name", entry.get("name", kind)))
    if entry.get("registered_name"):
        raise Unsupported(f"the custom layer {name!r} ({entry['registered_name']})")
    computes_bfloat16 = _computes_bfloat16(config.get("dtype"), name)
    for option in sorted(config):
        if option.endswith(("_regularizer", "_constraint")) and config[option] is not None:
            raise Unsupported(f"{option} of the layer {name!r}")
    if kind == "InputLayer":
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        if shape is None:
            raise Unsupported(f"the layer {name!r} without a shape")
        return Input(name, (), _image_shape(shape))
    reader = _READERS.get(kind)
    if reader is None:
        raise Unsupported(f"the layer {name!r} ({kind})")
    if kind != "Add" and len(inputs) != 1:
        raise Unsupported(f"the layer {name!r} with {len(inputs)} inputs")
    if config.get("data_format", "channels_last") not in ("channels_last", None):
        raise Unsupported(f"data_format={config['data_format']!r} of the layer {name!r}")
    return dataclasses.replace(reader(name, config, inputs), bfloat16=computes_bfloat16)


def _computes_bfloat16(dtype: Any, name: str) -> bool:
    """Whether a layer's policy is `mixed_bfloat16`, and not float32."""
    policy = dtype["config"].get("name") if isinstance(dtype, Mapping) else dtype
    if policy not in (None, "float32", "mixed_bfloat16"):
        raise Unsupported(f"dtype={policy!r} of the layer {name!r}")
    return bool(policy == "mixed_bfloat16")


def _activation(value: Any, name: str) -> tuple[str, float]:
    if value is None:
        return ACTIVATIONS["linear"]
    if isinstance(value, Mapping):
        value = value.get("config") if value.get("class_name") == "function" else None
    if value not in ACTIVATIONS:
        raise Unsupported(f"the activation of the layer {name!r}")
    return ACTIVATIONS[value]


def _rank3(name: str, layer: Layer) -> tuple[int, int, int]:
    if len(layer.output_shape) != 3:
        raise Unsupported(f"the layer {name!r} on input of shape {layer.output_shape}")
    height, width, channels = layer.output_shape
    return height, width, channels


def _read_dense(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    if len(inputs[0].output_shape) != 1:
        raise Unsupported(f"the dense layer {name!r} on input that is not flat")
    if config.get("lora_rank") or config.get("quantization_config"):
        raise Unsupported(f"lora_rank or quantization of the layer {name!r}")
    units = int(config["units"])
    _activation(config.get("activation"), name)
    return Dense(
        name,
        (inputs[0].name,),
        (units,),
        units,
        bool(config.get("use_bias", True)),
        _activation_name(config.get("activation")),
        bool(config.get("trainable", True)),
    )


def _activation_name(value: Any) -> str:
    if value is None:
        return "linear"
    return str(value["config"]) if isinstance(value, Mapping) else str(value)


def _window(size: int, window: int, stride: int, padding: str, name: str) -> int:
    if padding == "same":
        return -(-size // stride)
    if window > size:
        raise Unsupported(f"the layer {name!r}, whose window is larger than its input")
    return (size - window) // stride + 1


def _read_conv2d(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    height, width, _ = _rank3(name, inputs[0])
    if _pair(config.get("dilation_rate", 1)) != (1, 1):
        raise Unsupported(f"dilation_rate of the layer {name!r}")
    if config.get("groups", 1) != 1:
        raise Unsupported(f"groups of the layer {name!r}")
    _activation(config.get("activation"), name)
    kernel, strides = _pair(config["kernel_size"]), _pair(config.get("strides", 1))
    padding, filters = str(config.get("padding", "valid")), int(config["filters"])
    rows = _window(height, kernel[0], strides[0], padding, name)
    columns = _window(width, kernel[1], strides[1], padding, name)
    return Conv2D(
        name,
        (inputs[0].name,),
        (rows, columns, filters),
        filters,
        kernel,
        strides,
        padding,
        bool(config.get("use_bias", True)),
        _activation_name(config.get("activation")),
        bool(config.get("trainable", True)),
    )


def _pooling(takes_max: bool) -> Callable[[str, Config, tuple[Layer, ...]], Layer]:
    def read(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
        height, width, channels = _rank3(name, inputs[0])
        size = _pair(config.get("pool_size", 2))
        strides = _pair(config.get("strides") or size)
        padding = str(config.get("padding", "valid"))
        if takes_max and size[0] * size[1] > 255:
            raise Unsupported(f"the layer {name!r}, whose window holds more than 255 pixels")
        shape = (
            _window(height, size[0], strides[0], padding, name),
            _window(width, size[1], strides[1], padding, name),
            channels,
        )
        return Pooling(name, (inputs[0].name,), shape, takes_max, size, strides, padding)

    return read


def _read_global(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    *_, channels = _rank3(name, inputs[0])
    shape = (1, 1, channels) if config.get("keepdims", False) else (channels,)
    return GlobalAveragePooling(name, (inputs[0].name,), shape)


def _read_activation(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    kind, alpha = _activation(config.get("activation"), name)
    return _activation_layer(name, inputs[0], kind, alpha)


def _activation_layer(name: str, source: Layer, kind: str, alpha: float) -> Layer:
    if kind == "softmax" and len(source.output_shape) == 2:
        raise Unsupported(f"the softmax {name!r} on input of shape {source.output_shape}")
    return Activation(name, (source.name,), source.output_shape, kind, alpha)


def _read_relu(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    slope = float(config.get("negative_slope") or 0.0)
    most = config.get("max_value")
    if config.get("threshold") or (most is not None and (most != 6 or slope)):
        raise Unsupported(f"threshold or max_value of the layer {name!r}")
    if most is not None:
        return _activation_layer(name, inputs[0], "relu6", 0.0)
    return _activation_layer(name, inputs[0], "leaky_relu" if slope else "relu", slope)


def _read_leaky_relu(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    return _activation_layer(name, inputs[0], "leaky_relu", float(config["negative_slope"]))


def _read_elu(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    return _activation_layer(name, inputs[0], "elu", float(config.get("alpha", 1.0)))


def _read_softmax(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    if config.get("axis", -1) != -1:
        raise Unsupported(f"axis of the layer {name!r}")
    return _activation_layer(name, inputs[0], "softmax", 0.0)


def _read_dropout(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    if config.get("noise_shape") is not None:
        raise Unsupported(f"noise_shape of the layer {name!r}")
    rate = float(config["rate"])
    if not 0.0 <= rate < 1.0:
        raise Unsupported(f"rate={rate} of the layer {name!r}")
    return Dropout(name, (inputs[0].name,), inputs[0].output_shape, rate)


def _read_batch_norm(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    shape = inputs[0].output_shape
    axis = config.get("axis", -1)
    axis = axis[0] if isinstance(axis, Sequence) else axis
    if len(shape) == 2 or axis not in (-1, len(shape)):
        raise Unsupported(f"axis of the layer {name!r} on input of shape {shape}")
    if config.get("renorm") or config.get("synchronized"):
        raise Unsupported(f"renorm or synchronized of the layer {name!r}")
    return BatchNormalization(
        name,
        (inputs[0].name,),
        shape,
        float(config.get("momentum", 0.99)),
        float(config.get("epsilon", 1e-3)),
        bool(config.get("center", True)),
        bool(config.get("scale", True)),
        bool(config.get("trainable", True)),
    )


def _read_add(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    if len(inputs) < 2 or len({layer.output_shape for layer in inputs}) != 1:
        raise Unsupported(f"the layer {name!r} on inputs of different shapes")
    return Add(name, tuple(layer.name for layer in inputs), inputs[0].output_shape)


def _read_rescaling(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    scale, offset = config["scale"], config.get("offset", 0.0)
    if not isinstance(scale, int | float) or not isinstance(offset, int | float):
        raise Unsupported(f"scale or offset of the layer {name!r}, which is not one number")
    source = inputs[0]
    return Rescaling(name, (source.name,), source.output_shape, float(scale), float(offset))


def _read_flatten(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    return Reshape(name, (inputs[0].name,), (math.prod(inputs[0].output_shape),))


def _read_reshape(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
    total = math.prod(inputs[0].output_shape)
    target = [int(size) for size in config["target_shape"]]
    known = math.prod(size for size in target if size != -1)
    shape = tuple(total // known if size == -1 else size for size in target)
    if not 1 <= len(shape) <= 3 or math.prod(shape) != total:
        raise Unsupported(f"target_shape of the layer {name!r}")
    return Reshape(name, (inputs[0].name,), shape)


def _span(value: Any) -> tuple[float, float]:
    """Keras's factor: f means from -f to f."""
    if isinstance(value, int | float):
        return -abs(float(value)), abs(float(value))
    low, high = value
    return float(low), float(high)


def _read_warp(kind: str) -> Callable[[str, Config, tuple[Layer, ...]], Layer]:
    def read(name: str, config: Config, inputs: tuple[Layer, ...]) -> Layer:
        _rank3(name, inputs[0])
        fill, how = str(config.get("fill_mode", "reflect")), str(config["interpolation"])
        if fill not in ("constant", "nearest", "reflect", "wrap"):
            raise Unsupported(f"fill_mode={fill!r} of the layer {name!r}")
        if how not in ("nearest", "bilinear"):
            raise Unsupported(f"interpolation={how!r} of the layer {name!r}")
        width = config.get("width_factor")
        ranges: dict[str, Any] = {}
        if kind == "rotation":
            ranges["turn"] = _span(config["factor"])
        elif kind == "zoom":
            ranges["zoom_height"] = _span(config["height_factor"])
            ranges["zoom_width"] = None if width is None else _span(width)
        else:
            ranges["shift_height"] = _span(config["height_factor"])
            ranges["shift_width"] = _span(width)
        return RandomWarp(
            name,
            (inputs[0].name,),
            inputs[0].output_shape,
            fill_mode=fill,
            fill_value=float(config.get("fill_value", 0.0)),
            interpolation=how,
            **ranges,
        )

    return read


_READERS: Mapping[str, Callable[[str, Config, tuple[Layer, ...]], Layer]] = {
    "Dense": _read_dense,
    "Conv2D": _read_conv2d,
    "MaxPooling2D": _pooling(True),
    "AveragePooling2D": _pooling(False),
    "GlobalAveragePooling2D": _read_global,
    "Activation": _read_activation,
    "ReLU": _read_relu,
    "LeakyReLU": _read_leaky_relu,
    "ELU": _read_elu,
    "Softmax": _read_softmax,
    "Dropout": _read_dropout,
    "BatchNormalization": _read_batch_norm,
    "Add": _read_add,
    "Rescaling": _read_rescaling,
    "Flatten": _read_flatten,
    "Reshape": _read_reshape,
    "RandomTranslation": _read_warp("translation"),
    "RandomRotation": _read_warp("rotation"),
    "RandomZoom": _read_warp("zoom"),
}
