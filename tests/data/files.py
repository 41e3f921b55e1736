"""Writers of small data set files for the tests."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from PIL import Image

from penmark.data.idx import idx_header
from penmark.data.registry import IDX_FILE_NAMES


def write_idx(path: Path, array: np.ndarray) -> Path:
    content = idx_header(array.shape) + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def small_arrays(seed: int = 0, train: int = 20, test: int = 10) -> dict[str, np.ndarray]:
    """Ten classes of random 28×28 images, all classes in both splits."""
    random = np.random.default_rng(seed)
    return {
        "x_train": random.integers(0, 256, (train, 28, 28), dtype=np.uint8),
        "y_train": np.arange(train) % 10,
        "x_test": random.integers(0, 256, (test, 28, 28), dtype=np.uint8),
        "y_test": np.arange(test) % 10,
    }


def write_idx_set(folder: Path, arrays: dict[str, np.ndarray], suffix: str = "") -> Path:
    for key, name in IDX_FILE_NAMES.items():
        write_idx(folder / f"{name}{suffix}", arrays[key])
    return folder


def picture(seed: int, size: tuple[int, ...] = (28, 28), channels: int = 0) -> np.ndarray:
    """Random pixels: no two seeds give images that resemble each other."""
    shape = (*size, channels) if channels else size
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save_picture(
    path: Path, seed: int, size: tuple[int, int] = (28, 28), channels: int = 0
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed, size, channels)).save(path)
    return path


def image_folder(root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 5) -> Path:
    """`count` different gray PNG files in each class."""
    for label, name in enumerate(classes):
        for number in range(count):
            save_picture(root / name / f"{number}.png", 1000 * label + number)
    return root
