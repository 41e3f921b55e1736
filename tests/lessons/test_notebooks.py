"""Every lesson runs from top to bottom without a network, and says what it should."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.lessons.conftest import LESSONS, NOTEBOOKS, Session, read_notebook

Run = Callable[[str, Path | None], Session]

# What the hand calculations of each lesson come to, as the lesson prints it.
WORKED_NUMBERS = {
    "01-images-are-numbers": ("by hand: 28\nNumPy:   28\n", "[[19. 22.]\n [43. 50.]]\n"),
    "02-one-neuron": ("no mistakes. Learned!", "785 parameters: 784 weights and a bias"),
    "03-from-scores-to-probabilities": (
        "[3.  1.5 6. ]\n",
        "[[3.  1.5 6. ]]\n",
        "[0.018, 0.2689, 0.5, 0.7311, 0.982]",
        "[0.0469 0.0105 0.9426]",
        "0.6931\n",
        "7,850 parameters",
        "untrained: loss 2.3026",
    ),
    "04-going-downhill": (
        "w = 2.0: by formula -2.0000, by trying -2.0000",
        "step 2: m = 1.90, w = -0.290\nstep 3: m = 2.71, w = -0.561\n",
        "momentum 0.0: comes to rest at w = 2.81",
        "momentum 0.9: comes to rest at w = 0.00",
        "[[-4.  2.  0.]\n [-8.  4.  0.]]\n",
        "loss before 2.000",
    ),
    "05-hidden-layers": ("784-32:  640,890\n", "784-800: 1,251,450\n"),
    "06-convolution": (
        "sum: 3\n",
        "[[3. 3. 0.]\n [3. 3. 0.]\n [3. 2. 0.]]\n",
        "[[3 4]\n [1 7]]\n",
        "9,248 parameters",
        "convolutions 64,992, dense layers 2,109,450, together 2,174,442\n",
    ),
    "07-is-it-any-good": (
        "difference 0.10%; by chance alone it strays by 0.14%\n",
        "about 79,825\n",
    ),
    "08-your-own-digits": ("written: ['", "saved, loaded, and the answers are the same\n"),
}
BRITISH = re.compile(
    r"\b(colou?rs? blind|colour|grey|centre|neighbour|behaviour|favour|recognis|optimis|"
    r"normalis|organis|initialis|analys(e|ing)\b|labell|modell|practis|catalogue)\w*",
    re.IGNORECASE,
)
LINK = re.compile(r"\]\(([^)#\s]+)\)")


def markdown(notebook: Any) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def code(notebook: Any) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def check_session(lesson: str, session: Session) -> None:
    assert session.complaints == ""
    for number in WORKED_NUMBERS[lesson]:
        assert number in session.printed
    assert "nan " not in session.printed.replace("[nan nan]", "")
    assert sum(session.pictures) >= 3
    assert max(session.pictures) == 1, "a figure was shown twice"


@pytest.mark.parametrize("lesson", LESSONS)
def test_runs_on_the_bundled_digits(lesson: str, run_lesson: Run) -> None:
    session = run_lesson(lesson, None)
    check_session(lesson, session)
    assert "digits: " in session.printed


@pytest.mark.parametrize("lesson", ["03-from-scores-to-probabilities", "07-is-it-any-good"])
def test_runs_on_mnist(lesson: str, run_lesson: Run, real_data: Path) -> None:
    session = run_lesson(lesson, real_data)
    check_session(lesson, session)
    assert "mnist: " in session.printed
    assert "10,000 test images" in session.printed


def test_lessons_are_those_of_the_folder() -> None:
    assert [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))] == list(LESSONS)


@pytest.mark.parametrize("lesson", LESSONS)
def test_is_stored_clean(lesson: str) -> None:
    notebook = read_notebook(lesson)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert cell.source.strip()
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@pytest.mark.parametrize("lesson", LESSONS)
def test_asks_answers_and_sends_on(lesson: str) -> None:
    number = int(lesson[:2])
    text = markdown(read_notebook(lesson))
    assert text.startswith(f"# Lesson {number}: ")
    assert re.search(r"^\*About \d\d minutes\. ", text, re.MULTILINE)

    asked = re.findall(r"^\*\*Question (\d)\.\*\*", text, re.MULTILINE)
    assert asked == [str(question) for question in range(1, len(asked) + 1)]
    assert 3 <= len(asked) <= 5
    answers = re.findall(r"<details><summary>Answer</summary>\n\n(.+?)\n\n</details>", text, re.S)
    assert len(answers) == len(asked) == text.count("<details>")

    assert text.count("## One thing to try\n") == 1
    ending = text[text.index("## One thing to try") :]
    if number < len(LESSONS):
        assert f"({LESSONS[number]}.ipynb)" in ending
    else:
        assert "That was the last lesson" in ending


@pytest.mark.parametrize("lesson", LESSONS)
def test_chooses_the_backend_before_keras_comes(lesson: str) -> None:
    source = code(read_notebook(lesson))
    assert source.index("import penmark") < (source + "\nimport keras").index("import keras")


@pytest.mark.parametrize("page", [*(f"{lesson}.ipynb" for lesson in LESSONS), "README.md"])
def test_spells_as_americans_do_and_links_to_what_is_there(page: str) -> None:
    path = NOTEBOOKS / page
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        notebook = read_notebook(path.stem)
        text = markdown(notebook) + "\n\n" + code(notebook)
    assert BRITISH.search(text) is None
    links = LINK.findall(text)
    assert links
    for link in links:
        assert (NOTEBOOKS / link).is_file(), link


def test_the_table_names_every_lesson_with_its_minutes() -> None:
    table = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    for lesson in LESSONS:
        text = markdown(read_notebook(lesson))
        title = re.match(r"# Lesson (\d): (.+)\n", text)
        minutes = re.search(r"^\*About (\d\d) minutes", text, re.MULTILINE)
        assert title and minutes
        row = next(line for line in table.splitlines() if f"({lesson}.ipynb)" in line)
        assert row.startswith(f"| [{title[1]} {title[2]}]")
        assert row.endswith(f"| {minutes[1]} |")
