"""What happens inside a network for one image: activations, weights, and which pixels matter."""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penmark.data.dataset import UInt8Array
from penmark.engine import spec
from penmark.errors import DataError, ModelError
from penmark.studio.layers import describe
from penmark.studio.models import LoadedModel
from penmark.studio.schemas import Contribution, NetworkView, UnitView, Weights

_OCCLUSION_BATCH = 32
_MOST_CONTRIBUTIONS = 12
_MOST_PICTURES = 512
# Below the least positive float32, so that the logarithm of 0 is finite.
_TINY = 1e-38

FloatArray = NDArray[np.float32]


def network_view(model: LoadedModel) -> NetworkView:
    """The layers of a model in words."""
    if model.native is None:
        return NetworkView(
            model=model.entry,
            class_names=list(model.class_names),
            input_shape=[],
            parameters=0,
            layers=[],
            reason=f"this network runs through Keras, which cannot be looked into here: "
            f"{model.reason}",
        )
    layers = describe(model.native)
    return NetworkView(
        model=model.entry,
        class_names=list(model.class_names),
        input_shape=list(model.native.model.input_shape),
        parameters=sum(layer.parameters for layer in layers),
        layers=layers,
        reason="",
    )


def as_input(model: LoadedModel, pixels: bytes) -> UInt8Array:
    """Raw bytes as one image of the model's input shape, with a batch axis.

    Raises:
        DataError: there are too many or too few bytes.
        ModelError: the network cannot be looked into.
    """
    shape = _native_spec(model).input_shape
    wanted = int(np.prod(shape))
    if len(pixels) != wanted:
        raise DataError(
            f"an image for this network is {'×'.join(map(str, shape))}, {wanted} bytes; got "
            f"{len(pixels)}"
        )
    return np.frombuffer(pixels, np.uint8).reshape(1, *shape)


def activations(model: LoadedModel, image: UInt8Array) -> bytes:
    """Every layer's output for one image, packed for the way to the page.

    Args:
        image: uint8, shape (1, *input shape).

    Returns:
        The length of a JSON header (4 bytes, little-endian), the header, then the values of each
        layer in the header's order, a byte each: value = low + byte / 255 * (high - low). The
        header is a list of {"name", "low", "high", "size"}. Layers that only pass on their
        input's numbers are left out.
    """
    if model.native is None:
        raise ModelError(f"this network cannot be looked into: {model.reason}")
    header, bodies = [], []
    for layer in describe(model.native):
        if not layer.changes:
            continue
        with model.lock:
            values = model.native.activations(image, layer.name, 1)[0]
        low, high = float(values.min()), float(values.max())
        span = high - low
        scaled = (values - low) * (255.0 / span) if span > 0 else np.zeros_like(values)
        header.append({"name": layer.name, "low": low, "high": high, "size": values.size})
        bodies.append(np.rint(scaled).astype(np.uint8).tobytes())
    head = json.dumps(header, allow_nan=False).encode()
    return b"".join([struct.pack("<I", len(head)), head, *bodies])


def unit_view(model: LoadedModel, image: UInt8Array, layer_name: str, unit: int) -> UnitView:
    """One unit or feature map on one image.

    Raises:
        DataError: the layer has no such unit.
        ModelError: there is no such layer.
    """
    layer = _layer(model, layer_name)
    units = layer.output_shape[-1] if len(layer.output_shape) != 2 else 1
    if not 0 <= unit < units:
        raise DataError(f"{layer_name} has units 0 to {units - 1}; got {unit}")
    values = _values(model, image, layer_name)[0]
    own = _of_unit(values[None], unit)[0]
    occlusion, measured = _occlusion(model, image, layer, unit)
    kernel, bias = _kernel_and_bias(model, layer)
    weights: Weights | None = None
    contributions: list[Contribution] = []
    if kernel is not None and isinstance(layer, spec.Conv2D):
        weights = _pictures(kernel[..., unit])
    elif kernel is not None:
        incoming = _values(model, image, layer.inputs[0])[0].reshape(-1)
        source = _source(model, layer.inputs[0])
        if _is_image(model, source):
            weights = _pictures(kernel[:, unit].reshape(_with_channels(source.output_shape)))
        else:
            contributions = _contributions(source, incoming, kernel[:, unit])
    return UnitView(
        layer=layer_name,
        unit=unit,
        value=float(own.mean()),
        strongest=float(own.max()),
        bias=None if bias is None else float(bias[unit]),
        weights=weights,
        contributions=contributions,
        occlusion=[[round(float(value), 6) for value in row] for row in occlusion],
        measured=measured,
    )


def _native_spec(model: LoadedModel) -> spec.ModelSpec:
    if model.native is None:
        raise ModelError(f"this network cannot be looked into: {model.reason}")
    return model.native.model


def _layer(model: LoadedModel, name: str) -> spec.Layer:
    layers = {layer.name: layer for layer in _native_spec(model).layers}
    if name not in layers:
        raise ModelError(f"there is no layer {name[:80]!r}; choose one of {', '.join(layers)}")
    return layers[name]


