"""A network's layers in words: what each one does, its shape, its parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from penmark.engine import spec
from penmark.engine.native_model import NativeModel
from penmark.studio.schemas import LayerEntry

View = Literal["image", "maps", "units", "probabilities"]

_ACTIVATION_WORDS = {
    "relu": "and sets negative sums to zero (ReLU)",
    "sigmoid": "and squeezes each sum between 0 and 1 (sigmoid)",
    "tanh": "and squeezes each sum between -1 and 1 (tanh)",
}


def describe(native: NativeModel) -> list[LayerEntry]:
    """One entry a layer, in the order in which they compute."""
    counts = _parameters(native)
    model = native.model
    entries = []
    for layer in model.layers:
        title, sentence = _words(layer, model)
        entries.append(
            LayerEntry(
                name=layer.name,
                kind=type(layer).__name__,
                title=title,
                sentence=sentence,
                output_shape=list(layer.output_shape),
                parameters=counts.get(layer.name, 0),
                view=_view(layer, model),
                changes=not isinstance(layer, spec.Reshape | spec.Dropout | spec.RandomWarp),
            )
        )
    return entries


def _parameters(native: NativeModel) -> dict[str, int]:
    counts: dict[str, int] = {}
    for (layer, _), (_, shape, _) in zip(native.owners, native.network.params(), strict=True):
        counts[layer] = counts.get(layer, 0) + math.prod(shape)
    return counts


def _view(layer: spec.Layer, model: spec.ModelSpec) -> View:
    shape = layer.output_shape
    if layer.name == model.output:
        return "probabilities"
    if len(shape) == 1:
        return "units"
    return "image" if len(shape) == 2 or shape[2] in (1, 3) else "maps"


def _words(layer: spec.Layer, model: spec.ModelSpec) -> tuple[str, str]:
    shape = layer.output_shape
    is_output = layer.name == model.output
    match layer:
        case spec.Input():
            return "Image", f"The image as it comes in: {_size(shape)} pixels from 0 to 255."
        case spec.Dense():
            inputs = _output_shape(model, layer.inputs[0])[-1]
            if is_output and layer.activation == "softmax":
                return (
                    "Softmax",
                    f"Each of the {layer.units} classes weighs all {inputs:,} inputs; softmax "
                    "turns the sums into probabilities that add up to 1.",
                )
            if is_output and layer.activation == "sigmoid" and layer.units > 1:
                return (
                    "Sigmoid",
                    f"Each of the {layer.units} classes weighs all {inputs:,} inputs; a sigmoid "
                    "turns its sum into a probability of its own, so that no class may be likely.",
                )
            end = _ACTIVATION_WORDS.get(layer.activation, "")
            return (
                "Dense",
                f"Each of {layer.units:,} units weighs all {inputs:,} inputs, adds them up"
                f"{' ' + end if end else ''}.",
            )
        case spec.Conv2D():
            height, width = layer.kernel_size
            end = _ACTIVATION_WORDS.get(layer.activation, "")
            return (
                "Convolution",
                f"{layer.filters} filters of {height}×{width} slide over the image; each draws a "
                f"map of where it finds its pattern{', ' + end if end else ''}.",
            )
        case spec.Pooling():
            height, width = layer.pool_size
            kept = "the strongest value" if layer.takes_max else "the mean"
            return (
                "Max pooling" if layer.takes_max else "Average pooling",
                f"Keeps {kept} of every {height}×{width} pixels: the maps get smaller, and it "
                "matters less where exactly something is.",
            )
        case spec.GlobalAveragePooling():
            return "Global average", "Each map becomes one number: its mean."
        case spec.Activation():
            if layer.activation == "softmax":
                return "Softmax", "Turns the sums into probabilities that add up to 1."
            if layer.activation == "relu":
                return "ReLU", "Lets positive values pass and sets negative ones to zero."
            return "Activation", f"Applies {layer.activation} to each value."
        case spec.Dropout():
            return (
                "Dropout",
                f"While training, {layer.rate:.0%} of the values are left out at random, so that "
                "the network relies on none of them; here all pass unchanged.",
            )
        case spec.BatchNormalization():
            return (
                "Batch normalization",
                "Brings the values of each channel to about mean 0 and spread 1, as seen in "
                "training, then scales and shifts them as learned.",
            )
        case spec.Add():
            return "Sum", "Adds the outputs of several layers, value by value."
        case spec.Rescaling():
            return (
                "Rescaling",
                f"Multiplies each pixel by {layer.scale:.4g}"
                f"{f' and adds {layer.offset:.4g}' if layer.offset else ''}: small numbers are "
                "easier to learn from.",
            )
        case spec.Reshape():
            if len(shape) == 1:
                return "Flatten", f"Lays all values out in one row of {shape[0]:,}."
            return "Reshape", f"The same values as {_size(shape)}: one channel for each pixel."
        case spec.RandomWarp():
            return (
                "Random shift",
                "While training, images are shifted, turned or zoomed at random, so that the "
                "network sees more hands; here they pass unchanged.",
            )
        case _:
            return type(layer).__name__, f"Gives values of shape {_size(shape)}."


def _output_shape(model: spec.ModelSpec, name: str) -> spec.Shape:
    return next(layer.output_shape for layer in model.layers if layer.name == name)


def _size(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
