"""`read`: from a picture to the digits written in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from penmark.reading.classifier import Classifier, default_model
from penmark.reading.filters import median
from penmark.reading.ink import Ink, find_ink, light_share, measure_darkness
from penmark.reading.layout import Line, find_lines
from penmark.reading.marks import Mark, digit_marks, find_marks, weighted_quantile
from penmark.reading.picture import Picture, open_picture
from penmark.reading.results import NO_DIGIT, Box, Digit, Reading
from penmark.reading.ruling import without_ruling
from penmark.reading.segmentation import Candidate, read_lines

FloatArray = NDArray[np.float32]

# Below this probability of the likeliest digit a mark is no digit.
LEAST_PROBABILITY = 0.6
# Digits of a line that stand further apart than this, in line heights, get a space.
_WORD_GAP = 1.2
# Printed letters of a word stand closer than this, digits written by hand often do not.
_LETTER_GAP = 0.35
# So many digits that begin or end a line of text, and are so much higher, are a number beside it.
_SHORTEST_NUMBER = 3
_HANDWRITTEN = 1.3
# Strokes may be in grains where a blur that joins them makes marks so much higher; fewer marks than
# this are not worth the time.
_HIGHER, _FEW = 1.3, 12
# Marks that are read in several ways: more, as noise leaves them, would take seconds.
_MANY = 300
# In pictures of so many pixels each way a look at half the size tells first, with less certainty.
_LARGE, _MAY_BE_HIGHER = 800, 1.15
# Standard deviations of that blur, in widths of a stroke.
_BLURS = (1.0, 0.7)
# Where the share of light ink is nearer to one half than this, both kinds of ink are read: a white
# sheet on a dark table looks like ink itself.
_UNSURE = 0.35
# The short stroke of a tick is at most this share of the long one's height.
_SHORT_STROKE = 0.7
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
    if abs(share - 0.5) < _UNSURE or _doubtful(digits):
        digits = max(digits, _read_ink(picture, share <= 0.5, classifier), key=_weight)
    return _reading(digits, picture)


def _doubtful(rows: list[list[Digit]]) -> bool:
    """Whether a fifth of what was found reads as no digit: ink and ground may be mixed up."""
    found = [digit.reason is None for row in rows for digit in row]
    return sum(found) <= 0.8 * len(found) or not found


def _read_ink(picture: Picture, light: bool, classifier: Classifier) -> list[list[Digit]]:
    """The best of the readings of one kind of ink."""
    readings = [_read_marks(marks, picture, classifier) for marks in _ways_to_mark(picture, light)]
    return max(readings, key=_area_read)


def _read_marks(marks: list[Mark], picture: Picture, classifier: Classifier) -> list[list[Digit]]:
    lines = find_lines(marks)
    rows = read_lines(lines, classifier)
    kept = [_digits_of(line, row, picture) for line, row in zip(lines, rows, strict=True)]
    return _without_stray(kept)


def _ways_to_mark(picture: Picture, light: bool) -> list[list[Mark]]:
    """Marks that may be digits; where pencil or chalk left only grains of its strokes, joined too.

    A blur about as wide as the strokes joins grains and, where digits stand close, digits as well:
    it is tried where what is joined is higher than its pieces.
    """
    darkness, edges = measure_darkness(picture.pixels, light=light)
    ink = without_ruling(find_ink(darkness, edges))
    marks = _marks(ink)
    if len(marks) < _FEW:
        return [marks]
    stroke = median([mark.stroke for mark in marks])
    height = _typical_height(marks)
    ways = []
    for share in _BLURS:
        if not _may_join(ink.darkness, edges, share * stroke, height):
            break
        joined = _marks(find_ink(ink.darkness, edges, smoothing=share * stroke))
        if _typical_height(joined) <= _HIGHER * height:
            break
        ways.append(joined)
        if len(joined) > _MANY:
            break
    ways.append(marks)
    kept = ways[:1]
    for way in ways[1:]:
        if sum(map(len, kept)) + len(way) <= _MANY:
            kept.append(way)
    return kept


def _may_join(darkness: FloatArray, edges: FloatArray, smoothing: float, height: float) -> bool:
    """Whether so wide a blur may make marks of this height higher, by a look at half the size.

    What the blur leaves of them hardly loses by that, and the look takes a fraction of the time.
    """
    if min(darkness.shape) < _LARGE:
        return True
    halved = np.asarray(Image.fromarray(darkness).reduce(2))
    joined = _marks(find_ink(halved, edges, smoothing=smoothing / 2))
    return 2 * _typical_height(joined) > _MAY_BE_HIGHER * height


def _marks(ink: Ink) -> list[Mark]:
    return digit_marks(find_marks(ink), ink.mask.shape)


def _typical_height(marks: list[Mark]) -> float:
    """The height of the marks that half of the ink belongs to."""
    if not marks:
        return 0.0
    return weighted_quantile(
        [float(mark.height) for mark in marks], [mark.length for mark in marks], 0.5
    )


def _reasons(row: list[Candidate]) -> list[str | None]:
    """For each candidate of a line why it is no digit, or None."""
    reasons: list[str | None] = [
        None if candidate.probability >= LEAST_PROBABILITY else "it resembles no digit"
        for candidate in row
    ]
    doubtful = [
        reason is not None or candidate.of_narrow
        for candidate, reason in zip(row, reasons, strict=True)
    ]
    letters = _letters([candidate.mark.box for candidate in row], reasons, doubtful)
    return [
        "it stands among letters or scribble" if reason is None and is_letter else reason
        for reason, is_letter in zip(reasons, letters, strict=True)
    ]


def _is_tick(left: Candidate, right: Candidate) -> bool:
    """Whether two neighbors are the strokes of a tick: as ones, they would be very unequal.

    Together they were no digit, or they would not have been cut apart.
    """
    if not (left.of_narrow and right.of_narrow and _gap(left.mark.box, right.mark.box) <= 1):
        return False
    ones = all(candidate.probabilities.argmax() == 1 for candidate in (left, right))
    return ones and left.mark.height < _SHORT_STROKE * right.mark.height


def _letters(
    boxes: list[Box], reasons: list[str | None], doubtful: list[bool]
) -> NDArray[np.bool_]:
    """Which candidates of a line belong to words: what resembles digits there is none.

    Half of a word, or a third of a phrase, is no digit or was cut from what is as narrow as one.
    Only a number that begins or ends such a phrase and is higher than the letters, as after the
    name of a form's field, is kept.
    """
    letters = np.zeros(len(boxes), np.bool_)
    for word in _parted(boxes, _LETTER_GAP):
        others = sum(reason is not None for reason in reasons[word])
        # In a word much lower than its line one letter is enough.
        is_low = _usual_height(boxes[word]) < 0.6 * _usual_height(boxes)
        letters[word] = others >= max(1 if is_low else 2, 0.5 * len(reasons[word]))
    for phrase in _parted(boxes, _WORD_GAP):
        length = len(boxes[phrase])
        others = sum(reason is not None for reason in reasons[phrase])
        if sum(doubtful[phrase]) >= max(3, 0.34 * length) or others >= max(2, 0.5 * length):
            clear = ~(letters[phrase] | np.array(doubtful[phrase]))
            heights = np.array([box[3] for box in boxes[phrase]])
            letters[phrase] = True
            from_start = np.logical_and.accumulate(clear)
            from_end = np.logical_and.accumulate(clear[::-1])[::-1]
            for number in (from_start, from_end):
                if _SHORTEST_NUMBER <= number.sum() < length and (
                    median(heights[number]) > _HANDWRITTEN * median(heights[~number])
                ):
                    letters[phrase] &= ~number
    return letters


def _parted(boxes: Sequence[Box], gap: float) -> list[slice]:
    """A line's boxes, in order, parted where more than this many line heights lie between."""
    if not boxes:
        return []
    widest = gap * _usual_height(boxes)
    starts = [0]
    for place, (left, right) in enumerate(zip(boxes, boxes[1:], strict=False), 1):
        if _gap(left, right) > widest:
            starts.append(place)
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], len(boxes)], strict=True)]


