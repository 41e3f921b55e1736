"""Pictures as PNG data URIs, so that a page holds them itself."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.report.tint import weight_limit

# Larger pictures are shown at this size anyway; MNIST's 28 pixels stay what they are.
LONGEST_SIDE_PX = 128

# Okabe and Ito's blue and vermilion: legible on a light page and on a dark one.
FOR_RGB = (0, 114, 178)
AGAINST_RGB = (213, 94, 0)


def image_uri(picture: NDArray[np.uint8]) -> str:
    """One image, uint8, shape (height, width) or (height, width, 1, 3 or 4), as a data URI."""
    flat = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    return _png_uri(flat)


def signed_uri(
    weights: NDArray[np.float64], limit: float, *, longest_side_px: int = LONGEST_SIDE_PX
) -> str:
    """Signed weights, shape (height, width), as a data URI: blue for, vermilion against.

    The strength of a weight is the opacity of its pixel, so 0 shows the page's own background,
    in a light theme as in a dark one.

    Args:
        weights: float64; values that are not finite are left transparent.
        limit: the absolute weight that gets full opacity.
        longest_side_px: a larger picture is made smaller.
    """
    strength = np.nan_to_num(np.abs(weights) / limit, nan=0.0, posinf=1.0).clip(0.0, 1.0)
    pixels = np.empty((*weights.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where((weights > 0)[..., None], FOR_RGB, AGAINST_RGB)
    pixels[..., 3] = np.rint(255 * strength)
    return _png_uri(pixels, longest_side_px)


def kernel_uris(pictures: NDArray[np.float64]) -> list[str]:
    """First-layer pictures, as `unit_images` and `filter_images` give them, as data URIs."""
    if pictures.ndim == 4:
        return [_png_uri(np.rint(255 * picture).astype(np.uint8)) for picture in pictures]
    limit = weight_limit(pictures)
    return [signed_uri(picture, limit) for picture in pictures]


def _png_uri(pixels: NDArray[Any], longest_side_px: int = LONGEST_SIDE_PX) -> str:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    if max(image.size) > longest_side_px:
        image.thumbnail((longest_side_px, longest_side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
