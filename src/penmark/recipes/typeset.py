"""Printed characters that are no digit's double, prepared as reading prepares what it finds."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penmark.data.preparation import prepare_digits

UInt8Array = NDArray[np.uint8]

# Without the letters that a hand-written digit may look like: no B, D, G, I, J, L, O, Q, S, U, Z,
# nor b, g, i, j, l, o, q, s, y, z.
CHARACTERS = "ACEFHKMNPRTVWXYacdefhkmnprtuvwx#%@+*="
# Matplotlib carries them along. Its other families are left for tests.
_FACES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
)
_SIZE_PX = 64


@functools.cache
def glyphs() -> UInt8Array:
    """Every character in every face, uint8, shape (n, 28, 28), light on black."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    inks = []
    for face in _FACES:
        font = ImageFont.truetype(folder / f"{face}.ttf", _SIZE_PX)
        for character in CHARACTERS:
            picture = Image.new("L", (2 * _SIZE_PX, 2 * _SIZE_PX))
            ImageDraw.Draw(picture).text((_SIZE_PX // 2, 0), character, font=font, fill=255)
            inks.append(np.asarray(picture))
    return prepare_digits(inks)