def _without_stray(rows: list[list[Digit]]) -> list[list[Digit]]:
    """Leave out what is no digit and stands beside none, unless there is nothing else."""
    if not any(digit.reason is None for row in rows for digit in row):
        return [row for row in rows if row]
    usual = _usual_height([digit.box for row in rows for digit in row if not digit.reason])
    kept = []
    for row in rows:
        digits = [digit for digit in row if digit.reason is None]
        # Alone and far larger than all others stands a shadow or an edge, not a digit.
        if not digits or (len(digits) == 1 and digits[0].box[3] > 1.8 * usual):
            continue
        height = _usual_height([digit.box for digit in digits])
        kept.append(
            [
                digit
                for digit in row
                if digit.reason is None
                or (
                    0.6 * height < digit.box[3] < 1.7 * height
                    and any(_gap(digit.box, other.box) < 1.5 * height for other in digits)
                )
            ]
        )
    return kept


def _gap(one: Box, other: Box) -> int:
    """Pixels between two boxes from left to right."""
    first, second = sorted((one, other))
    return second[0] - first[0] - first[2]


def _usual_height(boxes: Sequence[Box]) -> float:
    return median([box[3] for box in boxes]) if boxes else 0.0


def _weight(rows: list[list[Digit]]) -> float:
    """How much was read: digits as far as they are certain, less what is none."""
    return sum(_worth(digit) for row in rows for digit in row)


