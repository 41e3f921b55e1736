"""The bundled digits: known counts, known pixels, a smooth enlargement."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penmark.data import DATASETS, load_data
from penmark.data.digits import enlarge


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


def test_known_numbers(digits):
    info = DATASETS["digits"]
    assert digits.x_train.shape == (info.train_images, 28, 28)
    assert digits.x_test.shape == (info.test_images, 28, 28)
    assert int(digits.x_train.sum()) == 44_820_378
    assert int(digits.x_test.sum()) == 11_096_707
    assert digits.checksum == "0364e441103b19c2be4bfcc6891e9c4d1bd85663364275d7c20575ca5725e024"
    assert digits.class_names == tuple("0123456789")


def test_every_class_is_split_four_to_one(digits):
    train, test = np.bincount(digits.y_train), np.bincount(digits.y_test)
    np.testing.assert_array_less(np.abs(test / (train + test) - 0.2), 0.005)


def test_all_originals_are_there_once(digits):
    everything = np.concatenate([digits.x_train, digits.x_test])
    digests = {hashlib.sha256(image).digest() for image in everything}
    assert len(everything) == len(digests) == 1797


def test_the_seed_does_not_change_them(digits):
    assert load_data("digits", seed=5).checksum == digits.checksum


def test_strokes_are_white_on_a_black_margin(digits):
    images = digits.x_train
    assert images.max() == 255
    inside = images[:, 4:24, 4:24]
    assert int(images.sum()) == int(inside.sum())


eight_by_eight = hnp.arrays(np.int64, (1, 8, 8), elements=st.integers(0, 16))


@given(eight_by_eight)
def test_enlarging_agrees_with_pillow(image):
    """Pillow's cubic kernel is the same; it differs only where the border cuts it off."""
    from PIL import Image

    scaled = Image.fromarray((image[0] / 16 * 255).astype(np.float32))
    expected = np.clip(np.asarray(scaled.resize((20, 20), Image.Resampling.BICUBIC)), 0, 255)
    found = enlarge(image)[0, 4:24, 4:24].astype(np.float64)
    np.testing.assert_allclose(found[4:16, 4:16], expected[4:16, 4:16], atol=1.01)


@given(eight_by_eight)
def test_enlarging_treats_all_sides_alike(image):
    enlarged = enlarge(image)
    np.testing.assert_array_equal(enlarge(image[:, ::-1]), enlarged[:, ::-1])
    np.testing.assert_array_equal(enlarge(image[:, :, ::-1]), enlarged[:, :, ::-1])
    np.testing.assert_array_equal(enlarge(image.transpose(0, 2, 1)), enlarged.transpose(0, 2, 1))
