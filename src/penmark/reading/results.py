"""What reading a picture gives."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The label of what stands where a digit could stand and is none.
NO_DIGIT = "?"


@dataclasses.dataclass(frozen=True)
class Digit:
    """One mark of a picture that is a digit, or that has a digit's size and is none.

    Args:
        label: "0" to "9", or "?" for what is no digit.
        probability: of the likeliest digit, 0 to 1, also where the label is "?".
        runner_up: the second likeliest digit, "0" to "9".
        box: x, y, width and height in pixels of the picture, upright as EXIF asks for.
        line: the line of writing it stands in, from 0.
        reason: why the label is "?"; None for a digit.
        probabilities: of the ten digits, float32, shape (10,).
        prepared: what the network saw, uint8, shape (28, 28), light on dark.
    """

    label: str
    probability: float
    runner_up: str
    box: tuple[int, int, int, int]
    line: int
    reason: str | None
    probabilities: NDArray[np.float32] = dataclasses.field(repr=False)
    prepared: NDArray[np.uint8] = dataclasses.field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The digit as `penmark read --json` writes it."""
        document: dict[str, Any] = {
            "label": self.label,
            "probability": round(self.probability, 6),
            "runner_up": self.runner_up,
            "box": list(self.box),
            "line": self.line,
        }
        return document if self.reason is None else document | {"reason": self.reason}


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a picture says.

    Args:
        text: the lines, top to bottom, with a newline between two.
        lines: one string a line; a space stands where digits of one line are far apart.
        digits: in reading order.
        size: width and height of the picture in pixels, upright as EXIF asks for.
        note: what to know about the result, such as that nothing like a digit was found; or None.
    """

    text: str
    lines: tuple[str, ...]
    digits: tuple[Digit, ...]
    size: tuple[int, int]
    note: str | None

    def to_json(self) -> dict[str, Any]:
        """The reading as `penmark read --json` writes it, without the file's name."""
        document: dict[str, Any] = {
            "text": self.text,
            "lines": list(self.lines),
            "digits": [digit.to_json() for digit in self.digits],
        }
        return document if self.note is None else document | {"note": self.note}
