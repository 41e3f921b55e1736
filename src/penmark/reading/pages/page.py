"""Composing a page: digits written on a surface, lit and photographed, with the truth beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.errors import DataError, InputError
from penmark.reading.pages import clutter
from penmark.reading.pages.axes import Conditions, physical_values
from penmark.reading.pages.camera import (
    View,
    compress,
    defocus,
    develop,
    linear_light,
    look_at,
    srgb,
)
from penmark.reading.pages.layout import (
    Bounds,
    Patch,
    Row,
    bounds_of,
    lay_down,
    write_rows,
    writing_from,
)
from penmark.reading.pages.light import LUMINANCE, color_gains, illumination
from penmark.reading.pages.pens import PENS, Pen, covered
from penmark.reading.pages.surface import SURFACES, bare_surface, lay_on_desk, rule

FloatArray = NDArray[np.float32]
UInt8Array = NDArray[np.uint8]

# Each concern draws from a generator of its own, so that changing one axis changes nothing else.
_STREAMS = (
    "writing", "hand", "pen", "clutter", "print", "marks", "frame", "camera", "surface", "lines",
    "desk", "ink", "light", "lens", "sensor",
)  # fmt: skip
# Reflectance of print and dirt.
_PRINT = np.float32(0.06)
# Stroke of a digit that keeps its own, for marks made with the same pen.
_OWN_WIDTH = 0.12


@dataclasses.dataclass(frozen=True)
class TrueDigit:
    """A digit that stands on a page.

    Args:
        label: "0" to "9".
        box: x, y, width, height of its ink in pixels of the picture, before blur.
        line: number of its row, from 0 at the top.
    """

    label: str
    box: tuple[int, int, int, int]
    line: int


@dataclasses.dataclass(frozen=True, eq=False)
class Page:
    """A composed page.

    Args:
        image: uint8, shape (height, width, 3), sRGB.
        lines: the text of each row, from top to bottom.
        digits: row by row, each row from left to right.
        conditions: what was asked for.
        settings: what came of it: each axis's value in its unit, and kinds that were drawn.
        seed: what the page was composed with.
    """

    image: UInt8Array
    lines: tuple[str, ...]
    digits: tuple[TrueDigit, ...]
    conditions: Conditions
    settings: Mapping[str, Any]
    seed: int

    @property
    def text(self) -> str:
        """The rows, parted by newlines."""
        return "\n".join(self.lines)


def compose_page(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    *,
    seed: int,
    difficulty: Mapping[str, float] | None = None,
    surface: str = "white paper",
    pen: str = "felt-tip",
) -> Page:
    """Compose a page of handwritten digits as a camera, a scanner or a screen would give it.

    Digits are redrawn at their size and inked onto a flat page; the page gets its texture, lines,
    print and dirt as reflectance in linear light; a pinhole camera projects it; the illumination
    multiplies it; lens, sRGB curve, sensor noise and JPEG follow. A page of one seed keeps its
    digits, its places and its directions when a level changes.

    Args:
        images: uint8, shape (n, 28, 28), 0 = background: the digits to choose from.
        labels: integers, shape (n,), 0 to 9.
        seed: decides everything that is not asked for; at least 0.
        difficulty: axis (a name in `AXES`) -> level, 0.0 to 1.0; the others are at 0.
        surface: a name in `SURFACES`.
        pen: a name in `PENS`.

    Returns:
        The page, its digits' boxes and labels with it.

    Raises:
        DataError: images and labels are not digits, or an image has no ink.
        InputError: an axis, level, surface or pen that does not exist.
    """
    conditions = Conditions(dict(difficulty or {}), surface, pen)
    levels = conditions.difficulty
    values = physical_values(levels)
    _check(images, labels, conditions)
    rng = {name: np.random.default_rng([seed, number]) for number, name in enumerate(_STREAMS, 1)}
    tool = PENS[pen]
    pen_width = None if tool.width is None else float(rng["pen"].uniform(*tool.width))
    writing = writing_from(values, levels, pen_width=pen_width, rng=rng["hand"])
    height = writing.height_px

    rows = write_rows(images, labels, writing, rng=rng["writing"])
    digits = [patch for row in rows for patch in row.digits]
    drawn = digits + clutter.marks(
        round(values["marks"]),
        rows,
        height_px=height,
        pen_width=writing.pen_width or _OWN_WIDTH,
        rng=rng["marks"],
    )
    printed = clutter.printed_lines(
        round(values["print"]), rows, bounds_of(drawn), height_px=height, rng=rng["print"]
    )
    framed = _padded(bounds_of(drawn + printed), rng["frame"].uniform(0.5, 1.1, 4) * height)
    sheet = _padded(framed, rng["frame"].uniform(0.2, 0.8, 4) * height)
    has_desk = levels.get("desk", 0.0) > 0
    view = look_at(
        sheet if has_desk else framed,
        tilt_degrees=values["tilt"],
        rotation_degrees=values["rotation"] * rng["frame"].choice([-1.0, 1.0]),
        border=values["desk"] / 100,
        rng=rng["camera"],
    )
    dirt = clutter.specks(round(values["specks"]), framed, height_px=height, rng=rng["clutter"])

    shape = (view.size[1], view.size[0])
    settings: dict[str, Any] = {**values, "surface": surface, "pen": pen, "lines_kind": None}
    settings |= {"digit_height": height, "pen_width": writing.pen_width}
    settings |= {"slant": writing.slant_degrees}
    ground = SURFACES[surface]
    reflectance = bare_surface(shape, ground, texture=values["texture"] / 100, rng=rng["surface"])
    if levels.get("lines", 0.0) > 0:
        reflectance, settings["lines_kind"] = rule(
            reflectance,
            view,
            darkness=values["lines"] / 100,
            height_px=height,
            baseline=rows[0].baseline,
            pitch=_pitch(rows, height),
            left=min(patch.left for patch in digits),
            rng=rng["lines"],
        )
    if printed or dirt:
        layer = _seen(printed + dirt, view)[..., None]
        reflectance = reflectance + layer * (_PRINT - reflectance)
    strength = np.float32(ink_strength(tool, ground.color, values["faintness"] / 100))
    stroke = covered(_seen(drawn, view), tool, height_px=height, rng=rng["ink"])[..., None]
    reflectance = reflectance + strength * stroke * (np.array(tool.color, np.float32) - reflectance)
    if has_desk:
        reflectance = lay_on_desk(reflectance, view, sheet, rng=rng["desk"])

    light = illumination(
        shape, falloff=values["falloff"] / 100, shadow=values["shadow"] / 100, rng=rng["light"]
    )
    gains = color_gains(values["cast"] / 100) * np.float32(2.0 ** -values["underexposure"])
    exposed = defocus(
        reflectance * light[..., None] * gains, values["blur"] / 100 * height, rng["lens"]
    )
    image = develop(exposed, values["noise"], rng["sensor"])
    if levels.get("compression", 0.0) > 0:
        image = compress(image, round(values["compression"]))
    truth = tuple(
        TrueDigit(str(label), _box(view, patch), line)
        for line, row in enumerate(rows)
        for patch, label in zip(row.digits, row.labels, strict=True)
    )
    return Page(image, tuple(row.text for row in rows), truth, conditions, settings, seed)


def ink_strength(pen: Pen, surface: tuple[float, float, float], share: float) -> float:
    """How opaque a pen's ink must be to keep a share of its full contrast with a surface.

    Contrast is the difference of ink and surface in the values of a picture (sRGB), where equal
    steps look about equal, for dark ink on light paper and for chalk on a board alike.

    Args:
        pen: its ink covers the surface by what this function returns, 0.0 to 1.0.
        surface: linear reflectance for red, green and blue.
        share: of the contrast that the pen has at full strength, 0.0 to 1.0.
    """
    ground, ink = (float(np.array(color) @ LUMINANCE) for color in (surface, pen.color))
    low, high = float(srgb(np.array(ground))), float(srgb(np.array(ink)))
    return (linear_light(low + share * (high - low)) - ground) / (ink - ground)


def _seen(patches: Sequence[Patch], view: View) -> FloatArray:
    """Patches of the flat page as they lie in the picture."""
    bounds = bounds_of(patches)
    return view.see(lay_down(patches, bounds), bounds[0], bounds[1])


def _box(view: View, patch: Patch) -> tuple[int, int, int, int]:
    """The box of a patch's ink in the picture, in whole pixels that contain it."""
    seen = view.project(patch.outline())
    low, high = np.floor(seen.min(axis=0)), np.ceil(seen.max(axis=0))
    low, high = np.maximum(low, 0), np.minimum(high, view.size)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _padded(bounds: Bounds, padding: NDArray[np.float64]) -> Bounds:
    """Bounds moved outward by so much at the left, top, right and bottom, to whole pixels."""
    moved = np.array(bounds) + np.array([-1, -1, 1, 1]) * np.ceil(padding)
    return int(moved[0]), int(moved[1]), int(moved[2]), int(moved[3])


def _pitch(rows: Sequence[Row], height: float) -> float:
    """The distance of the rows; of a single one, that of feint ruling for its size."""
    return rows[1].baseline - rows[0].baseline if len(rows) > 1 else 1.8 * height


def _check(images: NDArray[np.uint8], labels: NDArray[np.integer], conditions: Conditions) -> None:
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise DataError(
            "pages are composed from uint8 images of shape (n, 28, 28); "
            f"got {images.dtype} of shape {images.shape}"
        )
    if len(images) == 0 or labels.shape != (len(images),):
        raise DataError(
            f"there must be a label for each image; got {labels.shape} for {len(images)}"
        )
    if labels.min() < 0 or labels.max() > 9:
        raise DataError(f"labels must be digits, 0 to 9; got {labels.min()} to {labels.max()}")
    for kind, name, known in (
        ("surface", conditions.surface, SURFACES),
        ("pen", conditions.pen, PENS),
    ):
        if name not in known:
            raise InputError(f"there is no {kind} {name!r}; choose from {', '.join(known)}")
    if min(conditions.difficulty.get(name, 0.0) for name in ("smallness", "largeness")) > 0:
        raise InputError("a page is written small or large: give smallness or largeness, not both")
