"""How well pictures are read: composed pages, whose truth is known, against what was read.

A found box is matched with a true one where their overlap (intersection over union) is at least
one half, the usual rule for detections (Everingham et al., "The PASCAL Visual Object Classes
challenge", IJCV 2010, section 4.2.2); among all ways to pair them the one of the largest total
overlap counts (the assignment problem; Kuhn 1955). A box narrower than half its height is widened
to that about its middle first: the box of a 1 is a few pixels wide, and one pixel of blur on each
side would halve its overlap.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penmark.errors import InputError
from penmark.reading.pages import AXES, Conditions, Page, compose_page, mixed
from penmark.reading.results import NO_DIGIT, Reading

UInt8Array = NDArray[np.uint8]

LEAST_OVERLAP = 0.5
# The axes are walked in quarters; level 0 of all of them is the clean page.
LEVELS = (0.25, 0.5, 0.75, 1.0)
# Of so many pages for the overall result, each point on an axis gets one.
PAGES_PER_AXIS_PAGE = 5
_RESAMPLES = 2000


@dataclasses.dataclass(frozen=True)
class Tally:
    """Counts over pages; tallies add up.

    Args:
        pages: how many, and of these `pages_correct` with every row read correctly and nothing
            else found.
        digits: true digits, each of them one of `correct`, `misread` (matched, with another
            label), `questioned` (matched with a "?") and `missed` (not matched).
        false_digits: found digits that match no true one.
        false_questions: the same of "?".
        rows: true rows, and of these `rows_correct` read exactly: the line of the reading that
            holds the row's digits says what the row says, nothing more; spaces do not count.
        seconds: spent reading.
    """

    pages: int = 0
    pages_correct: int = 0
    digits: int = 0
    correct: int = 0
    misread: int = 0
    questioned: int = 0
    missed: int = 0
    false_digits: int = 0
    false_questions: int = 0
    rows: int = 0
    rows_correct: int = 0
    seconds: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            **{
                field.name: getattr(self, field.name) + getattr(other, field.name)
                for field in dataclasses.fields(Tally)
            }
        )

    @property
    def digit_accuracy(self) -> float:
        """Share of the true digits that were found and read correctly, 0.0 to 1.0."""
        return self.correct / self.digits if self.digits else math.nan

    @property
    def row_accuracy(self) -> float:
        """Share of the true rows that were read exactly, 0.0 to 1.0."""
        return self.rows_correct / self.rows if self.rows else math.nan

    @property
    def false_digits_per_page(self) -> float:
        return self.false_digits / self.pages if self.pages else math.nan

    @property
    def errors(self) -> int:
        """Digits not read correctly, and digits found where there are none."""
        return self.digits - self.correct + self.false_digits

    def to_json(self) -> dict[str, Any]:
        """Counts and shares."""
        shares = {
            "digit_accuracy": self.digit_accuracy,
            "row_accuracy": self.row_accuracy,
            "false_digits_per_page": self.false_digits_per_page,
        }
        return {name: None if math.isnan(v) else v for name, v in shares.items()} | (
            dataclasses.asdict(self)
        )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One page's truth against its reading.

    Args:
        tally: of this page.
        matches: for each true digit the number of the found one, or None.
        unmatched: numbers of the found ones that match none.
    """

    tally: Tally
    matches: tuple[int | None, ...]
    unmatched: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Measurement:
    """How well composed pages were read.

    Args:
        seed: decided the pages.
        overall: pages whose difficulties come together as they occur (`mixed`).
        digit_interval, row_interval: 95% confidence intervals of both accuracies over all pages
            that could have been composed, by resampling pages.
        surfaces, pens: the pages of `overall` by what is written on and with.
        clean: pages with every axis at 0.
        axes: axis -> one tally for each of `LEVELS`, all other axes at 0. The pages of all
            points have the same digits and layout, so that only the axis differs.
    """

    seed: int
    overall: Tally
    digit_interval: tuple[float, float]
    row_interval: tuple[float, float]
    surfaces: Mapping[str, Tally]
    pens: Mapping[str, Tally]
    clean: Tally
    axes: Mapping[str, tuple[Tally, ...]]

    def to_json(self) -> dict[str, Any]:
        """The document of `penmark evaluate --pages --json`."""
        return {
            "seed": self.seed,
            **self.overall.to_json(),
            "digit_interval": list(self.digit_interval),
            "row_interval": list(self.row_interval),
            "surfaces": {name: tally.to_json() for name, tally in self.surfaces.items()},
            "pens": {name: tally.to_json() for name, tally in self.pens.items()},
            "clean": self.clean.to_json(),
            "axes": {
                name: [
                    {"level": level, "value": AXES[name].value(level), "unit": AXES[name].unit}
                    | tally.to_json()
                    for level, tally in zip(LEVELS, tallies, strict=True)
                ]
                for name, tallies in self.axes.items()
            },
        }