def _values(model: LoadedModel, images: UInt8Array, layer: str) -> FloatArray:
    if model.native is None:
        raise ModelError(f"this network cannot be looked into: {model.reason}")
    batch = 1 if len(images) == 1 else _OCCLUSION_BATCH
    with model.lock:
        return model.native.activations(images, layer, batch)


def _of_unit(values: FloatArray, unit: int) -> FloatArray:
    """(n, ..., units) -> (n, numbers of this unit)."""
    if values.ndim == 3:  # images without a channel axis
        return values.reshape(len(values), -1)
    return values[..., unit].reshape(len(values), -1)


class Patch(NamedTuple):
    """A square of covered pixels: its corner."""

    top: int
    left: int


def patches(height: int, width: int, side: int) -> list[Patch]:
    """Squares that cover an image, half overlapping, the last ones flush with its edges."""
    step = max(1, side // 2)

    def starts(length: int) -> list[int]:
        last = max(length - side, 0)
        return sorted({*range(0, last, step), last})

    return [Patch(top, left) for top in starts(height) for left in starts(width)]


def _occlusion(
    model: LoadedModel, image: UInt8Array, layer: spec.Layer, unit: int
) -> tuple[NDArray[np.float64], str]:
    """By how much a unit's activation falls when the pixels around each place are covered.

    For a class's output it is the logarithm of the probability that falls: a probability near 1
    hardly moves, whatever is covered.

    Source: M. D. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV
    2014, section 4.2 (occlusion sensitivity).

    Returns:
        float64 (height, width), and what it is measured in.
    """
    logarithm = layer.name == _native_spec(model).output and layer.output_shape[-1] > 1
    pixels = image[0]
    height, width = pixels.shape[:2]
    side = max(3, round(min(height, width) / 6))
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    cover = np.median(border, axis=0).astype(np.uint8)

    def measure(images: UInt8Array) -> NDArray[np.float64]:
        means = _of_unit(_values(model, images, layer.name), unit).mean(axis=1).astype(np.float64)
        measured: NDArray[np.float64] = np.log(np.maximum(means, _TINY)) if logarithm else means
        return measured

    base = float(measure(image)[0])
    places = patches(height, width, side)
    fall, covers = np.zeros((height, width)), np.zeros((height, width))
    changed = []
    for place in places:
        window = (slice(place.top, place.top + side), slice(place.left, place.left + side))
        covers[window] += 1
        if (pixels[window] != cover).any():
            changed.append(window)
    for start in range(0, len(changed), _OCCLUSION_BATCH):
        part = changed[start : start + _OCCLUSION_BATCH]
        masked = np.repeat(image, len(part), axis=0)
        for number, window in enumerate(part):
            masked[number][window] = cover
        for window, value in zip(part, measure(masked), strict=True):
            fall[window] += base - value
    measured = "log probability" if logarithm else "activation"
    return fall / np.maximum(covers, 1), measured


def _kernel_and_bias(
    model: LoadedModel, layer: spec.Layer
) -> tuple[FloatArray | None, FloatArray | None]:
    if model.native is None or not isinstance(layer, spec.Dense | spec.Conv2D):
        return None, None
    with model.lock:
        found = [
            model.native.network.get(number)
            for number, (owner, _) in enumerate(model.native.owners)
            if owner == layer.name
        ]
    return found[0], found[1] if len(found) > 1 else None


def _source(model: LoadedModel, name: str) -> spec.Layer:
    """The layer whose numbers arrive at `name`, past layers that only lay them out anew."""
    layer = _layer(model, name)
    passing = spec.Reshape | spec.Dropout | spec.RandomWarp
    while isinstance(layer, passing):
        layer = _layer(model, layer.inputs[0])
    return layer


def _is_image(model: LoadedModel, layer: spec.Layer) -> bool:
    """Whether a layer's values are still the image's own pixels, perhaps rescaled."""
    while isinstance(layer, spec.Rescaling):
        layer = _source(model, layer.inputs[0])
    return isinstance(layer, spec.Input) and len(layer.output_shape) > 1


def _with_channels(shape: spec.Shape) -> spec.Shape:
    return shape if len(shape) == 3 else (*shape, 1)


def _pictures(kernel: FloatArray) -> Weights:
    """(height, width, channels) as one picture a channel."""
    height, width, channels = kernel.shape
    return Weights(
        height=height,
        width=width,
        pictures=[
            [round(float(value), 6) for value in kernel[..., channel].reshape(-1)]
            for channel in range(min(channels, _MOST_PICTURES))
        ],
    )


def _contributions(
    source: spec.Layer, incoming: FloatArray, weights: FloatArray
) -> list[Contribution]:
    """The inputs that add most to a sum or take most from it, the largest first."""
    products = incoming * weights
    order = np.argsort(-np.abs(products), kind="stable")[:_MOST_CONTRIBUTIONS]
    return [
        Contribution(
            source=_input_name(source, int(index)),
            value=float(incoming[index]),
            weight=float(weights[index]),
            product=float(products[index]),
        )
        for index in order
        if products[index] != 0
    ]


def _input_name(source: spec.Layer, index: int) -> str:
    shape = source.output_shape
    if len(shape) < 3:
        return f"{source.name}, unit {index}"
    row, column, channel = np.unravel_index(index, shape)
    return f"{source.name}, map {channel}, row {row}, column {column}"
