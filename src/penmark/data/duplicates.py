"""Find images that are the same, or almost."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from penmark.data.dataset import UInt8Array
from penmark.data.shaping import to_grayscale

# Correlation of two 16×16 thumbnails from which on two images count as almost the same. Tried on
# data without such pairs: of the 1,797 bundled digits one passes (0.99: 17), of MNIST's 10,000
# test images none (0.99: 20). Copies saved as JPEG of quality 75, brightened, or with noise of
# standard deviation 10 correlate by 0.996 or more, and most copies enlarged and shrunk back do.
# Shifted or turned copies are not found: they resemble their original no more than two different
# ones do each other.
NEAR_DUPLICATE_CORRELATION = 0.995
THUMBNAIL_PX = 16

_CHUNK = 256


@dataclasses.dataclass(frozen=True)
class NearDuplicate:
    """An image and the earlier image that it resembles most: rows, and their correlation."""

    index: int
    earlier: int
    correlation: float


def near_duplicates(
    images: UInt8Array,
    *,
    correlation: float = NEAR_DUPLICATE_CORRELATION,
    groups: Sequence[object] | None = None,
) -> tuple[NearDuplicate, ...]:
    """Images that almost equal an earlier one.

    Thumbnails are compared by their correlation, all pairs, in blocks: work grows with n², memory
    with n. On two cores 10,000 images take a second, 60,000 half a minute.

    Args:
        images: uint8, shape (n, height, width) or (n, height, width, 3).
        correlation: how alike they must be, up to 1.
        groups: one key per image; images with the same key are not compared (exact duplicates,
            which are known already). None compares all.
    """
    features = _features(images)
    group_of = np.arange(len(images))
    if groups is not None:
        numbers: dict[object, int] = {}
        group_of = np.array([numbers.setdefault(key, len(numbers)) for key in groups], dtype=int)
    found = []
    for start in range(0, len(images), _CHUNK):
        stop = min(start + _CHUNK, len(images))
        similarity = features[start:stop] @ features[:stop].T
        # Only earlier images: one of each pair is enough to look at.
        rows = np.arange(start, stop)
        similarity[np.arange(stop)[None, :] >= rows[:, None]] = -1
        similarity[group_of[None, :stop] == group_of[rows][:, None]] = -1
        nearest = similarity.argmax(axis=1)
        values = similarity[np.arange(stop - start), nearest]
        for offset in np.flatnonzero(values >= correlation):
            found.append(
                NearDuplicate(
                    index=int(rows[offset]),
                    earlier=int(nearest[offset]),
                    correlation=min(1.0, float(values[offset])),
                )
            )
    return tuple(found)


def _features(images: UInt8Array) -> NDArray[np.float32]:
    """Thumbnails as vectors of mean 0 and length 1, float32 (n, 256); flat images become 0."""
    from PIL import Image

    features = np.empty((len(images), THUMBNAIL_PX**2), dtype=np.float32)
    for index, image in enumerate(images):
        gray = to_grayscale(image) if image.ndim == 3 else image
        thumbnail = Image.fromarray(gray).resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
        features[index] = np.asarray(thumbnail, dtype=np.float32).reshape(-1)
    features -= features.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    features /= np.maximum(lengths, 1e-6)
    return features