def measure(
    read: Callable[[UInt8Array], Reading],
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    *,
    pages: int = 100,
    seed: int = 0,
    axes: Sequence[str] | None = None,
    on_page: Callable[[Page, Reading, Comparison], None] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Measurement:
    """Read composed pages and compare.

    Args:
        read: from a page, uint8 of shape (height, width, 3), to its reading.
        images: uint8, shape (n, 28, 28): digits that no training has seen.
        labels: integers, shape (n,), 0 to 9.
        pages: for the overall result; a fifth as many, rounded up, for each point on an axis.
        seed: decides the pages; the same pages whatever `pages` is, only more of them.
        axes: the axes to walk; None for all.
        on_page: is given each page of the overall result.
        progress: is told how many pages are done, of `pages_to_read`.

    Raises:
        InputError: fewer than one page, a negative seed, or an unknown axis.
        DataError: the images are not digits.
    """
    chosen = tuple(AXES) if axes is None else tuple(axes)
    pages_to_read(pages, axes=chosen)  # refuses what cannot be measured
    if seed < 0:
        raise InputError(f"the seed must be 0 or more; got {seed}")
    done = 0

    def one(number: int, conditions: Conditions) -> tuple[Page, Reading, Comparison]:
        nonlocal done
        page = compose_page(
            images,
            labels,
            seed=_page_seed(seed, number),
            difficulty=conditions.difficulty,
            surface=conditions.surface,
            pen=conditions.pen,
        )
        started = time.perf_counter()
        reading = read(page.image)
        seconds = time.perf_counter() - started
        done += 1
        progress(done)
        return page, reading, compare(page, reading, seconds=seconds)

    overall: list[Tally] = []
    surfaces: dict[str, Tally] = {}
    pens: dict[str, Tally] = {}
    for number in range(pages):
        page, reading, compared = one(number, mixed(1.0, seed=_page_seed(seed, number)))
        overall.append(compared.tally)
        for group, name in ((surfaces, page.conditions.surface), (pens, page.conditions.pen)):
            group[name] = group.get(name, Tally()) + compared.tally
        if on_page is not None:
            on_page(page, reading, compared)

    def point(difficulty: Mapping[str, float]) -> Tally:
        numbers = range(pages_per_point(pages))
        return sum((one(n, Conditions(difficulty))[2].tally for n in numbers), Tally())

    clean = point({})
    walked = {name: tuple(point({name: level}) for level in LEVELS) for name in chosen}
    return Measurement(
        seed=seed,
        overall=sum(overall, Tally()),
        digit_interval=_interval([(t.correct, t.digits) for t in overall]),
        row_interval=_interval([(t.rows_correct, t.rows) for t in overall]),
        surfaces=dict(sorted(surfaces.items(), key=lambda item: -item[1].pages)),
        pens=dict(sorted(pens.items(), key=lambda item: -item[1].pages)),
        clean=clean,
        axes=walked,
    )


def pages_per_point(pages: int) -> int:
    """Pages for each point on an axis, where the overall result gets `pages`."""
    return math.ceil(pages / PAGES_PER_AXIS_PAGE)


def pages_to_read(pages: int, *, axes: Sequence[str] | None = None) -> int:
    """How many pages `measure` composes and reads in all.

    Raises:
        InputError: fewer than one page, or an unknown axis.
    """
    if pages < 1:
        raise InputError(f"there must be at least one page to read; got {pages}")
    for name in axes or ():
        if name not in AXES:
            raise InputError(f"there is no axis {name!r}; choose from {', '.join(AXES)}")
    walked = len(AXES) if axes is None else len(axes)
    return pages + pages_per_point(pages) * (1 + walked * len(LEVELS))


def _page_seed(seed: int, number: int) -> int:
    return 1_000_003 * seed + number


def compare(page: Page, reading: Reading, *, seconds: float = 0.0) -> Comparison:
    """Match the digits of a reading with those of the page, and count.

    Args:
        page: the truth.
        reading: what was read on it.
        seconds: that it took, for the tally.
    """
    pairs = match_boxes(
        [digit.box for digit in page.digits], [digit.box for digit in reading.digits]
    )
    counts: Counter[str] = Counter()
    lines_of_row: list[Counter[int]] = [Counter() for _ in page.lines]
    for number, true in enumerate(page.digits):
        if number not in pairs:
            counts["missed"] += 1
            continue
        found = reading.digits[pairs[number]]
        lines_of_row[true.line][found.line] += 1
        if found.label == NO_DIGIT:
            counts["questioned"] += 1
        else:
            counts["correct" if found.label == true.label else "misread"] += 1
    matched = set(pairs.values())
    unmatched = tuple(n for n in range(len(reading.digits)) if n not in matched)
    questions = sum(reading.digits[n].label == NO_DIGIT for n in unmatched)
    read_lines = ["".join(line.split()) for line in reading.lines]
    rows_correct = sum(
        bool(lines) and read_lines[lines.most_common(1)[0][0]] == text
        for text, lines in zip(page.lines, lines_of_row, strict=True)
    )
    whole = rows_correct == len(page.lines) and not unmatched
    tally = Tally(
        pages=1,
        pages_correct=int(whole),
        digits=len(page.digits),
        correct=counts["correct"],
        misread=counts["misread"],
        questioned=counts["questioned"],
        missed=counts["missed"],
        false_digits=len(unmatched) - questions,
        false_questions=questions,
        rows=len(page.lines),
        rows_correct=rows_correct,
        seconds=seconds,
    )
    return Comparison(tally, tuple(pairs.get(n) for n in range(len(page.digits))), unmatched)


def match_boxes(
    true: Sequence[tuple[int, int, int, int]], found: Sequence[tuple[int, int, int, int]]
) -> dict[int, int]:
    """Pair boxes that overlap by at least one half, for the largest total overlap.

    Args:
        true, found: x, y, width, height of each.

    Returns:
        Number of a true box -> number of the found box it is paired with.
    """
    if not true or not found:
        return {}
    # Importing scipy.optimize takes longer than everything else here.
    from scipy.optimize import linear_sum_assignment

    overlap = box_overlaps(true, found)
    admissible = np.where(overlap >= LEAST_OVERLAP, overlap, 0.0)
    rows, columns = linear_sum_assignment(admissible, maximize=True)
    return {
        int(row): int(column)
        for row, column in zip(rows, columns, strict=True)
        if admissible[row, column] > 0
    }


def box_overlaps(
    true: Sequence[tuple[int, int, int, int]], found: Sequence[tuple[int, int, int, int]]
) -> NDArray[np.float64]:
    """Intersection over union of all pairs, narrow boxes widened to half their height.

    Returns:
        float64, shape (true, found), 0.0 to 1.0.
    """
    first, second = _edges(true)[:, None], _edges(found)[None, :]
    inner = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(
        first[..., :2], second[..., :2]
    )
    shared = np.clip(inner, 0, None).prod(axis=-1)
    areas = [(edges[..., 2:] - edges[..., :2]).prod(axis=-1) for edges in (first, second)]
    overlaps: NDArray[np.float64] = shared / (areas[0] + areas[1] - shared)
    return overlaps


def _edges(boxes: Sequence[tuple[int, int, int, int]]) -> NDArray[np.float64]:
    """(left, top, right, bottom) of boxes, shape (n, 4), none narrower than half its height."""
    x, y, width, height = np.array(boxes, np.float64).T
    extra = np.maximum(height / 2 - width, 0) / 2
    return np.stack([x - extra, y, x + width + extra, y + height], axis=1)


def _interval(shares: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """95% interval of a share from its (hits, trials) on each page, by the bootstrap over pages.

    Pages are resampled, not digits, because digits of one page share its light and its writing.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (the
    percentile interval).
    """
    counts = np.array(shares, np.float64)
    picks = np.random.default_rng(0).integers(len(counts), size=(_RESAMPLES, len(counts)))
    hits, trials = counts[picks].sum(axis=1).T
    low, high = np.quantile(hits / trials, (0.025, 0.975))
    return float(low), float(high)
