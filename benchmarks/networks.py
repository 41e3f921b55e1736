"""A published network, its first weights and the images, in a folder that every worker can read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from penmark.data import Dataset
from penmark.engine import spec
from penmark.engine.spec_reader import read_model
from penmark.recipes import get
from penmark.runs.bench import training_flops


def write_task(recipe_name: str, dataset: Dataset, folder: Path) -> int:
    """Write the folder that `workers/task.py` reads; returns FLOPs of training on one image."""
    recipe = get(recipe_name)
    model = recipe.build(dataset, seed=0)
    optimizer = model.optimizer.get_config()
    network = {
        "recipe": recipe.name,
        "input_shape": list(dataset.image_shape),
        "layers": [
            {"kind": _kind(layer), **_arguments(layer)}
            for layer in read_model(model.get_config()).layers
            if not isinstance(layer, spec.Input)
        ],
        "optimizer": {
            **optimizer,
            "name": type(model.optimizer).__name__.lower(),
            "learning_rate": float(optimizer["learning_rate"]),
        },
        "batch_size": recipe.batch_size,
        "classes": dataset.num_classes,
        "clipped": recipe.loss_from == "probabilities",
    }
    (folder / "network.json").write_text(json.dumps(network))
    weights = {str(number): array for number, array in enumerate(model.get_weights())}
    np.savez(folder / "weights.npz", **weights)
    np.save(folder / "x.npy", dataset.x_train)
    np.save(folder / "y.npy", dataset.y_train)
    return training_flops(model)


def _kind(layer: spec.Layer) -> str:
    if isinstance(layer, spec.Pooling):
        return "MaxPooling2D" if layer.takes_max else "AveragePooling2D"
    return type(layer).__name__


def _arguments(layer: spec.Layer) -> dict[str, object]:
    fields = dataclasses.asdict(layer)
    del fields["inputs"], fields["name"]
    return fields
