"""Reads a `.keras` file, weights and optimizer state included, without importing Keras.

A `.keras` file is a ZIP archive of `config.json` and `model.weights.h5`. It may come from anywhere,
so sizes are checked before anything is unpacked, and nothing in it is ever executed.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from penmark.errors import ModelError

_LARGEST_CONFIG_BYTES = 16 << 20
_LARGEST_WEIGHTS_BYTES = 8 << 30


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """What a `.keras` file holds.

    Args:
        config: the model's configuration, as from `model.get_config()`.
        compile_config: as from `model.get_compile_config()`; None if it was not compiled.
        weights: layer name to its weights, in Keras's order.
        optimizer: the optimizer's variables in Keras's order; empty if none were saved.
    """

    config: dict[str, Any]
    compile_config: dict[str, Any] | None
    weights: dict[str, list[NDArray[Any]]]
    optimizer: list[NDArray[Any]]


def read_saved_model(path: Path | str) -> SavedModel:
    """Read a `.keras` file.

    Raises:
        ModelError: there is no such file, or it is damaged or not a `.keras` file (one line).
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            document = json.loads(_member(archive, "config.json", _LARGEST_CONFIG_BYTES))
            data = _member(archive, "model.weights.h5", _LARGEST_WEIGHTS_BYTES)
        with h5py.File(io.BytesIO(data), "r") as file:
            weights = _read_weights(file)
            optimizer = _read_group(file, "optimizer/vars")
        return SavedModel(
            dict(document["config"]), document.get("compile_config"), weights, optimizer
        )
    except FileNotFoundError as error:
        raise ModelError(f"{path}: there is no such file", path=path) from error
    except ModelError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
        NotImplementedError,
        RecursionError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"{path}: not a whole .keras file ({reason[:200]}); save the model again",
            path=path,
        ) from error


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise ValueError(f"{name} would unpack to {info.file_size} bytes")
    with archive.open(info) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{name} unpacks to more than it claims")
    return data


def _read_weights(file: h5py.File) -> dict[str, list[NDArray[Any]]]:
    weights: dict[str, list[NDArray[Any]]] = {}
    layers = file.get("layers")
    if not isinstance(layers, h5py.Group):
        return weights
    for key in layers:
        # Hard links only: a soft or external one could lead out of the file or in circles.
        if not isinstance(layers.get(key, getlink=True), h5py.HardLink):
            raise ValueError(f"layers/{key} is a link")
        group = layers[key].get("vars") if isinstance(layers[key], h5py.Group) else None
        if isinstance(group, h5py.Group):
            name = group.attrs.get("name", key)
            weights[str(name)] = _read_group(layers[key], "vars")
    return weights


def _read_group(parent: h5py.Group, path: str) -> list[NDArray[Any]]:
    group = parent.get(path)
    if not isinstance(group, h5py.Group):
        return []
    arrays: list[NDArray[Any]] = []
    for i in range(len(group)):
        if not isinstance(group.get(str(i), getlink=True), h5py.HardLink):
            raise ValueError(f"{path}/{i} is missing or a link")
        item = group[str(i)]
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
            raise ValueError(f"{path}/{i} is not an array of numbers")
        if item.external or item.is_virtual or item.size * item.dtype.itemsize > _stored(item):
            raise ValueError(f"{path}/{i} claims more data than the file holds")
        arrays.append(np.asarray(item[()]))
    return arrays


def _stored(item: h5py.Dataset) -> int:
    """The most bytes that the stored data of `item` can stand for: chunks may be compressed."""
    most_compression = 1100  # DEFLATE's limit is 1032 to 1
    factor = most_compression if item.chunks is not None else 1
    return int(item.id.get_storage_size()) * factor