def _area_read(rows: list[list[Digit]]) -> float:
    """The same, each as far as its box goes: pieces of a digit are more, but each is smaller."""
    return sum(_worth(digit) * digit.box[2] * digit.box[3] for row in rows for digit in row)


def _worth(digit: Digit) -> float:
    return digit.probability if digit.reason is None else -0.7


def _digits_of(line: Line, row: list[Candidate], picture: Picture) -> list[Digit]:
    # Before what is small is left out, as the short stroke mostly is.
    ticks = [pair for pair in zip(row, row[1:], strict=False) if _is_tick(*pair)]
    row = [
        candidate
        for candidate in row
        if max(candidate.mark.height, candidate.mark.width) >= 0.4 * line.height
        and candidate.mark.height >= 0.28 * line.height
    ]
    digits = []
    for candidate, reason in zip(row, _reasons(row), strict=True):
        if any(candidate is stroke for tick in ticks for stroke in tick):
            reason = "it resembles a tick"
        first, second = np.argsort(-candidate.probabilities, kind="stable")[:2]
        digits.append(
            Digit(
                label=str(first) if reason is None else NO_DIGIT,
                probability=candidate.probability,
                runner_up=str(second),
                box=_box(candidate.mark, picture),
                line=0,
                reason=reason,
                probabilities=candidate.probabilities,
                prepared=candidate.prepared,
            )
        )
    return digits


def _box(mark: Mark, picture: Picture) -> Box:
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
    lines = tuple(
        text_of([digit.label for digit in row], [digit.box for digit in row]) for row in rows
    )
    notes = [picture.note] if picture.note else []
    if not any(digit.reason is None for digit in numbered):
        notes.append(NOTHING_FOUND)
    return Reading("\n".join(lines), lines, tuple(numbered), picture.size, "; ".join(notes) or None)


def text_of(labels: Sequence[str], boxes: Sequence[Box]) -> str:
    """The labels of a line, in order, with a space where their boxes stand far apart."""
    return " ".join("".join(labels[phrase]) for phrase in _parted(boxes, _WORD_GAP))
