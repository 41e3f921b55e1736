"""Where a picture has ink: how much darker each place is than the paper there.

Uneven light is divided out. The paper is what stays when everything narrower than a window is
closed over (grayscale morphological closing), so the edge of a shadow or of the sheet stays sharp.

Sources: J. Serra, "Image Analysis and Mathematical Morphology", 1982 (closing); J. Sauvola,
M. Pietikäinen, "Adaptive document image binarization", Pattern Recognition 33, 2000 (a threshold
that follows the contrast around each pixel).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from penmark.reading.filters import (
    closing,
    gaussian_filter,
    maximum_filter,
    mean_of_four,
    median_of_nine,
    minimum_filter,
    quantiles,
    uniform_filter,
)

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]

# The paper is estimated on a picture of this many pixels along its longer side.
_PAPER_SIDE = 320
# Strokes up to a share of the longer side are ink, what is wider is ground: the first share holds
# for pictures up to the first size in pixels, which show one digit or few, the other for photos.
_WIDEST_STROKE = (1 / 4, 1 / 8)
_SMALL_AND_LARGE = (300, 1500)
# Colored ink may be as bright as paper; its darkest channel then counts, a little less.
_COLOR_WEIGHT = 0.7
# Reach of the contrast around a pixel, as a share of the longer side.
_CONTRAST_REACH = 1 / 14
# Ink begins at this share of the contrast around it, is certain at the next, and full at the third.
_FAINT, _CERTAIN, _FULL = 0.22, 0.45, 0.80
# Less contrast than this is unevenness of paper.
_LEAST_CONTRAST = 0.045
# In standard deviations of the noise.
_ABOVE_NOISE = 5.0
# Of the picture along its longer side: the noise differs from block to block.
_NOISE_BLOCKS = 12


@dataclasses.dataclass(frozen=True)
class Ink:
    """The ink of a picture.

    Args:
        amount: uint8, shape (height, width): 0 is paper, 255 a stroke's middle.
        mask: bool, what is certainly ink.
        darkness: float32, how much darker than the paper, 0 to 1.
        least: the least darkness that stands out of the noise: float32, (height, width), or one
            number for everywhere.
        edges: float32, of a smaller size: how steeply the ground itself changes, as the share of
            its brightness lost within a pixel or two. At the edge of a sheet it does. None for
            ink that never was on a ground, as what is drawn on a screen.
    """

    amount: UInt8Array
    mask: NDArray[np.bool_]
    darkness: FloatArray
    least: FloatArray | float
    edges: FloatArray | None


def find_ink(darkness: FloatArray, edges: FloatArray, *, smoothing: float = 0.0) -> Ink:
    """Separate ink from paper.

    Args:
        darkness, edges: as from `measure_darkness`.
        smoothing: standard deviation in pixels of a blur that joins strokes in pieces; 0 for none.
    """
    if smoothing:
        darkness = gaussian_filter(darkness, smoothing)
    noise = _noise(darkness)[1]
    if noise > 0.008 and min(darkness.shape) > _SMALL_AND_LARGE[0]:
        # Averaging over a stroke's width costs little sharpness and much noise.
        darkness = gaussian_filter(darkness, 0.8 if noise < 0.03 else 1.2)
    least = _least_contrast(darkness)
    contrast = _contrast_around(darkness)
    np.maximum(contrast, least / _CERTAIN, out=contrast)
    share = darkness / contrast
    mask = share > _CERTAIN
    amount = np.clip((share - _FAINT) * (255 / (_FULL - _FAINT)), 0, 255).astype(np.uint8)
    return Ink(amount, mask, darkness, least, edges)


def measure_darkness(pixels: UInt8Array, *, light: bool) -> tuple[FloatArray, FloatArray]:
    """How much darker than the paper around each pixel is, and where the ground has edges.

    Args:
        pixels: uint8, shape (height, width, 3).
        light: whether the ink is lighter than its ground, as chalk is.

    Returns:
        What `Ink` calls darkness, before noise is averaged out, and edges.
    """
    if light:
        pixels = ~pixels
    picture = Image.fromarray(pixels)
    small = _small(picture)
    window = _window(pixels.shape, max(small.size))
    luma = np.asarray(picture.convert("L"))
    paper = _paper(np.asarray(small.convert("L")), window)
    brightest = maximum_filter(paper, 3)
    edges = (brightest - minimum_filter(paper, 3)) / np.maximum(brightest, 24.0)
    darkness = _below_paper(luma, paper)
    values = np.asarray(small, np.int16)
    if int((values.max(axis=2) - values.min(axis=2)).max()) > 24:
        for channel in range(3):
            paper = _paper(np.asarray(small)[..., channel], window)
            colored = _below_paper(pixels[..., channel], paper)
            colored *= _COLOR_WEIGHT
            np.maximum(darkness, colored, out=darkness)
    return darkness, edges.astype(np.float32)


def _small(picture: Image.Image) -> Image.Image:
    shrink = min(1.0, _PAPER_SIDE / max(picture.size))
    size = max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink))
    return picture.resize(size, Image.Resampling.BOX)


def _window(shape: tuple[int, ...], small_side: int) -> int:
    """Side of the square that no stroke fills, in pixels of the small picture."""
    widest = np.interp(max(shape[:2]), _SMALL_AND_LARGE, _WIDEST_STROKE)
    return max(3, round(small_side * float(widest))) | 1


def light_share(pixels: UInt8Array) -> float:
    """Whether ink is light on dark: near 0 for pencil on paper, near 1 for chalk on a board.

    Ink is rarer than its ground, so it lies further from the mean of its surroundings; cubes of
    the differences tell which side that is, and the edge of a sheet or a shadow, half on either
    side, hardly counts.

    Args:
        pixels: uint8, shape (height, width, 3).
    """
    small = _small(Image.fromarray(pixels))
    window = 2 * _window(pixels.shape, max(small.size)) - 1
    gray = np.asarray(small.convert("L"), np.float32)
    differences = gray - uniform_filter(gray, window)
    cubes = differences**3
    light, dark = float(cubes[cubes > 0].sum()), -float(cubes[cubes < 0].sum())
    return light / (light + dark) if light + dark > 0 else 0.0


def _paper(small: UInt8Array, window: int) -> FloatArray:
    """Brightness of the ground, as if nothing was written on it."""
    # Beyond the border lies more of the same; a stroke at the border would else be ground.
    closed = closing(median_of_nine(small), window)
    return gaussian_filter(closed.astype(np.float32), 1)


def _below_paper(gray: UInt8Array, paper: FloatArray) -> FloatArray:
    ground = np.maximum(_enlarged(paper, gray.shape), 24.0)
    darkness: FloatArray = np.clip((ground - gray) / ground, 0, 1).astype(np.float32)
    return darkness


def _least_contrast(darkness: FloatArray) -> FloatArray | float:
    """What stands out of the noise, as `Ink.least`.

    A table with a grain must not hide what is written on the sheet that lies on it: where the
    ground is quieter than in most of the picture, less stands out.
    """
    middle, noise = _noise(darkness)
    overall = max(_LEAST_CONTRAST, middle + _ABOVE_NOISE * noise)
    if overall == _LEAST_CONTRAST or min(darkness.shape) <= _SMALL_AND_LARGE[0]:
        return overall
    values = _sampled(darkness)
    side = -(-max(values.shape) // _NOISE_BLOCKS)
    rows, columns = (-(-length // side) for length in values.shape)
    margins = (0, rows * side - values.shape[0]), (0, columns * side - values.shape[1])
    blocks = np.pad(values, margins, mode="symmetric").reshape(rows, side, columns, side)
    middles, noises = _noise_along(blocks.swapaxes(1, 2).reshape(rows, columns, -1))
    here = (middles + _ABOVE_NOISE * noises).astype(np.float32)
    return _enlarged(np.clip(here, _LEAST_CONTRAST, overall), darkness.shape)


def _sampled(darkness: FloatArray) -> FloatArray:
    """Enough of the pixels to tell the noise from."""
    step = max(1, darkness.shape[0] // 400), max(1, darkness.shape[1] // 400)
    return darkness[:: step[0], :: step[1]]


def _noise(darkness: FloatArray) -> tuple[float, float]:
    """Median darkness of paper and its standard deviation: grain, texture and rest of shading."""
    middle, noise = _noise_along(_sampled(darkness).ravel())
    return float(middle), float(noise)


def _noise_along(values: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Medians and standard deviations of what is paper, along the last axis.

    Taken from the distribution below its middle, which ink is too rare to reach; the lower half of
    the deviations is enough, since paper varies to both sides alike.
    """
    lower, middle, upper = quantiles(values, (0.25, 0.5, 0.7))
    # Half of the deviations are less than 0.67 standard deviations.
    spread = (middle - lower) / 0.6745
    # A quarter of the paper may lie beyond what the lower half tells, where darkness ends at 0.
    return middle, np.maximum(spread, np.minimum((upper - middle) / 0.52, 3 * spread + 0.004))


def _enlarged(small: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    picture = Image.fromarray(small)
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def _contrast_around(darkness: FloatArray) -> FloatArray:
    """The darkest ink near each pixel, float32, shape (height, width)."""
    height, width = darkness.shape
    block = max(1, round(max(height, width) / _PAPER_SIDE))
    rows, columns = -(-height // block), -(-width // block)
    padded = np.zeros((rows * block, columns * block), np.float32)
    padded[:height, :width] = mean_of_four(darkness) if block > 1 else darkness
    # One axis after the other: both at once take NumPy four times as long.
    darkest = padded.reshape(rows, block, -1).max(axis=1).reshape(rows, columns, block).max(axis=2)
    reach = max(3, round(max(rows, columns) * _CONTRAST_REACH)) | 1
    spread = gaussian_filter(maximum_filter(darkest, reach), reach / 4)
    # A copy: what comes from a picture is read-only.
    return _enlarged(spread, padded.shape)[:height, :width].copy()
