"""What is no digit: every kind, in range, with ink, and never what training would call a digit."""

from __future__ import annotations

import numpy as np
import pytest

from penmark.data import load_data
from penmark.recipes.nondigits import KINDS, make
from penmark.recipes.typeset import CHARACTERS, glyphs


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_images(kind, digits, rng):
    made = KINDS[kind](300, digits.x_train, digits.y_train, rng)
    assert made.shape == (300, 28, 28)
    assert np.isfinite(made).all() and made.min() >= 0 and made.max() <= 255
    # Noise has blank images among it on purpose.
    assert (made.max(axis=(1, 2)) > 30).mean() > (0.5 if kind == "noise" else 0.95)
    assert len(np.unique(made.reshape(300, -1), axis=0)) > 150
    assert KINDS[kind](0, digits.x_train, digits.y_train, rng).shape == (0, 28, 28)


def test_what_is_made_repeats_with_the_generator(digits):
    first, second = (
        make(90, digits.x_train, digits.y_train, np.random.default_rng(5)) for _ in range(2)
    )
    assert first.dtype == np.uint8 and first.shape == (90, 28, 28)
    np.testing.assert_array_equal(first, second)


def test_no_part_of_a_digit_no_line_and_no_tick_could_be_a_one(digits, rng):
    """Upright and narrow is how a 1 looks."""
    for kind in ("parts", "lines", "ticks"):
        ink = KINDS[kind](500, digits.x_train, digits.y_train, rng) > 100
        width = ink.any(axis=1).sum(axis=1)
        height = ink.any(axis=2).sum(axis=1)
        upright = (width < 0.3 * height) & (height > 10)
        # Letters such as // may stand in for a narrow part; they are two strokes.
        assert upright.mean() < 0.01, kind


def test_printed_characters_are_no_digits_and_fill_the_box_like_digits():
    images = glyphs()
    assert not set(CHARACTERS) & set("0123456789BDGIJLOQSUZbgijloqsyz")
    assert images.dtype == np.uint8
    # A few signs look alike in two faces of one family.
    assert len(np.unique(images, axis=0)) > 0.95 * len(images)
    visible = images > 64
    sides = np.maximum(visible.any(axis=1).sum(axis=1), visible.any(axis=2).sum(axis=1))
    assert ((sides >= 18) & (sides <= 21)).all()
