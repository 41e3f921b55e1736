"""What stands on a page beside the digits: specks, marks of the pen, printed words."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from penmark.reading.pages.layout import Bounds, Patch, Row

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

# Words as on forms and lists; letters only, so that every digit on a page is a handwritten one.
_HEADINGS = ("Delivery note", "Meter reading", "Order form", "Score sheet", "Invoice")
_FOOTERS = ("Please write clearly", "Signature of the holder", "Keep this copy", "Page total")
_LABELS = ("Total", "Amount", "Phone", "Code", "Date")
# These come with matplotlib.
_TYPEFACES = ("DejaVuSans.ttf", "DejaVuSansMono.ttf", "STIXGeneral.ttf", "cmr10.ttf")


def specks(
    count: int, bounds: Bounds, *, height_px: float, rng: np.random.Generator
) -> list[Patch]:
    """Dots of dirt, of 1 to 8% of the digit height across, anywhere within the bounds."""
    left, top, right, bottom = bounds
    patches = []
    for _ in range(count):
        x, y = rng.uniform(left, right), rng.uniform(top, bottom)
        radius = 0.5 * height_px * (0.01 + 0.07 * rng.random() ** 2)
        stretch, darkness = rng.uniform(0.6, 1.6), rng.uniform(0.3, 0.9)
        reach = int(np.ceil(radius * 1.7)) + 1
        dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        distance = np.hypot(dx / stretch, dy * stretch)
        # A speck smaller than a pixel darkens its pixel in proportion to its area.
        share = min(1.0, np.pi * radius**2)
        coverage = darkness * share * np.clip(radius + 0.5 - distance, 0.0, 1.0)
        patches.append(Patch(coverage.astype(np.float32), int(x) - reach, int(y) - reach))
    return patches


def marks(
    count: int,
    rows: Sequence[Row],
    *,
    height_px: float,
    pen_width: float,
    rng: np.random.Generator,
) -> list[Patch]:
    """Underlines, ticks, arrows and scribbles, made with the pen that wrote the digits.

    Each row gets one at most, so that they do not pile up; a row that has none left ends it.

    Args:
        count: how many.
        rows: what was written.
        height_px: of the digits.
        pen_width: of the stroke, as a share of that height.
        rng: decides kinds and places.
    """
    patches = []
    # A fixed number of draws for each row, so that one more mark leaves the others where they are.
    order = np.argsort(rng.random(8))
    shapes = rng.random((8, 16))
    for number in [row for row in order if row < len(rows)][:count]:
        row, shape = rows[number], shapes[number]
        wobble = 0.06 * (shape[4:] - 0.5)
        start, end = row.digits[0].left / height_px, row.right / height_px
        kind = int(4 * shape[0])
        if kind == 0:  # an underline
            x = np.linspace(start - 0.1, end + 0.1, 6)
            y = 0.22 + wobble[:6]
        else:
            x0 = end + 0.6 + 0.4 * shape[1]
            x, y = (
                (np.array([0.0, 0.18, 0.6]), np.array([-0.4, -0.1, -0.8])),  # a tick
                (np.array([0.9, 0.0, 0.25, 0.0, 0.25]), np.array([-0.4, -0.4, -0.6, -0.4, -0.2])),
                (
                    np.array([0.0, 0.3, 0.15, 0.5, 0.35, 0.7, 0.55, 0.9]),
                    np.array([-0.2, -0.8, -0.15, -0.75, -0.2, -0.8, -0.15, -0.7]),
                ),
            )[kind - 1]
            x, y = x0 + x + wobble[: len(x)], y + wobble[-len(y) :]
        points = np.stack([x * height_px, y * height_px + row.baseline], axis=1)
        patches.append(_stroke(points, max(1.0, pen_width * height_px)))
    return patches


def _stroke(points: NDArray[np.float64], width_px: float) -> Patch:
    """A polyline drawn with a round pen, anti-aliased by drawing it four times as large."""
    from PIL import Image, ImageDraw

    fine = 4
    margin = int(width_px) + 2
    left, top = (np.floor(points.min(axis=0)) - margin).astype(int)
    right, bottom = (np.ceil(points.max(axis=0)) + margin).astype(int)
    picture = Image.new("L", ((right - left) * fine, (bottom - top) * fine))
    pen = ImageDraw.Draw(picture)
    moved = [tuple(point) for point in (points - (left, top)) * fine]
    pen.line(moved, fill=255, width=round(width_px * fine), joint="curve")
    radius = width_px * fine / 2
    for x, y in (moved[0], moved[-1]):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    small = picture.reduce(fine)
    return Patch(np.asarray(small, np.float32) / np.float32(255), int(left), int(top))


def printed_lines(
    count: int,
    rows: Sequence[Row],
    bounds: Bounds,
    *,
    height_px: float,
    rng: np.random.Generator,
) -> list[Patch]:
    """Printed words: a heading, then a footer, then a word to the left of a row.

    Their size is that of 10 to 16 point type beside digits 8 mm tall.

    Args:
        count: 0 to 3 of them, in that order.
        rows: what was written.
        bounds: of the writing: (left, top, right, bottom).
        height_px: of the digits.
        rng: decides words, typeface and size.
    """
    left, top, _, bottom = bounds
    size_px = height_px * rng.uniform(0.44, 0.70)
    face = _TYPEFACES[int(rng.integers(len(_TYPEFACES)))]
    heading, footer, label = (
        words[int(rng.integers(len(words)))] for words in (_HEADINGS, _FOOTERS, _LABELS)
    )
    row = rows[int(rng.integers(len(rows)))]
    gap = 0.5 * height_px
    patches = []
    for number, words in enumerate((heading, footer, label)[:count]):
        coverage = _printed(words, face, 1.25 * size_px if number == 0 else size_px)
        height, width = coverage.shape
        x, y = (
            (left, top - gap - height),
            (left, bottom + gap),
            (row.digits[0].left - gap - width, row.baseline - height),
        )[number]
        patches.append(Patch(coverage, int(x), int(y)))
    return patches


def _printed(words: str, face: str, size_px: float) -> NDArray[np.float32]:
    from PIL import Image, ImageDraw

    font = _font(face, size_px)
    left, top, right, bottom = font.getbbox(words)
    picture = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(picture).text((1 - left, 1 - top), words, fill=255, font=font)
    return np.asarray(picture, np.float32) / np.float32(255)


@functools.lru_cache(maxsize=64)
def _font(face: str, size_px: float) -> FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / face), size_px
    )
