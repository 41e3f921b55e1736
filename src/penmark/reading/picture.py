"""A picture of any kind, as bytes of color at a size that reading can work with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from penmark.data.image_file import UnusableImage, pillow_warnings, use_image_file
from penmark.errors import DataError

UInt8Array = NDArray[np.uint8]

# Phones that call themselves 50-megapixel cameras give up to 8192×6144.
MAX_PIXELS = 52_000_000
# Two thousand pixels across a page: a digit of a hundredth of its width still has 20 of them.
WORKING_PIXELS = 3_000_000

_ORIENTATION = 0x0112
# What the values of the EXIF orientation entry ask for.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Args:
        pixels: uint8, shape (height, width, 3), upright, with at most WORKING_PIXELS pixels.
        size: width and height of the original, upright.
        note: what had to be decided about the file, or None.
    """

    pixels: UInt8Array
    size: tuple[int, int]
    note: str | None = None

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the original for one of `pixels`, across and down."""
        height, width = self.pixels.shape[:2]
        return self.size[0] / width, self.size[1] / height


def open_picture(source: Any) -> Picture:
    """Open what a person may call a picture.

    Args:
        source: the path of an image file; its content as bytes; a PIL image; or an array of shape
            (height, width), (height, width, 1), (height, width, 3) for RGB or
            (height, width, 4) for RGBA: uint8 from 0 to 255, uint16 from 0 to 65535, bool, or
            float from 0 to 1 (from 0 to 255 if one value is above 1).

    Raises:
        DataError: there is no such file; it is no image, damaged or cut short; it has no pixels,
            or more than MAX_PIXELS; an array's shape, type or values are none of the above.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            raise DataError(f"there is no file {path}", path=path)
        if path.is_dir():
            raise DataError(f"{path} is a folder; give the image files in it", path=path)
        return _opened_file(path, str(path), path)
    if isinstance(source, bytes | bytearray | memoryview):
        return _opened_file(bytes(source), f"the image of {len(source):,} bytes", None)
    if isinstance(source, Image.Image):
        if source.width * source.height > MAX_PIXELS:
            raise DataError(_too_many(source.width, source.height))
        try:
            return _worked(source)
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"the image cannot be decoded: {error}") from error
    if isinstance(source, np.ndarray):
        return _worked(_from_array(source))
    raise DataError(
        f"give a path, bytes, a PIL image or a NumPy array to read; got {type(source).__name__}"
    )


def _opened_file(source: Path | bytes, name: str, path: Path | None) -> Picture:
    with pillow_warnings():
        picture = use_image_file(source, _worked, max_pixels=MAX_PIXELS)
    if isinstance(picture, UnusableImage):
        raise DataError(f"{name} cannot be read: {picture.detail}", path=path)
    return picture


def _too_many(width: int, height: int) -> str:
    return f"the image has {width}×{height} pixels, more than the {MAX_PIXELS:,} that are read"


def _worked(image: Image.Image) -> Picture:
    """Bring an opened image to working size, upright, in RGB on the ground it was made for."""
    if image.width == 0 or image.height == 0:
        raise DataError("the image has no pixels")
    frames = getattr(image, "n_frames", 1)
    # A phone's MPO holds a second view of the same picture: nothing is left out.
    note = f"first of {frames} frames" if frames > 1 and image.format != "MPO" else None
    turn = _TURNS.get(_orientation(image))
    width, height = image.size
    shrink = min(1.0, (WORKING_PIXELS / (width * height)) ** 0.5)
    wanted = max(1, round(width * shrink)), max(1, round(height * shrink))
    # JPEG decodes straight to a half, a quarter or an eighth.
    image.draft(image.mode, wanted)
    image.load()
    if image.mode.startswith(("I", "F")):
        image = _from_wide(image)
    elif image.mode in ("P", "PA", "1"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.size != wanted:
        image = image.resize(wanted, Image.Resampling.BOX, reducing_gap=2.0)
    if image.has_transparency_data:
        image = _on_its_ground(image.convert("RGBA"))
    if turn is not None:
        image = image.transpose(turn)
        if image.size != wanted:
            width, height = height, width
    return Picture(np.asarray(image.convert("RGB")), (width, height), note)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block raises whatever it makes Pillow stumble over
        return 1


def _on_its_ground(image: Image.Image) -> Image.Image:
    """Transparent parts become what the drawing was made for: black under light ink, else white."""
    values = np.asarray(image)
    alpha = values[..., 3].astype(np.float32)
    brightness = values[..., :3].astype(np.float32).mean(axis=2)
    total = float(alpha.sum())
    is_light = total > 0 and float((alpha * brightness).sum()) / total > 128
    ground = Image.new("RGBA", image.size, "black" if is_light else "white")
    return Image.alpha_composite(ground, image)


def _from_wide(image: Image.Image) -> Image.Image:
    """Gray of more than 8 bits, stretched to 0 to 255: cameras rarely use their whole range."""
    values = np.array(image, dtype=np.float32)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise ValueError("pixels that are not numbers")
    # In place: these are the largest arrays there are.
    values -= low
    values *= 255 / (high - low) if high > low else 0.0
    return Image.fromarray(np.rint(values, out=values).astype(np.uint8))


def _from_array(array: NDArray[Any]) -> Image.Image:
    shape = array.shape
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise DataError(
            "an image array must have shape (height, width), or (height, width, channels) with 1, "
            f"3 or 4 channels; got {shape}"
        )
    if array.size == 0:
        raise DataError(f"the image has no pixels: its shape is {shape}")
    if shape[0] * shape[1] > MAX_PIXELS:
        raise DataError(_too_many(shape[1], shape[0]))
    if array.ndim == 3 and shape[2] == 1:
        array = array[..., 0]
    if array.dtype == np.bool_:
        values = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype == np.uint8:
        values = array
    elif array.dtype == np.uint16:
        values = np.round(array.astype(np.float32) / 257).astype(np.uint8)
    elif array.dtype.kind in "iuf":
        values = _from_numbers(array)
    else:
        raise DataError(f"an image array must hold numbers; got {array.dtype}")
    return Image.fromarray(np.ascontiguousarray(values))


def _from_numbers(array: NDArray[Any]) -> UInt8Array:
    low, high = float(array.min()), float(array.max())
    if not (0 <= low and high <= 255):  # also where one of them is not a number
        raise DataError(
            "an image array of floats or integers must lie between 0 and 1 or between 0 and 255; "
            f"got {low:g} to {high:g}"
        )
    factor = 255.0 if array.dtype.kind == "f" and high <= 1 else 1.0
    scaled: UInt8Array = np.round(array * factor).astype(np.uint8)
    return scaled
