"""What a drawing or a picture says."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penmark.data.dataset import UInt8Array
from penmark.data.preparation import prepare_digit
from penmark.errors import ModelError
from penmark.reading import read
from penmark.reading.classifier import Classifier
from penmark.reading.ink import Ink
from penmark.reading.layout import Line, find_lines
from penmark.reading.marks import find_marks
from penmark.reading.reader import LEAST_PROBABILITY, NOTHING_FOUND, text_of
from penmark.reading.results import NO_DIGIT
from penmark.reading.segmentation import Candidate, Classify, read_lines
from penmark.studio.models import LoadedModel
from penmark.studio.schemas import Answer, Box, ReadDigit

_SIDE_PX = 28
# Marks lower than this share of their line's height are dots and strokes beside the digits.
_LEAST_HEIGHT = 0.28


class _Shared(Classifier):
    """A model of the studio as reading takes it; several callers take turns."""

    def __init__(self, model: LoadedModel) -> None:
        shape = model.input_shape or (_SIDE_PX, _SIDE_PX)
        fits = shape[:2] == (_SIDE_PX, _SIDE_PX) and len(model.class_names) == 10
        if not (model.entry.reads_digits and fits):
            raise ModelError(
                f"{model.entry.title} does not read digits; choose a network of the ten digits"
            )
        self._model = model
        self._input_shape = shape

    def __call__(self, prepared: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(prepared) == 0:
            return np.zeros((0, 10), np.float32)
        images = prepared.reshape(len(prepared), *self._input_shape)
        return self._model.recalled_probabilities(images)


def read_drawing(model: LoadedModel, ink: UInt8Array) -> Answer:
    """Read what was drawn.

    Nothing has to be found out about paper and light, as in a photo: the ink is what the pen did.
    So only what comes after is done, which takes a few milliseconds and can follow the pen.

    Args:
        model: a network of the ten digits.
        ink: uint8, shape (height, width): 0 is paper, 255 is ink.

    Raises:
        ModelError: the network does not read digits.
    """
    started = time.perf_counter()
    classifier = _Shared(model)
    height, width = ink.shape
    top, left, ink = _cropped(ink)
    lines = find_lines(find_marks(_exact(ink)))
    digits: list[ReadDigit] = []
    texts: list[str] = []
    for line, found in zip(lines, read_lines(lines, classifier), strict=True):
        candidates = _without_cut_scrawls(line, found, classifier)
        row = [
            _digit(candidate, len(texts), top, left)
            for candidate in candidates
            if candidate.mark.height >= _LEAST_HEIGHT * line.height
        ]
        if row:
            digits += row
            texts.append(text_of([digit.label for digit in row], [digit.box for digit in row]))
    note = "" if any(digit.label != NO_DIGIT for digit in digits) else NOTHING_FOUND
    return Answer(
        text="\n".join(texts),
        lines=texts,
        digits=digits,
        note=note,
        width=width,
        height=height,
        milliseconds=1000 * (time.perf_counter() - started),
    )


def read_picture(model: LoadedModel, path: Path) -> Answer:
    """Read a picture file.

    Raises:
        DataError: it is no picture, damaged, or too large.
        ModelError: the network does not read digits.
    """
    started = time.perf_counter()
    reading = read(path.read_bytes(), model=_Shared(model))
    width, height = reading.size
    return Answer(
        text=reading.text,
        lines=list(reading.lines),
        digits=[
            _entry(
                digit.label,
                digit.probabilities,
                digit.prepared,
                digit.box,
                digit.line,
                digit.reason or "",
            )
            for digit in reading.digits
        ],
        note=reading.note or "",
        width=width,
        height=height,
        milliseconds=1000 * (time.perf_counter() - started),
    )


def _exact(ink: UInt8Array) -> Ink:
    """Ink that is known: no unevenness of paper, no edge of a sheet."""
    darkness = ink.astype(np.float32) / np.float32(255)
    return Ink(
        amount=ink,
        mask=ink > 127,
        darkness=darkness,
        least=0.5,
        edges=None,
    )


def _without_cut_scrawls(
    line: Line, candidates: Sequence[Candidate], classify: Classify
) -> list[Candidate]:
    """One stroke of the pen is several digits only if each piece of it is one, else no digit."""
    kept = list(candidates)
    for mark in line.marks:
        pieces = [
            candidate
            for candidate in kept
            if candidate.mark.width < mark.width
            and mark.x <= candidate.mark.center[0] <= mark.right
            and mark.y <= candidate.mark.center[1] <= mark.bottom
        ]
        if len(pieces) < 2 or all(piece.probability >= LEAST_PROBABILITY for piece in pieces):
            continue
        prepared = prepare_digit(mark.ink)
        whole = Candidate(mark, prepared, classify(prepared[None])[0])
        own = {id(piece) for piece in pieces}
        first = next(place for place, candidate in enumerate(kept) if id(candidate) in own)
        kept = [candidate for candidate in kept if id(candidate) not in own]
        kept.insert(first, whole)
    return kept


def _cropped(ink: UInt8Array) -> tuple[int, int, UInt8Array]:
    """The part with ink in it, and where it begins: most of a page is empty."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if rows.size == 0:
        return 0, 0, ink[:1, :1]
    part = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return int(rows[0]), int(columns[0]), np.ascontiguousarray(part)


def _digit(candidate: Candidate, line: int, top: int, left: int) -> ReadDigit:
    mark, probabilities = candidate.mark, candidate.probabilities
    sure = candidate.probability >= LEAST_PROBABILITY
    return _entry(
        str(int(probabilities.argmax())) if sure else NO_DIGIT,
        probabilities,
        candidate.prepared,
        (left + mark.x, top + mark.y, mark.width, mark.height),
        line,
        "" if sure else "it resembles no digit",
    )


def _entry(
    label: str,
    probabilities: NDArray[np.float32],
    prepared: UInt8Array,
    box: Box,
    line: int,
    reason: str,
) -> ReadDigit:
    order = np.argsort(-probabilities, kind="stable")
    return ReadDigit(
        label=label,
        probability=float(probabilities[order[0]]),
        runner_up=str(int(order[1])),
        box=box,
        line=line,
        reason=reason,
        probabilities=[float(value) for value in probabilities],
        prepared=base64.b64encode(prepared.tobytes()).decode("ascii"),
    )
