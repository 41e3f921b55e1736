"""Each filter gives what `scipy.ndimage` gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from penmark.reading import filters

SHAPES = [(1, 1), (1, 2), (1, 37), (41, 1), (2, 2), (3, 5), (17, 16), (64, 33), (50, 121)]
SIZES = [3, 5, 7, 13, 65]
EIGHT = np.ones((3, 3), bool)


def floats(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def grays(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def masks(shape: tuple[int, int], density: float = 0.5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < density


def assert_same(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("deviation", [0.8, 1, 1.2, 5.75])
def test_gaussian(shape, deviation):
    values = floats(shape)
    found = filters.gaussian_filter(values, deviation)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ndimage.gaussian_filter(values, deviation), rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_uniform(shape, size):
    values = 255 * floats(shape)
    found = filters.uniform_filter(values, size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ndimage.uniform_filter(values, size), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_mean_of_four(shape):
    values = floats(shape)
    found = filters.mean_of_four(values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ndimage.uniform_filter(values, 2), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [floats, grays])
def test_extremes_of_squares(shape, size, make):
    values = make(shape)
    assert_same(filters.maximum_filter(values, size), ndimage.maximum_filter(values, size))
    assert_same(filters.minimum_filter(values, size), ndimage.minimum_filter(values, size))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rings", [1, 2, 3])
def test_maximum_of_a_mask_is_its_dilation(shape, rings):
    mask = masks(shape, 0.1)
    wanted = ndimage.binary_dilation(mask, EIGHT, iterations=rings)
    assert_same(filters.maximum_filter(mask, 2 * rings + 1), wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [floats, grays])
def test_closing(shape, size, make):
    values = make(shape)
    wanted = ndimage.grey_closing(np.pad(values, size, mode="edge"), size=(size, size))
    assert_same(filters.closing(values, size), wanted[size:-size, size:-size])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_maximum_down(shape, size):
    mask = masks(shape, 0.1)
    wanted = ndimage.maximum_filter1d(mask.astype(np.uint8), size, axis=0).astype(bool)
    assert_same(filters.maximum_down(mask, size), wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 9, 10])
def test_opening_down(shape, size):
    mask = masks(shape, 0.8)
    assert_same(filters.opening_down(mask, size), ndimage.binary_opening(mask, np.ones((size, 1))))


@pytest.mark.parametrize("shape", SHAPES)
def test_median_of_nine(shape):
    values = grays(shape)
    assert_same(filters.median_of_nine(values), ndimage.median_filter(values, 3))


@pytest.mark.parametrize("length", [1, 2, 4, 5, 30])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_median_along_a_row(length, size):
    values = np.random.default_rng(0).random(length)
    wanted = ndimage.median_filter(values, size, mode="nearest")
    assert_same(filters.median_filter1d(values, size), wanted)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 100, 201])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
def test_median(count, dtype):
    values = (np.random.default_rng(count).random(count) * 255).astype(dtype)
    assert filters.median(values) == pytest.approx(np.median(values), rel=1e-6)
    assert filters.median(values.tolist()) == pytest.approx(np.median(values.tolist()), rel=1e-12)


@pytest.mark.parametrize("shape", [(1,), (2,), (301,), (4, 1), (7, 64), (2, 3, 5)])
def test_quantiles(shape):
    values = np.random.default_rng(1).random(shape, np.float32)
    shares = (0.25, 0.5, 0.7, 0.0, 1.0)
    found = filters.quantiles(values, shares)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, np.quantile(values, shares, axis=-1), rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_inner(shape):
    mask = masks(shape, 0.9)
    assert_same(filters.inner(mask), ndimage.binary_erosion(mask))


def spiral(side: int) -> np.ndarray:
    """One piece that is as long as can be, with a gap of one pixel between its turns."""
    mask = np.zeros((side, side), bool)
    row, column, down, right = 0, -1, 0, 1
    lengths = [side, *(length for length in range(side - 1, 0, -2) for _ in range(2))]
    for length in lengths:
        for _ in range(length):
            row, column = row + down, column + right
            mask[row, column] = True
        down, right = right, -down
    return mask


def assert_labels(mask: np.ndarray) -> None:
    labels, count = ndimage.label(mask, EIGHT)
    pieces = filters.label(mask)
    assert_same(pieces.labels, labels)
    assert_same(pieces.areas, np.bincount(labels.ravel(), minlength=count + 1)[1:])
    wanted = [(*_ends(rows), *_ends(columns)) for rows, columns in ndimage.find_objects(labels)]
    assert [tuple(box) for box in pieces.boxes.tolist()] == wanted


def _ends(part: slice) -> tuple[int, int]:
    return part.start, part.stop


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.05, 0.25, 0.4, 0.6, 0.9, 1.0])
def test_labels_of_noise(shape, density):
    for seed in range(5):
        assert_labels(masks(shape, density, seed))


@pytest.mark.parametrize(
    "mask",
    [
        spiral(41),
        spiral(41).T,
        np.indices((31, 40)).sum(axis=0) % 2 == 0,  # joined by corners alone
        np.indices((31, 40))[0] % 2 == 0,
        np.indices((31, 40))[1] % 2 == 0,
        np.add.outer(np.arange(60), np.arange(60)) % 5 == 0,
        np.arange(60)[:, None] >= np.arange(60)[None, :] % 7 * 8,  # combs, joined at the bottom
    ],
)
def test_labels_of_shapes(mask):
    for turned in (mask, mask[::-1], mask[:, ::-1], mask[::-1, ::-1]):
        assert_labels(turned)


SIDES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint8, SIDES), st.integers(1, 20).map(lambda half: 2 * half + 1))
def test_any_gray_picture(values, size):
    assert_same(filters.maximum_filter(values, size), ndimage.maximum_filter(values, size))
    assert_same(filters.minimum_filter(values, size), ndimage.minimum_filter(values, size))
    assert_same(filters.median_of_nine(values), ndimage.median_filter(values, 3))
    around = np.pad(values, size, mode="edge")
    wanted = ndimage.grey_closing(around, size=(size, size))[size:-size, size:-size]
    assert_same(filters.closing(values, size), wanted)
    means = filters.uniform_filter(values.astype(np.float32), size)
    wanted = ndimage.uniform_filter(values.astype(np.float32), size)
    np.testing.assert_allclose(means, wanted, rtol=1e-6, atol=1e-4)
    blurred = filters.gaussian_filter(values.astype(np.float32), size / 4)
    wanted = ndimage.gaussian_filter(values.astype(np.float32), size / 4)
    np.testing.assert_allclose(blurred, wanted, rtol=1e-6, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.bool_, SIDES), st.integers(1, 12))
def test_any_mask(mask, size):
    assert_labels(mask)
    assert_same(filters.inner(mask), ndimage.binary_erosion(mask))
    assert_same(filters.opening_down(mask, size), ndimage.binary_opening(mask, np.ones((size, 1))))
    odd = 2 * size + 1
    wanted = ndimage.maximum_filter1d(mask.astype(np.uint8), odd, axis=0).astype(bool)
    assert_same(filters.maximum_down(mask, odd), wanted)
