"""Bring images to one size and to gray or color. Needs Pillow only where something must change."""

from __future__ import annotations

from typing import Literal

import numpy as np

from penmark.data.dataset import UInt8Array
from penmark.errors import DataError

ColorMode = Literal["auto", "grayscale", "rgb"]
MAX_SIDE_PX = 1024


def check_options(image_size: tuple[int, int] | None, color_mode: str) -> None:
    """Refuse an impossible size or an unknown color mode.

    Raises:
        DataError: `image_size` is not two whole numbers from 1 to MAX_SIDE_PX, or `color_mode` is
            none of "auto", "grayscale" and "rgb".
    """
    if color_mode not in ("auto", "grayscale", "rgb"):
        raise DataError(f"color_mode must be auto, grayscale or rgb; got {color_mode!r}")
    if image_size is None:
        return
    if len(image_size) != 2 or not all(
        isinstance(side, (int, np.integer)) and 1 <= side <= MAX_SIDE_PX for side in image_size
    ):
        raise DataError(
            "image_size must be (height, width), each from 1 to "
            f"{MAX_SIDE_PX} pixels; got {image_size!r}"
        )


def to_grayscale(images: UInt8Array) -> UInt8Array:
    """Luma of color images, shape (..., 3) to (...).

    Source: ITU-R BT.601, section 2.5.1, in 16-bit fixed point.
    """
    weights = (19595, 38470, 7471)  # 0.299, 0.587, 0.114 times 65536
    luma = np.full(images.shape[:-1], 0x8000, dtype=np.uint32)
    for channel, weight in enumerate(weights):
        luma += images[..., channel].astype(np.uint32) * np.uint32(weight)
    return (luma >> 16).astype(np.uint8)


def to_rgb(images: UInt8Array) -> UInt8Array:
    """Gray images in three equal channels, shape (...) to (..., 3)."""
    return np.repeat(images[..., None], 3, axis=-1)


# WebP and JPEG keep colors as brightness and two differences; on the way there and back a gray
# pixel's channels come to differ by 1, seldom by 2.
_CODEC_ROUNDING = 2


def is_gray(image: UInt8Array) -> bool:
    """Whether a color image, shape (height, width, 3), has equal channels but for rounding."""
    return bool((image.max(axis=-1) - image.min(axis=-1)).max(initial=0) <= _CODEC_ROUNDING)


def border_median(image: UInt8Array) -> UInt8Array:
    """Median color of the outermost pixels, shape () or (3,): the likely background."""
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    return np.asarray(np.median(border, axis=0), dtype=np.uint8)


def fit_image(image: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    """Resize one image with its aspect kept, padded on both sides with its border's median color.

    Args:
        image: uint8, shape (height, width) or (height, width, 3).
        size: height and width wanted.

    Returns:
        uint8, of height and width `size`; `image` itself where it has that size already.
    """
    if image.shape[:2] == tuple(size):
        return image
    from PIL import Image

    height, width = image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    inner_height = min(size[0], max(1, round(height * scale)))
    inner_width = min(size[1], max(1, round(width * scale)))
    # Pillow widens the cubic kernel when it shrinks, so thin strokes fade instead of vanishing.
    resized = np.asarray(
        Image.fromarray(image).resize((inner_width, inner_height), Image.Resampling.BICUBIC)
    )
    fitted = np.empty((*size, *image.shape[2:]), dtype=np.uint8)
    fitted[...] = border_median(image)
    top, left = (size[0] - inner_height) // 2, (size[1] - inner_width) // 2
    fitted[top : top + inner_height, left : left + inner_width] = resized
    return fitted


def conform(
    images: UInt8Array, image_size: tuple[int, int] | None, color_mode: ColorMode
) -> UInt8Array:
    """Give many images the wanted size and color; what needs no change is not copied.

    Args:
        images: uint8, shape (n, height, width) or (n, height, width, 3).
        image_size: height and width wanted; None keeps them.
        color_mode: "grayscale" gives (n, height, width), "rgb" gives (n, height, width, 3),
            "auto" keeps what is there.
    """
    if color_mode == "grayscale" and images.ndim == 4:
        images = to_grayscale(images)
    if image_size is not None and images.shape[1:3] != tuple(image_size):
        fitted = np.empty((len(images), *image_size, *images.shape[3:]), dtype=np.uint8)
        for index, image in enumerate(images):
            fitted[index] = fit_image(image, image_size)
        images = fitted
    if color_mode == "rgb" and images.ndim == 3:
        images = to_rgb(images)
    return images
