"""Variations of handwriting: what must hold of every varied digit, whatever the dice say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from penmark.data import load_data
from penmark.recipes.handwriting import MILD, STRONG, Variation, adorn, vary
from penmark.recipes.strokes import draw

NONE = Variation(*([0.0] * 9))


@pytest.fixture(scope="module")
def digits():
    return load_data("digits").x_train


def centers(images):
    mass = images.astype(np.float64).sum(axis=(1, 2))
    places = np.arange(28)
    rows = images.sum(axis=2, dtype=np.float64) @ places / mass
    columns = images.sum(axis=1, dtype=np.float64) @ places / mass
    return np.stack([rows, columns])


def longer_sides(images, above=64):
    ink = images > above
    sides = []
    for axis in (1, 2):
        line = ink.any(axis=axis)
        sides.append(28 - line.argmax(axis=1) - line[:, ::-1].argmax(axis=1))
    return np.maximum(*sides)


def test_without_variation_a_digit_comes_out_at_mnists_size_and_place(rng):
    # An upright bar, away from the middle and too small.
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 4:14, 18:22] = 255
    varied = vary(image, NONE, rng)
    assert longer_sides(varied)[0] in (20, 21)
    # MNIST's own digits were moved by whole pixels, and lie within half a pixel of it.
    np.testing.assert_allclose(centers(varied), 14, atol=0.5)


def test_without_variation_a_digit_in_place_hardly_changes(rng, digits):
    once = vary(digits[:200], NONE, rng)
    twice = vary(once, NONE, rng)
    correlation = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(once, twice, strict=True)
    ]
    assert np.median(correlation) > 0.97


@pytest.mark.parametrize("variation", [MILD, STRONG])
def test_varied_digits_are_whole_and_near_mnists_convention(variation, rng, digits):
    varied = vary(digits, variation, rng)
    assert varied.shape == digits.shape and varied.dtype == np.uint8
    assert (varied.max(axis=(1, 2)) > 100).mean() > 0.98
    assert (varied != digits).any(axis=(1, 2)).all()
    assert 18 <= np.median(longer_sides(varied)) <= 22
    np.testing.assert_allclose(np.median(centers(varied), axis=1), 14, atol=0.3)


def test_ink_stays_inside_unless_it_is_soiled_or_shifted_there(rng, digits):
    calm = dataclasses.replace(MILD, scale=0.0, shift_px=0.0, grain=0.0)
    varied = vary(digits, calm, rng)
    frame = np.ones((28, 28), bool)
    frame[1:-1, 1:-1] = False
    # A digit whose mass is far from its middle may reach the frame, as some in MNIST do.
    assert (varied[:, frame].sum(axis=1) / varied.sum(axis=(1, 2)) > 0.02).mean() < 0.02


def test_the_same_generator_state_writes_the_same(digits):
    first, second = (vary(digits[:600], STRONG, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_strokes_become_thinner_and_thicker(rng):
    bars = np.zeros((300, 28, 28), np.uint8)
    bars[:, 4:24, 12:16] = 255
    varied = vary(bars, dataclasses.replace(NONE, stroke=1.0), rng)
    widths = varied[:, 14].sum(axis=1, dtype=np.float64) / 255
    plain = vary(bars[:1], NONE, rng)[0, 14].sum(dtype=np.float64) / 255
    assert widths.min() < 0.7 * plain
    assert widths.max() > 1.3 * plain


def test_only_ones_sevens_and_zeros_are_adorned_and_ink_is_only_added(rng):
    digits = load_data("digits")
    images = digits.x_train.copy()
    adorn(images, digits.y_train, rng)
    changed = (images != digits.x_train).any(axis=(1, 2))
    assert set(np.unique(digits.y_train[changed])) == {0, 1, 7}
    assert 0.02 < changed.mean() < 0.1
    assert (images >= digits.x_train).all()


def test_blank_images_are_no_trouble(rng):
    blank = np.zeros((600, 28, 28), np.uint8)
    assert vary(blank, MILD, rng).max() < 128
    adorn(blank, np.repeat([0, 1, 7], 200), rng)
    assert (blank == 0).all()
    assert vary(blank[:0], STRONG, rng).shape == (0, 28, 28)


def test_a_stroke_is_as_wide_as_asked_and_left_out_where_it_is_nan():
    strokes = np.array([[[5, 14, 23, 14]], [[np.nan] * 4], [[3, 3, 3, 3]]], np.float32)
    ink = draw(strokes, np.array([3.0, 3.0, 2.0], np.float32))
    # Across the middle of a bar 3 pixels wide: three full pixels.
    np.testing.assert_allclose(ink[0, 14, 11:18], [0, 0, 1, 1, 1, 0, 0], atol=1e-6)
    assert (ink[0, :3] == 0).all() and (ink[0, 26:] == 0).all()
    assert (ink[1] == 0).all()
    # A dot: full in its middle, faint at a distance of 1.
    np.testing.assert_allclose(ink[2, 3, 3:6], [1, 0.5, 0], atol=1e-6)
