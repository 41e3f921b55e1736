"""Measured reading: figures that are known beforehand come out."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from penmark.errors import InputError
from penmark.reading.measurement import (
    LEVELS,
    Measurement,
    Tally,
    box_overlaps,
    compare,
    match_boxes,
    measure,
    pages_per_point,
    pages_to_read,
)
from penmark.reading.pages import Conditions, Page, TrueDigit, compose_page, mixed
from penmark.reading.results import Digit, Reading


def found(label, box, line=0):
    return Digit(
        label=label,
        probability=0.9,
        runner_up="0",
        box=box,
        line=line,
        reason="it resembles no digit" if label == "?" else None,
        probabilities=np.full(10, 0.1, np.float32),
        prepared=np.zeros((28, 28), np.uint8),
    )


def reading_of(digits):
    """A reading of these digits, whose lines say what they say."""
    count = 1 + max((digit.line for digit in digits), default=-1)
    lines = tuple(
        "".join(digit.label for digit in digits if digit.line == line) for line in range(count)
    )
    return Reading("\n".join(lines), lines, tuple(digits), (100, 100), None)


def page_of(*rows):
    """A page with a digit every 30 pixels and a row every 50, each 20 by 40 pixels."""
    digits = [
        TrueDigit(label, (30 * column, 50 * line, 20, 40), line)
        for line, text in enumerate(rows)
        for column, label in enumerate(text)
    ]
    image = np.zeros((50 * len(rows), 400, 3), np.uint8)
    return Page(image, tuple(rows), tuple(digits), Conditions(), {}, 0)


def perfect(page):
    return reading_of([found(digit.label, digit.box, digit.line) for digit in page.digits])


# --- matching ----------------------------------------------------------------------------------


def test_overlap_is_intersection_over_union():
    true = [(0, 0, 20, 40)]
    boxes = [(0, 0, 20, 40), (10, 0, 20, 40), (0, 20, 20, 40), (50, 0, 20, 40)]
    assert box_overlaps(true, boxes)[0] == pytest.approx([1.0, 1 / 3, 1 / 3, 0.0])


def test_the_narrow_box_of_a_one_is_widened():
    # 4 and 8 pixels wide about the same middle: half overlap as they are, all of it once widened.
    assert box_overlaps([(10, 0, 4, 40)], [(8, 0, 8, 40)])[0, 0] == pytest.approx(1.0)
    # Beside it, it is still another mark.
    assert box_overlaps([(10, 0, 4, 40)], [(40, 0, 4, 40)])[0, 0] == 0.0


def test_the_pairing_has_the_largest_total_overlap():
    # The first true box overlaps both found ones, the second only the first found.
    true = [(0, 0, 40, 40), (10, 0, 40, 40)]
    boxes = [(6, 0, 40, 40), (0, 8, 40, 40)]
    overlaps = box_overlaps(true, boxes)
    assert overlaps[0, 0] > overlaps[0, 1] > 0.5  # greedy would take the first for the first
    assert match_boxes(true, boxes) == {0: 1, 1: 0}


def test_less_than_half_an_overlap_is_no_match():
    assert match_boxes([(0, 0, 20, 40)], [(7, 0, 20, 40)]) == {}
    assert match_boxes([(0, 0, 20, 40)], [(6, 0, 20, 40)]) == {0: 0}
    assert match_boxes([], [(0, 0, 1, 1)]) == match_boxes([(0, 0, 1, 1)], []) == {}


# --- counting ----------------------------------------------------------------------------------


def test_a_perfect_reading_counts_as_one():
    page = page_of("123", "45")
    compared = compare(page, perfect(page))
    assert compared.tally == Tally(
        pages=1, pages_correct=1, digits=5, correct=5, rows=2, rows_correct=2
    )
    assert compared.matches == (0, 1, 2, 3, 4)
    assert compared.unmatched == ()


def test_each_kind_of_error_is_counted_as_what_it_is():
    page = page_of("123", "45", "678")
    read = [
        found("1", (0, 0, 20, 40), 0),
        found("7", (30, 0, 20, 40), 0),  # a 2 misread
        found("?", (60, 0, 20, 40), 0),  # a 3 not recognized
        found("4", (0, 50, 20, 40), 1),
        # the 5 is missing
        found("6", (0, 100, 20, 40), 2),
        found("7", (30, 100, 20, 40), 2),
        found("8", (60, 100, 20, 40), 2),
        found("9", (300, 0, 20, 40), 0),  # where there is nothing
        found("?", (340, 0, 20, 40), 0),
    ]
    compared = compare(page, reading_of(read))
    assert compared.tally == Tally(
        pages=1, digits=8, correct=5, misread=1, questioned=1, missed=1,
        false_digits=1, false_questions=1, rows=3, rows_correct=1,
    )  # fmt: skip
    assert compared.unmatched == (7, 8)
    assert compared.tally.errors == 4
    assert compared.tally.digit_accuracy == 5 / 8


def test_two_digits_found_as_one_are_one_match_at_most():
    page = page_of("12")
    compared = compare(page, reading_of([found("1", (0, 0, 50, 40))]))
    assert (compared.tally.correct, compared.tally.missed, compared.tally.false_digits) == (0, 2, 1)


def test_a_row_is_right_only_if_its_line_says_it_and_nothing_more():
    page = page_of("12", "34")
    right = [found(digit.label, digit.box, digit.line) for digit in page.digits]
    assert compare(page, reading_of(right)).tally.rows_correct == 2
    # Something more in the line, whatever it is, makes it another number.
    for label in ("5", "?"):
        more = reading_of([*right, found(label, (200, 0, 20, 40), 0)])
        assert compare(page, more).tally.rows_correct == 1
    # Two rows read as one line.
    merged = reading_of([dataclasses.replace(digit, line=0) for digit in right])
    assert compare(page, merged).tally.rows_correct == 0
    assert compare(page, merged).tally.correct == 4
    # Spaces between distant digits are no error.
    spaced = dataclasses.replace(reading_of(right), lines=("1 2", "34"))
    assert compare(page, spaced).tally.rows_correct == 2


def test_an_empty_reading_misses_everything():
    page = page_of("12")
    tally = compare(page, reading_of([])).tally
    assert tally == Tally(pages=1, digits=2, missed=2, rows=1)


def test_shares_of_nothing_are_not_numbers():
    assert math.isnan(Tally().digit_accuracy)
    assert Tally().to_json()["row_accuracy"] is None


# --- measuring ---------------------------------------------------------------------------------


class Knowing:
    """Reads a page by composing it again: it knows every truth, and can be made to err."""

    def __init__(self, digits, seed, pages, spoil=lambda digits: digits):
        self.truth = {}
        small = pages_per_point(pages)
        for number in range(pages):
            self._learn(
                digits, 1_000_003 * seed + number, mixed(1.0, seed=1_000_003 * seed + number)
            )
        for number in range(small):
            for level in (0.0, *LEVELS):
                self._learn(digits, 1_000_003 * seed + number, Conditions({"shadow": level}))
        self.spoil = spoil

    def _learn(self, digits, seed, conditions):
        page = compose_page(
            *digits, seed=seed, difficulty=conditions.difficulty, surface=conditions.surface,
            pen=conditions.pen,
        )  # fmt: skip
        self.truth[page.image.tobytes()] = page

    def __call__(self, image):
        page = self.truth[image.tobytes()]
        return reading_of(self.spoil(list(perfect(page).digits)))


PAGES, SEED = 3, 2


@pytest.fixture(scope="module")
def knowing(digits):
    return Knowing(digits, SEED, PAGES)


def measured(digits, reader, **options):
    return measure(reader, *digits, pages=PAGES, seed=SEED, axes=["shadow"], **options)


def test_a_reader_that_knows_the_truth_gets_all_of_it(digits, knowing):
    seen, steps = [], []
    result = measured(
        digits, knowing, on_page=lambda page, *_: seen.append(page.seed), progress=steps.append
    )
    for tally in (result.overall, result.clean, *result.axes["shadow"]):
        assert tally.digit_accuracy == tally.row_accuracy == 1.0
        assert tally.errors == 0
        assert tally.pages == tally.pages_correct
    assert result.overall.pages == PAGES
    assert result.digit_interval == result.row_interval == (1.0, 1.0)
    assert sum(tally.pages for tally in result.surfaces.values()) == PAGES
    assert sum(tally.digits for tally in result.pens.values()) == result.overall.digits
    assert len(set(seen)) == PAGES
    assert steps == list(range(1, pages_to_read(PAGES, axes=["shadow"]) + 1))


def test_a_reader_that_errs_by_rule_gets_the_figure_of_that_rule(digits, knowing):
    def every_first_misread(found_digits):
        first = {}
        for number, digit in enumerate(found_digits):
            first.setdefault(digit.line, number)
        return [
            dataclasses.replace(digit, label=str((int(digit.label) + 1) % 10))
            if number in first.values()
            else digit
            for number, digit in enumerate(found_digits)
        ]

    knowing.spoil = every_first_misread
    try:
        result = measured(digits, knowing)
    finally:
        knowing.spoil = lambda found_digits: found_digits
    overall = result.overall
    assert overall.row_accuracy == 0.0
    assert overall.misread == overall.rows
    assert overall.correct == overall.digits - overall.rows
    low, high = result.digit_interval
    assert low <= overall.digit_accuracy <= high


def test_the_same_seed_gives_the_same_numbers_and_all_of_them_are_json(digits, knowing):
    documents = []
    for _ in range(2):
        document = measured(digits, knowing).to_json()
        text = json.dumps(document, allow_nan=False)
        documents.append(re.sub(r'"seconds": [^,}]+', "", text))
        assert [point["level"] for point in document["axes"]["shadow"]] == list(LEVELS)
        assert document["axes"]["shadow"][-1]["value"] == 75
        assert document["digits"] == document["correct"] > 0
    assert documents[0] == documents[1]


def test_points_of_an_axis_have_the_same_digits(digits, knowing):
    result = measured(digits, knowing)
    assert {tally.digits for tally in result.axes["shadow"]} == {result.clean.digits}


def test_what_cannot_be_measured_is_refused_in_a_line(digits):
    with pytest.raises(InputError, match="at least one page"):
        pages_to_read(0)
    with pytest.raises(InputError, match="no axis 'shade'"):
        pages_to_read(5, axes=["shade"])
    with pytest.raises(InputError, match="seed must be 0 or more"):
        measure(lambda image: reading_of([]), *digits, pages=1, seed=-1)


def test_tallies_add_up_field_by_field():
    one = Tally(pages=1, digits=3, correct=2, missed=1, rows=1, seconds=0.5)
    assert (one + one) == Tally(pages=2, digits=6, correct=4, missed=2, rows=2, seconds=1.0)


def test_only_test_digits_are_used(monkeypatch):
    """The training split could as well not be there."""
    from penmark.data import load_data
    from penmark.reading import evaluation

    data = load_data("digits")
    trained_on = dataclasses.replace(data, x_train=np.zeros_like(data.x_train))
    given = {}

    def recorded(read, images, labels, **options):
        given.update(images=images, labels=labels)
        return Measurement(0, Tally(), (0, 0), (0, 0), {}, {}, Tally(), {})

    monkeypatch.setattr(evaluation, "measure", recorded)
    monkeypatch.setattr(evaluation, "default_model", lambda: None)
    evaluation.evaluate_reading(None, trained_on, 1, progress=False)
    assert given["images"] is trained_on.x_test
    assert given["labels"] is trained_on.y_test
