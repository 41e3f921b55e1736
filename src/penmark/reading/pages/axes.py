"""What makes a page hard to read, as separate axes with physical units.

Every axis runs from 0 (absent) to 1 (as bad as still occurs in pictures that people take of their
own writing, and still read without trouble). The ends were set from the physics and habits named
with each axis, before any page was read by a network, and not from how well pages are read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from penmark.errors import InputError


@dataclasses.dataclass(frozen=True)
class Axis:
    """One way in which pages get harder.

    Args:
        name: how it is called in `compose_page(difficulty={name: level})`.
        unit: of `easy` and `hard`; "" for a count.
        easy, hard: the physical value at level 0 and at level 1.
        geometric: whether equal steps of the level are equal ratios (True) or differences.
        meaning: one line for tables.
    """

    name: str
    unit: str
    easy: float
    hard: float
    meaning: str
    geometric: bool = False

    def value(self, level: float) -> float:
        """The physical value at a level from 0 to 1."""
        if self.geometric:
            return float(self.easy * (self.hard / self.easy) ** level)
        return self.easy + (self.hard - self.easy) * level

    def text(self, level: float) -> str:
        """The physical value with its unit, as people write it."""
        value = self.value(level)
        number = f"{value:.1f}".removesuffix(".0") if abs(value) < 10 else f"{value:.0f}"
        return (
            f"{number.replace('-', '−')}{'' if self.unit in ('%', '°') else ' '}{self.unit}".strip()
        )


_AXES = (
    # How it is written.
    # From a form with a box for each digit to a hurried number: neighbors touch or overlap by
    # about a third of the width of a stroke.
    Axis("spacing", "%", 50, -4, "gap from ink to ink, of the digit height"),
    # Without a ruled line, heights within one handwritten number vary by 10 to 20%.
    Axis("unevenness", "%", 0, 15, "spread of the digits' heights (and baseline, angle)"),
    # Taught slants go to 35° from the vertical (Spencerian 38°); digits are written less slanted.
    Axis("slant", "°", 0, 30, "lean of the writing, either way"),
    # MNIST's strokes are felt-tip broad; a 0.5 mm ballpoint on digits 17 mm tall gives 3%.
    Axis("thinness", "%", 12, 3, "width of the stroke, of the digit height"),
    # A hard pencil, lightly held, touches only the tops of the paper's grain and takes 15 to 20%
    # of the light; in a picture's values that is a fifth of what a felt-tip does.
    Axis("faintness", "%", 100, 20, "contrast in the picture's values, of the pen's full one"),
    # 20 px is what MNIST itself has; an A4 page in 2 megapixels gives 8 mm digits 45 px.
    Axis("smallness", "px", 64, 20, "digit height", geometric=True),
    # One number filling a phone's picture.
    Axis("largeness", "px", 64, 400, "digit height", geometric=True),
    # What it is written on.
    # Feint ruling takes 10 to 25% of the light, the dark squares of exercise books up to 45%.
    Axis("lines", "%", 0, 45, "light that ruled or squared lines take"),
    # Office paper varies by about 1%, recycled paper and wrapping paper by 5% and more.
    Axis("texture", "%", 0, 6, "spread of the surface's reflectance"),
    # A clean sheet; a workshop's or a photocopy's.
    Axis("specks", "", 0, 60, "dots of dirt on the page"),
    # A list that was checked and underlined by hand.
    Axis("marks", "", 0, 4, "underlines, ticks, arrows, scribbles"),
    # A printed form: heading, footer and a word before a row.
    Axis("print", "", 0, 3, "printed lines of words"),
    # Filling the frame; or taken from farther off, with the table around the sheet.
    Axis("desk", "%", 0, 20, "border around the sheet, of its size"),
    # How it is lit.
    # A phone or hand before one lamp; the rest of the room still gives a quarter of the light.
    Axis("shadow", "%", 0, 75, "light lost inside a shadow with a soft edge"),
    # A desk lamp 25 cm above the near end of an A4 sheet leaves a quarter at the far end.
    Axis("falloff", "%", 0, 75, "light lost from the brightest to the darkest place"),
    # Meters aim at middle gray, 2.3 stops below white paper, and white sheets come out gray.
    Axis("underexposure", "stops", 0, 2, "darkness of the whole picture"),
    # Light at 2700 K against a camera set for daylight loses half of its blue.
    Axis("cast", "%", 0, 50, "blue light lost to a warm lamp"),
    # How it is photographed.
    # From straight above; from a chair, with the sheet flat on the table.
    Axis("tilt", "°", 0, 45, "camera away from straight above, any direction"),
    # People turn the sheet as they write, and the phone as they like.
    Axis("rotation", "°", 0, 20, "turn of the page, either way"),
    # In focus; missed by about a third of a felt-tip's stroke. Relative, since what blur does
    # depends on how large the writing is.
    Axis("blur", "%", 0, 4.5, "standard deviation, of the digit height"),
    # Daylight; a phone at its highest sensitivity in lamp light, after its own denoising.
    Axis("noise", "levels", 0, 12, "standard deviation, of 255"),
    # 0 is uncompressed. Messengers recompress to 50 to 70; twice forwarded is worse.
    Axis("compression", "quality", 95, 20, "JPEG quality (libjpeg's scale)"),
)
AXES: Mapping[str, Axis] = {axis.name: axis for axis in _AXES}

# What does not exist on boards and screens, and what not where the writing never left the screen.
_NEEDS_PAPER = ("lines", "print")
_NEEDS_CAMERA = (
    "texture", "specks", "desk", "shadow", "falloff", "underexposure", "cast", "tilt", "rotation",
    "blur", "noise",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Everything that `compose_page` is told about a page but its digits.

    Args:
        difficulty: axis -> level, 0.0 to 1.0; axes that are not named are at 0.
        surface: a name in `SURFACES`.
        pen: a name in `PENS`.
    """

    difficulty: Mapping[str, float] = dataclasses.field(default_factory=dict)
    surface: str = "white paper"
    pen: str = "felt-tip"


