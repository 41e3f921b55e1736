"""`read`: from a picture to the digits written in it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from penmark.reading.classifier import Classifier, default_model
from penmark.reading.ink import find_ink, light_share
from penmark.reading.layout import Line, find_lines
from penmark.reading.marks import Mark, digit_marks, find_marks
from penmark.reading.picture import Picture, open_picture
from penmark.reading.results import NO_DIGIT, Digit, Reading
from penmark.reading.ruling import without_ruling
from penmark.reading.segmentation import Candidate, read_lines

# Below this probability of the likeliest digit a mark is no digit.
LEAST_PROBABILITY = 0.6
# Digits of a line that stand further apart than this, in line heights, get a space.
_WORD_GAP = 1.2
NOTHING_FOUND = "nothing like a digit was found"


def read(image: Any, *, model: Any = None) -> Reading:
    """Find and read the handwritten digits of a picture.

    Args:
        image: the path of an image file; its content as bytes; a PIL image; or an array of shape
            (height, width), (height, width, 1), (height, width, 3) for RGB or
            (height, width, 4) for RGBA: uint8 from 0 to 255, uint16 from 0 to 65535, bool, or
            float from 0 to 1 (from 0 to 255 if one value is above 1). Of a file with several
            frames or pages the first is read, and `note` says so.
        model: a run's folder, a `.keras` file or a `keras.Model` that tells the ten digits apart
            on 28×28 gray images; None for the network that comes with penmark.

    Returns:
        The text, its lines, and each digit with its box, probability and prepared image. Where
        there is nothing like a digit, `text` is empty and `note` says so.

    Raises:
        DataError: the image cannot be read: missing, damaged, too large, or of a wrong shape.
        ModelError: the model cannot be loaded, or does not read digits.
    """
    picture = open_picture(image)
    if model is None:
        model = default_model()
    return read_picture(picture, model if isinstance(model, Classifier) else Classifier(model))


def read_picture(picture: Picture, classifier: Classifier) -> Reading:
    """`read` for a picture that is open already."""
    share = light_share(picture.pixels)
    digits = _read_ink(picture, share > 0.5, classifier)
    if _doubtful(digits):
        digits = max(digits, _read_ink(picture, share <= 0.5, classifier), key=_weight)
    return _reading(digits, picture)


def _doubtful(rows: list[list[Digit]]) -> bool:
    """Whether a fifth of what was found reads as no digit: ink and ground may be mixed up."""
    found = [digit.reason is None for row in rows for digit in row]
    return sum(found) <= 0.8 * len(found) or not found


def _read_ink(picture: Picture, light: bool, classifier: Classifier) -> list[list[Digit]]:
    ink = without_ruling(find_ink(picture.pixels, light=light))
    marks = digit_marks(find_marks(ink), ink.mask.shape)
    lines = find_lines(marks)
    rows = read_lines(lines, classifier)
    kept = [_digits_of(line, row, picture) for line, row in zip(lines, rows, strict=True)]
    return _without_stray([_text_apart(row) for row in kept])


def _text_apart(row: list[Digit]) -> list[Digit]:
    """Where much of a line is no digit it is letters, and what resembles digits there is none."""
    others = sum(digit.reason is not None for digit in row)
    if others < 3 or others < 0.34 * len(row):
        return row
    return [
        dataclasses.replace(digit, label=NO_DIGIT, reason="it stands among letters or scribble")
        if digit.reason is None
        else digit
        for digit in row
    ]


def _without_stray(rows: list[list[Digit]]) -> list[list[Digit]]:
    """Leave out what is no digit and stands beside none, unless there is nothing else."""
    if not any(digit.reason is None for row in rows for digit in row):
        return [row for row in rows if row]
    usual = float(np.median([digit.box[3] for row in rows for digit in row if not digit.reason]))
    kept = []
    for row in rows:
        digits = [digit for digit in row if digit.reason is None]
        # Alone and far larger than all others stands a shadow or an edge, not a digit.
        if not digits or (len(digits) == 1 and digits[0].box[3] > 1.8 * usual):
            continue
        height = float(np.median([digit.box[3] for digit in digits]))
        kept.append(
            [
                digit
                for digit in row
                if digit.reason is None
                or (
                    0.6 * height < digit.box[3] < 1.7 * height
                    and any(_gap(digit, other) < 1.5 * height for other in digits)
                )
            ]
        )
    return kept


def _gap(one: Digit, other: Digit) -> int:
    """Pixels between two boxes from left to right."""
    first, second = sorted((one.box, other.box))
    return second[0] - first[0] - first[2]


def _weight(rows: list[list[Digit]]) -> float:
    """How much was read: digits as far as they are certain, less what is none."""
    return sum(digit.probability if digit.reason is None else -0.7 for row in rows for digit in row)


def _digits_of(line: Line, row: list[Candidate], picture: Picture) -> list[Digit]:
    digits = []
    for candidate in row:
        mark = candidate.mark
        if max(mark.height, mark.width) < 0.4 * line.height or mark.height < 0.28 * line.height:
            continue
        reason = None if candidate.probability >= LEAST_PROBABILITY else "it resembles no digit"
        first, second = np.argsort(-candidate.probabilities, kind="stable")[:2]
        digits.append(
            Digit(
                label=str(first) if reason is None else NO_DIGIT,
                probability=candidate.probability,
                runner_up=str(second),
                box=_box(mark, picture),
                line=0,
                reason=reason,
                probabilities=candidate.probabilities,
                prepared=candidate.prepared,
            )
        )
    return digits


def _box(mark: Mark, picture: Picture) -> tuple[int, int, int, int]:
    """The mark's box in pixels of the original."""
    across, down = picture.scale
    left, top = int(mark.x * across), int(mark.y * down)
    right = min(picture.size[0], max(left + 1, round(mark.right * across)))
    bottom = min(picture.size[1], max(top + 1, round(mark.bottom * down)))
    return left, top, right - left, bottom - top


def _reading(rows: list[list[Digit]], picture: Picture) -> Reading:
    numbered = [
        dataclasses.replace(digit, line=number) for number, row in enumerate(rows) for digit in row
    ]
    lines = tuple(_text(row) for row in rows)
    notes = [picture.note] if picture.note else []
    if not any(digit.reason is None for digit in numbered):
        notes.append(NOTHING_FOUND)
    return Reading("\n".join(lines), lines, tuple(numbered), picture.size, "; ".join(notes) or None)


def _text(row: list[Digit]) -> str:
    height = float(np.median([digit.box[3] for digit in row]))
    text = row[0].label
    for left, right in zip(row, row[1:], strict=False):
        gap = right.box[0] - (left.box[0] + left.box[2])
        text += (" " if gap > _WORD_GAP * height else "") + right.label
    return text
