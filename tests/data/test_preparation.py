"""One digit's ink in MNIST's convention: known places, sizes and strokes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penmark.data import load_data
from penmark.data.preparation import BOX, SIDE, prepare_digit, prepare_digits, scaling_weights
from penmark.errors import DataError


def box_of(image):
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def center_of_mass(image):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return (image * rows).sum() / image.sum(), (image * columns).sum() / image.sum()


def disk(side, radius):
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return np.where(np.hypot(rows, columns) <= radius, 255, 0).astype(np.uint8)


def test_paper_without_ink_stays_blank():
    for blank in (np.zeros((40, 30), np.uint8), np.zeros((0, 0), np.uint8)):
        assert not prepare_digit(blank).any()


@pytest.mark.parametrize(
    "wrong", [np.zeros((5, 5)), np.zeros((5, 5, 3), np.uint8), [[0, 1]], np.zeros(5, np.uint8)]
)
def test_what_is_no_ink_is_refused(wrong):
    with pytest.raises(DataError, match="uint8 array"):
        prepare_digit(wrong)


def test_a_disk_fills_the_box_and_lies_in_the_middle():
    prepared = prepare_digit(np.pad(disk(200, 90), ((0, 300), (50, 0))))
    top, bottom, left, right = box_of(prepared)
    assert (bottom - top, right - left) == (BOX, BOX)
    assert np.allclose(center_of_mass(prepared), 14, atol=0.5)
    assert prepared[14, 14] == 255
    # Anti-aliased: the area is that of a disk 20 pixels wide.
    assert prepared.sum() / 255 == pytest.approx(np.pi * 100, rel=0.02)


def test_the_aspect_is_kept():
    ink = np.zeros((300, 300), np.uint8)
    ink[20:280, 100:230] = 255  # twice as high as wide
    top, bottom, left, right = box_of(prepare_digit(ink))
    assert (bottom - top, right - left) == (20, 10)


def test_the_heavy_side_comes_to_the_middle():
    ink = np.zeros((100, 100), np.uint8)
    ink[:, :50] = 255
    ink[:20] = 255
    rows, columns = center_of_mass(prepare_digit(ink))
    assert abs(rows - 14) <= 0.5 and abs(columns - 14) <= 0.5


def test_a_box_never_leaves_the_image():
    ink = np.zeros((100, 100), np.uint8)
    ink[0] = 255
    ink[:, 0:5] = 255
    ink[50:, :40] = 255
    prepared = prepare_digit(ink)
    top, bottom, left, right = box_of(prepared)
    assert bottom - top == 20 and right - left >= 19


def test_mnists_convention_changes_little_twice():
    images = load_data("digits").x_train[:300]
    once = prepare_digits(images)
    twice = prepare_digits(once)
    changed = np.abs(once.astype(int) - twice).max(axis=(1, 2))
    assert np.mean(changed <= 8) > 0.95
    assert np.mean(changed > 40) < 0.02  # a center of mass halfway between two pixels


def test_mnist_itself_stays_as_it_is(real_data):
    with np.load(real_data / "mnist.npz") as file:
        images = file["x_test"]
    once = prepare_digits(images)
    changed = np.abs(once.astype(int) - images).max(axis=(1, 2))
    assert np.mean(changed == 0) > 0.9
    assert np.mean(changed > 16) < 0.005


@pytest.mark.parametrize("pen_px", [1, 2, 4, 8, 16, 30])
def test_thin_pens_still_give_a_stroke(pen_px):
    ink = np.zeros((500, 500), np.uint8)
    ink[20:480, 240 : 240 + pen_px] = 255
    ink[20 : 20 + pen_px, 100:400] = 255
    prepared = prepare_digit(ink)
    assert prepared.max() >= 240
    widths = (prepared[12:20].astype(float) / 255).sum(axis=1)
    assert widths.min() > 1.0 and widths.max() < 2.6
    top, bottom, _, _ = box_of(prepared)
    assert bottom - top <= BOX


def test_faint_ink_is_ink():
    digit = load_data("digits").x_train[0]
    assert np.abs(prepare_digit(digit // 8).astype(int) - prepare_digit(digit)).mean() < 12


def test_specks_fainter_than_ink_do_not_widen_the_box():
    ink = np.zeros((200, 200), np.uint8)
    ink[80:120, 80:120] = 255
    with_speck = ink.copy()
    with_speck[3, 3] = 10
    np.testing.assert_array_equal(prepare_digit(ink), prepare_digit(with_speck))


def test_scaling_weights_known_by_hand():
    # Halving: triangles four given pixels wide, centers between two pixels.
    weights = scaling_weights(4, 4, 2) * 8
    np.testing.assert_allclose(weights, [[1, 0, 0, 0], [3, 3, 1, 0], [0, 1, 3, 3], [0, 0, 0, 1]])
    # The same size changes nothing.
    np.testing.assert_array_equal(scaling_weights(20, 20, 20)[1:-1], np.eye(20))


def test_scaling_weights_are_shared_and_cannot_be_changed():
    weights = scaling_weights(7, 9, 20)
    assert scaling_weights(7, 9, 20) is weights
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1


def test_many_are_prepared_as_one():
    inks = [disk(side, side // 2 - 1) for side in (12, 40, 77)]
    many = prepare_digits(inks)
    assert many.shape == (3, SIDE, SIDE) and many.dtype == np.uint8
    for ink, prepared in zip(inks, many, strict=True):
        np.testing.assert_array_equal(prepare_digit(ink), prepared)
    assert prepare_digits([]).shape == (0, SIDE, SIDE)


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=90),
        elements=st.sampled_from([0, 0, 0, 1, 30, 128, 255]),
    )
)
def test_any_ink_is_prepared_the_same_wherever_it_lies(ink):
    prepared = prepare_digit(ink)
    assert prepared.shape == (SIDE, SIDE) and prepared.dtype == np.uint8
    assert prepared.any() == ink.any()
    np.testing.assert_array_equal(prepare_digit(np.pad(ink, ((3, 9), (7, 1)))), prepared)
    if ink.any():
        top, bottom, left, right = box_of(prepared)
        assert bottom - top <= BOX and right - left <= BOX