# Shares of what is written on and with, in pictures that people bring: paper leads by far. Which
# pens a surface takes is a matter of course: no chalk on paper.
_PAPER_PENS = ("felt-tip", "blue ballpoint", "black ballpoint", "pencil", "red ink", "marker")
_HABITS: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("white paper", 0.50, _PAPER_PENS),
    ("yellow paper", 0.10, _PAPER_PENS),
    ("recycled paper", 0.10, _PAPER_PENS),
    ("whiteboard", 0.06, ("marker", "red ink")),
    ("chalkboard", 0.10, ("chalk",)),
    ("light screen", 0.07, ("felt-tip",)),
    ("dark screen", 0.07, ("light stylus",)),
)


def mixed(level: float, *, seed: int) -> Conditions:
    """Conditions as they come together in pictures: mild in most respects, bad in one or two.

    Each axis is drawn on its own: absent as often as not, otherwise level * u**2 with u uniform
    on 0 to 1, so that small values are more frequent than large ones. At level 1, of the 22 axes
    eleven are present on average, five of them below a quarter and one or two above three
    quarters. Surface and pen are drawn by their shares. Writing on a screen has no camera and no
    light.

    Args:
        level: 0.0 to 1.0, the upper end of every axis.
        seed: same seed, same conditions (at another level: the same, scaled).

    Raises:
        InputError: the level is not between 0 and 1.
    """
    check_level("level", level)
    rng = np.random.default_rng([seed, 0])
    present, u = rng.random((2, len(AXES)))
    difficulty = {
        name: level * float(u[number] ** 2) if present[number] < 0.5 else 0.0
        for number, name in enumerate(AXES)
    }
    # A page cannot be written small and large at once.
    difficulty["smallness" if rng.random() < 0.5 else "largeness"] = 0.0
    shares = [share for _, share, _ in _HABITS]
    surface, _, pens = _HABITS[int(rng.choice(len(_HABITS), p=shares))]
    pen = pens[int(rng.integers(len(pens)))]
    absent: tuple[str, ...] = ()
    if not surface.endswith("paper"):
        absent += _NEEDS_PAPER
    if surface.endswith("screen"):
        absent += _NEEDS_CAMERA
    return Conditions(difficulty | dict.fromkeys(absent, 0.0), surface, pen)


def check_level(name: str, level: float) -> None:
    """Raise InputError unless `level` is a number from 0 to 1."""
    if not 0.0 <= level <= 1.0:
        raise InputError(f"{name} must be from 0 (absent) to 1 (hardest); got {level}")


def physical_values(difficulty: Mapping[str, float]) -> dict[str, float]:
    """Axis -> value in its unit, for every axis.

    Raises:
        InputError: an axis is unknown, or a level is not between 0 and 1.
    """
    for name, level in difficulty.items():
        if name not in AXES:
            raise InputError(f"there is no axis {name!r}; choose from {', '.join(AXES)}")
        check_level(name, level)
    return {name: axis.value(difficulty.get(name, 0.0)) for name, axis in AXES.items()}
