"""Decode one image file into gray or RGB bytes, or say what is wrong with it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from penmark.data.dataset import UInt8Array
from penmark.data.findings import Problem
from penmark.data.shaping import is_gray

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

# A photo of 50 megapixels takes 150 MB once decoded; files that declare more are mostly bombs.
MAX_PIXELS = 50_000_000

# EPS runs another program on the file, WMF asks the system to draw, MPEG has no still image, and
# the other three are hulls that only name their format.
_REFUSED_FORMATS = frozenset({"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"})
# What most pictures are, and Pillow reads without loading the readers of forty other formats.
_USUAL_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM")
_NO_LOG = logging.NullHandler()
# Pillow's names for 16 bits per pixel in the various byte orders.
_MODES_16_BIT = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})


@dataclasses.dataclass(frozen=True)
class DecodedImage:
    """An image file, decoded.

    Args:
        pixels: uint8, shape (height, width) if gray, else (height, width, 3), as it is to be
            looked at: turned upright, on white where it was transparent.
        mode: Pillow's name for how the file stores pixels, such as "RGB" or "I;16".
        digest: the same for two files if and only if their pixels are the same.
        notes: what had to be decided, such as "first of 3 frames".
    """

    pixels: UInt8Array
    mode: str
    digest: bytes
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class UnusableImage:
    """An image file that cannot be used, and why."""

    problem: Problem
    detail: str
    size: tuple[int, int] | None = None
    mode: str | None = None


@functools.cache
def image_extensions() -> frozenset[str]:
    """Lower-case extensions, with the dot, of the image files that penmark reads."""
    from PIL import Image

    return frozenset(
        extension.lower()
        for extension, image_format in Image.registered_extensions().items()
        # JPEG's reader opens MPO too, the pairs of pictures that some phones make.
        if image_format in (*_readable_formats(), "MPO")
    )


@functools.cache
def _readable_formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(sorted(set(Image.OPEN) - _REFUSED_FORMATS))


@contextlib.contextmanager
def pillow_warnings() -> Iterator[None]:
    """Make Pillow's warnings of bombs errors, and silence the others, while the block runs.

    Its log messages on damaged files go where the program sends its log, if anywhere: what is
    wrong with a file is in the report.

    Warning filters belong to the whole process, so this stands around the threads that decode,
    not inside them.
    """
    from PIL import Image

    # A logger without any handler prints on standard error.
    logging.getLogger("PIL").addHandler(_NO_LOG)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> DecodedImage | UnusableImage:
    """Decode a file. Never raises for what the file holds; call it within `pillow_warnings`.

    Args:
        path: the file.
        max_pixels: files that declare more are refused before they are decoded.
    """

    def decode(image: Image.Image) -> DecodedImage | UnusableImage:
        mode = image.mode
        frames = getattr(image, "n_frames", 1)
        notes = [f"first of {frames} frames"] if frames > 1 else []
        if frames > 1:
            image.seek(0)
        image.load()
        pixels = _upright_pixels(image, notes)
        if pixels.min() == pixels.max() or (
            pixels.ndim == 3 and bool((pixels == pixels[0, 0]).all())
        ):
            return UnusableImage("one color", "every pixel is the same", pixels.shape[:2], mode)
        digest = hashlib.sha256(str(pixels.shape).encode())
        digest.update(pixels.data)
        return DecodedImage(pixels, mode, digest.digest(), tuple(notes))

    return use_image_file(path, decode, max_pixels=max_pixels)


def use_image_file(
    source: Path | bytes, use: Callable[[Image.Image], T], *, max_pixels: int = MAX_PIXELS
) -> T | UnusableImage:
    """Open an image file and give it to `use`, guarded against all that such a file may hold.

    Never raises for what the file holds; call it within `pillow_warnings`.

    Args:
        source: the file, or its content.
        use: is given the opened image, not yet decoded, and may raise whatever Pillow raises.
        max_pixels: files that declare more are refused before they are decoded.

    Returns:
        What `use` returns, or what is wrong with the file.
    """
    from PIL import Image, UnidentifiedImageError

    size: tuple[int, int] | None = None
    mode: str | None = None
    try:
        empty = len(source) == 0 if isinstance(source, bytes) else source.stat().st_size == 0
        if empty:
            return UnusableImage("empty", "the file has no bytes")
        opened = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        with opened as stream, _opened(stream) as image:
            size, mode = (image.height, image.width), image.mode
            if image.width * image.height > max_pixels:
                return _too_large(size, mode, max_pixels)
            return use(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return _too_large(size, mode, max_pixels)
    except UnidentifiedImageError:
        return UnusableImage("unreadable", "its content is no image that penmark reads")
    except (OSError, MemoryError) as error:
        reason = (getattr(error, "strerror", None) or str(error) or "too little memory").strip()
        return UnusableImage("unreadable", _one_line(reason), size, mode)
    except Exception as error:
        # Pillow's readers raise whatever a damaged file makes them stumble over: SyntaxError,
        # ValueError, IndexError, struct.error, zlib.error and others.
        return UnusableImage("unreadable", f"damaged ({_one_line(str(error))})", size, mode)


def _opened(stream: IO[bytes]) -> Image.Image:
    """Open an image of any readable format. Raises what `Image.open` raises."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(stream, formats=_USUAL_FORMATS)
    except UnidentifiedImageError:
        return Image.open(stream, formats=_readable_formats())


def _too_large(size: tuple[int, int] | None, mode: str | None, max_pixels: int) -> UnusableImage:
    shown = f"{size[1]}×{size[0]} pixels" if size else "too many pixels"
    detail = f"{shown}, more than the {max_pixels:,} that are decoded"
    return UnusableImage("too large", detail, size, mode)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:120] or "no reason given"


def _upright_pixels(image: Image.Image, notes: list[str]) -> UInt8Array:
    """Pixels of a loaded image as they are to be looked at, gray where all channels are equal."""
    from PIL import Image, ImageOps

    try:
        image = ImageOps.exif_transpose(image)
    except Exception:
        notes.append("its orientation entry is damaged and was ignored")
    if image.mode in _MODES_16_BIT or image.mode in ("I", "F"):
        return _from_wide(image, notes)
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return np.array(image.convert("L"))
    if image.has_transparency_data:
        # Transparent pixels may hold any color; on white they look as on a page.
        rgba = image.convert("RGBA")
        page = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(page, rgba)
        notes.append("transparent parts became white")
    rgb = np.array(image.convert("RGB"))
    return np.ascontiguousarray(rgb[..., 0]) if is_gray(rgb) else rgb


def _from_wide(image: Image.Image, notes: list[str]) -> UInt8Array:
    """Bring 16-bit, 32-bit and float gray images to 0..255 by their depth, without clipping."""
    values: NDArray[Any] = np.array(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("pixels that are not numbers")
    low, high = float(values.min()), float(values.max())
    if image.mode in _MODES_16_BIT or (image.mode == "I" and 0 <= low and 255 < high <= 65535):
        return np.round(values / 257).astype(np.uint8)
    if 0 <= low and high <= 1 and image.mode == "F":
        return np.round(values * 255).astype(np.uint8)
    if 0 <= low and high <= 255:
        return np.round(values).astype(np.uint8)
    notes.append(f"values {low:g} to {high:g} were stretched to 0 to 255")
    return np.round((values - low) / (high - low) * 255).astype(np.uint8)
