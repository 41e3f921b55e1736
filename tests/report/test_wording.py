"""Percentages are honest, names are harmless."""

from __future__ import annotations

import pytest

from penmark.report.wording import percent, plain, shorten


@pytest.mark.parametrize(
    ("share", "images", "text"),
    [
        (0.9787, 10_000, "97.87%"),
        (0.979, 360, "97.9%"),
        (1.0, 10, "100%"),
        (0.0, 10, "0%"),
        (0.99999, 100_000, "99.99%"),
        (0.9999, 0, "99.9%"),
        (0.00001, 100_000, "<0.01%"),
        (float("nan"), 0, "–"),
    ],
)
def test_percent_never_rounds_a_flaw_away(share, images, text):
    assert percent(share, images=images) == text


def test_plain_text_survives_anything_a_folder_can_be_called():
    assert plain("a\nb\x00c") == "a b c"
    assert plain("caf\udce9").encode("utf-8")
    assert plain("<b>&</b>") == "<b>&</b>"


def test_shorten_keeps_the_length():
    assert shorten("short", 10) == "short"
    assert shorten("a very long name", 8) == "a very…"
    assert len(shorten("x" * 50, 12)) == 12
