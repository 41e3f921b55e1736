"""Pictures of a reading: boxes and labels on the photo, and the images that the network saw."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from penmark.atomic import replacing
from penmark.errors import InputError
from penmark.reading.results import Reading

_DIGIT, _OTHER = (0, 122, 94), (196, 62, 30)
_PAGE, _TEXT = (255, 255, 255), (30, 34, 40)


def annotated(picture: Image.Image, reading: Reading) -> Image.Image:
    """The upright picture in RGB with a box and a label for every digit.

    Labels are white on a filled tag, so that they can be read on any ground.

    Args:
        picture: upright, of the size that `reading` was made from or reduced.
        reading: what was read in it.
    """
    drawn = picture.convert("RGB")
    scale = drawn.width / reading.size[0]
    draw = ImageDraw.Draw(drawn)
    heights = sorted(digit.box[3] * scale for digit in reading.digits)
    usual = heights[len(heights) // 2] if heights else 0.0
    size = max(11.0, min(0.45 * usual, max(drawn.size) / 24))
    font = ImageFont.load_default(size)
    width = max(1, round(size / 9))
    for digit in reading.digits:
        x, y, w, h = (value * scale for value in digit.box)
        color = _DIGIT if digit.reason is None else _OTHER
        box = (x - width, y - width, x + w + width, y + h + width)
        draw.rectangle(box, outline=_PAGE, width=2 * width)
        draw.rectangle(box, outline=color, width=width)
        left, top, right, bottom = draw.textbbox((0, 0), digit.label, font=font)
        pad = size / 6
        tag_w, tag_h = right - left + 2 * pad, bottom - top + 2 * pad
        tag_x = min(max(0.0, x - width), drawn.width - tag_w)
        tag_y = y - width - tag_h
        if tag_y < 0:
            tag_y = min(y + h + width, drawn.height - tag_h)
        draw.rectangle((tag_x, tag_y, tag_x + tag_w, tag_y + tag_h), fill=color)
        draw.text((tag_x + pad - left, tag_y + pad - top), digit.label, fill=_PAGE, font=font)
    return drawn


def prepared_sheet(reading: Reading, *, columns: int = 10, zoom: int = 4) -> Image.Image:
    """The 28×28 images that the network saw, each with its label, probability and runner-up.

    Args:
        reading: what was read.
        columns: images in a row.
        zoom: pixels for each of theirs.
    """
    side, gap, caption = 28 * zoom, 12, 40
    count = len(reading.digits)
    across = max(1, min(columns, count))
    rows = max(1, -(-count // across))
    sheet = Image.new(
        "RGB", (gap + across * (side + gap), gap + rows * (side + caption + gap)), _PAGE
    )
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(18), ImageFont.load_default(12)
    for index, digit in enumerate(reading.digits):
        x = gap + index % across * (side + gap)
        y = gap + index // across * (side + caption + gap)
        image = Image.fromarray(digit.prepared).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(image.convert("RGB"), (x, y))
        color = _DIGIT if digit.reason is None else _OTHER
        draw.text((x, y + side + 4), digit.label, fill=color, font=large)
        said = f"{100 * digit.probability:.1f}%, or {digit.runner_up}"
        draw.text((x + 20, y + side + 9), said, fill=_TEXT, font=small)
    if count == 0:
        draw.text((gap, gap), "no digits", fill=_TEXT, font=large)
    return sheet


def save_image(image: Image.Image, path: Path) -> None:
    """Write an image, whole or not at all, in the format that its file's name asks for.

    Raises:
        InputError: the name asks for no format that can be written.
        StorageError: the file system refused.
    """
    with replacing(path) as temporary:
        try:
            image.save(temporary)
        except (ValueError, KeyError) as error:
            raise InputError(f"cannot save a picture as {path}; name it .png or .jpg") from error
