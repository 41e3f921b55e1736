"""What is exported: a `.keras` file, and what its run knows about it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penmark.engine.saved_model import SavedModel, read_saved_model
from penmark.errors import ModelError
from penmark.report.wording import plain
from penmark.runs import Run, is_run

# What these policies store is float32; they differ in what they compute with.
_FLOAT32_WEIGHTS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True)
class Source:
    """A saved model on its way out.

    Args:
        model_path: the `.keras` file.
        folder: where an export goes unless told otherwise.
        stem: the name an export gets unless told otherwise, without suffix.
        run: the run that made the model, where it is known.
        saved: what the file holds.
    """

    model_path: Path
    folder: Path
    stem: str
    run: Run | None
    saved: SavedModel

    @property
    def title(self) -> str:
        """What the model is called: "cnn on mnist", or the file's name."""
        if self.run is None:
            return plain(self.model_path.stem)
        data = self.run.config.get("data", {})
        return plain(f"{self.run.settings.recipe} on {data.get('name', self.run.settings.data)}")

    @property
    def computes_in(self) -> str:
        """The model's own precision: "float32", or a mixed policy."""
        policies = {_policy(entry["config"].get("dtype")) for entry in self.saved.config["layers"]}
        return next((name for name in _FLOAT32_WEIGHTS[1:] if name in policies), "float32")

    @property
    def parameters(self) -> int:
        """How many numbers the model learned or keeps, as Keras counts them."""
        return sum(
            math.prod(array.shape)
            for arrays in self.saved.weights.values()
            for array in arrays
            if array.dtype.kind == "f"
        )


def open_source(target: Run | Path | str) -> Source:
    """Find the model that `target` names, and read it.

    Args:
        target: a run, its folder, or a `.keras` file. A run's own model file counts as the run.

    Raises:
        RunError: a folder that is no run, or a run without a model yet.
        ModelError: no such file, or not a whole `.keras` file.
    """
    if isinstance(target, Run):
        return _of_run(target)
    path = Path(target)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError:  # a name that no file system takes
        is_folder = is_file = False
    if is_folder:
        return _of_run(Run(path))
    if not is_file:
        raise ModelError(
            f"there is no model at {path}; give a run folder or a .keras file", path=path
        )
    if is_run(path.parent):
        run = Run(path.parent)
        if run.model_path.exists() and path.samefile(run.model_path):
            return _of_run(run)
    return Source(path, path.parent, path.stem, None, _readable(path))


def _of_run(run: Run) -> Source:
    path = run.trained_model_path()
    return Source(path, run.path, "model", run, _readable(path))


def _readable(path: Path) -> SavedModel:
    saved = read_saved_model(path)
    layers = saved.config.get("layers")
    if not isinstance(layers, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("config"), dict) for entry in layers
    ):
        raise ModelError(
            f"{path} holds a model with code of its own in place of layers; export a Sequential "
            "or functional model",
            path=path,
        )
    return saved


def in_float32(config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's configuration for use alone: float32 throughout, nothing that only trains.

    Mixed precision keeps float32 weights, so an exported model computes with all their digits.
    Regularizers and constraints act on a training step only.

    Args:
        config: as from `model.get_config()`.
    """
    return {str(key): _in_float32(value) for key, value in config.items()}


def _in_float32(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("class_name") == "DTypePolicy" and _policy(value) in _FLOAT32_WEIGHTS:
            return "float32"
        return {
            key: None
            if str(key).endswith(("_regularizer", "_constraint"))
            else "float32"
            if key == "dtype" and item in _FLOAT32_WEIGHTS
            else _in_float32(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(_in_float32(item) for item in value)
    return value


def _policy(dtype: Any) -> str | None:
    if isinstance(dtype, Mapping):
        config = dtype.get("config")
        dtype = config.get("name") if isinstance(config, Mapping) else None
    return dtype if isinstance(dtype, str) else None
