"""A composed page with what was read on it, so that a person can look at the mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from penmark.atomic import replacing
from penmark.reading.measurement import Comparison
from penmark.reading.pages import Page
from penmark.reading.results import Reading

if TYPE_CHECKING:
    from PIL import ImageFont
    from PIL.Image import Image

# Blue for right and vermilion for wrong, as in all figures.
_RIGHT, _WRONG, _GROUND = (0, 114, 178), (213, 94, 0), (255, 255, 255)


def marked_page(page: Page, reading: Reading, compared: Comparison) -> Image:
    """Draw a page: true digits in blue where they were read, in vermilion where not.

    A misread digit shows "7→1", one read as no digit "7→?", one that was not found "7→–"; a found
    digit that matches no true one shows "+1", and a "?" that matches none "+?".

    Args:
        page: its picture and truth.
        reading: what was read on it.
        compared: how both match.
    """
    from PIL import Image, ImageDraw

    picture = Image.fromarray(page.image)
    draw = ImageDraw.Draw(picture)
    heights = sorted(digit.box[3] for digit in page.digits)
    size = min(40.0, max(11.0, 0.35 * heights[len(heights) // 2]))
    font = _font(size)
    width = max(1, round(size / 12))

    def mark(box: tuple[int, int, int, int], text: str, color: tuple[int, int, int]) -> None:
        x, y, w, h = box
        edges = (x - width, y - width, x + w - 1 + width, y + h - 1 + width)
        draw.rectangle(edges, outline=color, width=width)
        if text:
            tag = draw.textbbox((x, max(0.0, y - 1.3 * size)), text, font=font)
            draw.rectangle((tag[0] - 2, tag[1] - 2, tag[2] + 2, tag[3] + 2), fill=color)
            draw.text((x, max(0.0, y - 1.3 * size)), text, fill=_GROUND, font=font)

    read_right = []
    for true, match in zip(page.digits, compared.matches, strict=True):
        said = "–" if match is None else reading.digits[match].label
        if said == true.label:
            read_right.append(true.box)
        else:
            mark(true.box, f"{true.label}→{said}", _WRONG)
    for number in compared.unmatched:
        mark(reading.digits[number].box, f"+{reading.digits[number].label}", _WRONG)
    for box in read_right:
        mark(box, "", _RIGHT)
    return picture


def save_marked_page(folder: Path, page: Page, reading: Reading, compared: Comparison) -> None:
    """Write a marked page as JPEG; the name says how many errors and which seed.

    Raises:
        StorageError: the file system refused.
    """
    name = f"{compared.tally.errors:03d}-errors-seed-{page.seed}.jpg"
    with replacing(folder / name) as temporary:
        marked_page(page, reading, compared).save(temporary, "JPEG", quality=88)


def _font(size: float) -> ImageFont.FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    # Pillow's own font has no arrow.
    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size
    )
