"""`penmark evaluate --pages`: what it refuses, shows and keeps."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys

import numpy as np
import pytest

from penmark.data import load_data
from penmark.errors import DataError
from penmark.reading import evaluation
from penmark.reading.marked_page import marked_page
from penmark.reading.measurement import LEVELS, Measurement, Tally, compare
from penmark.reading.pages import AXES, compose_page
from penmark.reading.results import Reading
from penmark.report.figures.difficulty import Difficulty, accuracy_by_difficulty
from penmark.terminal import reading_tables

NOTHING = Reading("", (), (), (10, 10), None)
HALF = Tally(pages=2, digits=20, correct=10, missed=10, false_digits=3, rows=4, rows_correct=1)
MEASURED = Measurement(
    seed=0,
    overall=HALF,
    digit_interval=(0.4, 0.6),
    row_interval=(0.1, 0.5),
    surfaces={"white paper": HALF},
    pens={"pencil": HALF},
    clean=HALF,
    axes={"tilt": (HALF,) * len(LEVELS)},
)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--pages", "0", "--data", "digits"], "at least one page"),
        (["--save", "kept"], "say how many to read"),
        ([], "say what to evaluate"),
    ],
)
def test_a_wrong_request_is_answered_in_a_line(arguments, line, tmp_path):
    refused = subprocess.run(
        [sys.executable, "-c", "from penmark.cli import main; main()", "evaluate", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert refused.returncode == 2
    assert line in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_of_other_things_is_refused():
    digits = load_data("digits")
    shirts = dataclasses.replace(digits, class_names=tuple("abcdefghij"))
    with pytest.raises(DataError, match="composed from digits"):
        evaluation.evaluate_reading(None, shirts, 1)


def test_what_is_kept_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "default_model", lambda: None)
    monkeypatch.setattr(evaluation, "read", lambda image, model: NOTHING)
    monkeypatch.setattr(
        evaluation,
        "measure",
        lambda read, images, labels, *, on_page, **options: (
            [
                on_page(page, NOTHING, compare(page, read(page.image)))
                for page in [compose_page(images, labels, seed=1)]
            ]
            and MEASURED
        ),
    )
    evaluation.evaluate_reading(None, load_data("digits"), 1, save=tmp_path, progress=False)
    assert (tmp_path / "difficulty.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "measurement.json").read_text())["digit_accuracy"] == 0.5
    (kept,) = (tmp_path / "pages").iterdir()
    assert kept.read_bytes().startswith(b"\xff\xd8")
    assert kept.name.endswith("-errors-seed-1.jpg")


def test_a_digit_that_was_not_found_is_framed_in_vermilion(digits):
    page = compose_page(*digits, seed=1)
    drawn = np.asarray(marked_page(page, NOTHING, compare(page, NOTHING)))
    x, y, w, h = page.digits[-1].box
    assert tuple(drawn[y + h // 2, x + w]) == (213, 94, 0)
    assert drawn.shape == page.image.shape


def test_the_terminal_shows_the_measured_numbers():
    from rich.console import Console

    console = Console(width=80, record=True, file=io.StringIO())
    for part in reading_tables(MEASURED):
        console.print(part)
    text = console.export_text()
    assert "digits 50.0% (10 of 20)" in text
    assert "rows 25.0% (1 of 4)" in text
    assert "10 not found; on each page 1.50 false digits" in text
    assert "45°" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figure_has_a_panel_for_each_difficulty(theme):
    panels = [
        Difficulty(name, (0.0, 1.0), (axis.text(0), axis.text(1)), (1.0, 0.5), (0.9, 0.2))
        for name, axis in AXES.items()
    ]
    figure = accuracy_by_difficulty(panels, theme=theme)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == list(AXES)
    digit_line, row_line = figure.axes[0].get_lines()
    assert list(digit_line.get_ydata()) == [1.0, 0.5]
    assert list(row_line.get_ydata()) == [0.9, 0.2]
    with pytest.raises(DataError, match="no difficulty"):
        accuracy_by_difficulty([])
