"""Lessons on MNIST, which has other digits and more of them than the bundled collection."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lessons.test_notebooks import Run, check_session

# Those whose text depends most on what MNIST shows; the others take minutes and show the same.
LESSONS = ("03-from-scores-to-probabilities", "05-hidden-layers")


@pytest.mark.parametrize("lesson", LESSONS)
def test_runs_on_mnist(lesson: str, run_lesson: Run, real_data: Path) -> None:
    session = run_lesson(lesson, real_data)
    check_session(lesson, session)
    assert "mnist: " in session.printed
    assert "10,000 test images" in session.printed
