"""What the driver leaves in a folder for workers: a network, its first weights, the images."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Task:
    """One network to train or run.

    Args:
        recipe: its name.
        input_shape: (height, width) or (height, width, channels) of one image.
        layers: in order; "kind" is the Keras class, the other keys are its arguments.
        optimizer: Keras's configuration of it; "name" is the lower-case class.
        batch_size: as published.
        clipped: the loss is taken from probabilities clipped to [1e-7, 1 - 1e-7], else from logits.
        weights: kernels and biases in order, dense (in, out), convolution (R, S, C, K).
        x: uint8 (n, *input_shape).
        y: int64 (n,).
    """

    recipe: str
    input_shape: tuple[int, ...]
    layers: list[dict[str, Any]]
    optimizer: dict[str, Any]
    batch_size: int
    classes: int
    clipped: bool
    weights: list[np.ndarray]
    x: np.ndarray
    y: np.ndarray

    @property
    def dense_only(self) -> bool:
        return all(layer["kind"] not in ("Conv2D", "MaxPooling2D") for layer in self.layers)


def read_task(folder: str, images: int | None = None) -> Task:
    """Read what `networks.write_task` wrote; `images` of the training images, or all."""
    path = Path(folder)
    document = json.loads((path / "network.json").read_text())
    with np.load(path / "weights.npz", allow_pickle=False) as archive:
        weights = [archive[str(number)] for number in range(len(archive.files))]
    x = np.load(path / "x.npy", allow_pickle=False)[:images]
    y = np.load(path / "y.npy", allow_pickle=False)[:images]
    document["input_shape"] = tuple(document["input_shape"])
    return Task(weights=weights, x=x, y=y, **document)
