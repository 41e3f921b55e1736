"""Near duplicates and mislabeled images: found where they are, and not where they are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from penmark.data import duplicates as duplicates_module
from penmark.data import load_data, probably_mislabeled
from penmark.data.duplicates import near_duplicates
from penmark.errors import DataError


@pytest.fixture(scope="module")
def digits():
    return load_data("digits").x_train


def test_few_false_alarms_on_different_digits(digits):
    assert len(near_duplicates(digits)) <= 2


def test_copies_of_another_quality_are_found(digits):
    originals = digits[:50]

    def as_jpeg(image):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=75)
        return np.asarray(Image.open(stream))

    noise = np.random.default_rng(0).normal(0, 8, originals.shape)
    for copies in (
        np.stack([as_jpeg(image) for image in originals]),
        (originals * 0.7 + 20).astype(np.uint8),
        np.clip(originals + noise, 0, 255).astype(np.uint8),
    ):
        found = near_duplicates(np.concatenate([originals, copies]))
        assert {(pair.index, pair.earlier) for pair in found} == {
            (50 + row, row) for row in range(50)
        }


def test_blocks_do_not_matter(digits, monkeypatch):
    images = np.concatenate([digits[:40], digits[10:30]])
    monkeypatch.setattr(duplicates_module, "_CHUNK", 7)
    pairs = [(pair.index, pair.earlier) for pair in near_duplicates(images)]
    assert pairs == [(40 + row, 10 + row) for row in range(20)]


def test_images_of_a_group_are_not_compared(digits):
    images = np.concatenate([digits[:5], digits[:5]])
    assert near_duplicates(images, groups=[*range(5), *range(5)]) == ()


@pytest.mark.parametrize("images", [np.zeros((0, 5, 5), np.uint8), np.zeros((4, 5, 5), np.uint8)])
def test_nothing_and_flat_images_resemble_nothing(images):
    assert near_duplicates(images) == ()


NAMES = ("a", "b", "c")


def softened(labels: np.ndarray, sure: float) -> np.ndarray:
    probabilities = np.full((len(labels), 3), (1 - sure) / 2)
    probabilities[np.arange(len(labels)), labels] = sure
    return probabilities


@pytest.mark.parametrize("sure", [0.99, 0.9])
def test_swapped_labels_are_found(sure):
    truth = np.arange(60) % 3
    labels = truth.copy()
    labels[7] = (truth[7] + 1) % 3
    (found,) = probably_mislabeled(labels, softened(truth, sure), NAMES)
    assert found.index == 7
    assert (found.class_name, found.suggested_class) == (NAMES[labels[7]], NAMES[truth[7]])
    assert found.suggested_probability == pytest.approx(sure)


def test_hard_images_are_not_called_mislabeled():
    labels = np.arange(60) % 3
    probabilities = softened(labels, 0.95)
    probabilities[7] = [0.5, 0.3, 0.2]
    assert probably_mislabeled(labels, probabilities, NAMES) == ()


def test_the_most_doubtful_comes_first():
    labels = np.arange(90) % 3
    probabilities = softened(labels, 0.9)
    probabilities[3] = [0.05, 0.95, 0.0]
    probabilities[6] = [0.0, 1.0, 0.0]
    assert [found.index for found in probably_mislabeled(labels, probabilities, NAMES)] == [6, 3]


@given(st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_whatever_the_model_says_its_own_choice_is_not_doubted(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    probabilities = random.dirichlet([0.3] * 3, count)
    for found in probably_mislabeled(labels, probabilities, NAMES):
        assert probabilities[found.index].argmax() != labels[found.index]
        assert found.class_probability < 0.1 and found.suggested_probability > 0.5


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.zeros((4, 2)), r"have shape \(4, 2\), but 4 images in 3 classes need \(4, 3\)"),
        (np.full((4, 3), np.nan), "from 0 to 1"),
        (np.full((4, 3), 7.0), "softmax"),
    ],
)
def test_probabilities_must_fit(probabilities, message):
    with pytest.raises(DataError, match=message):
        probably_mislabeled(np.array([0, 1, 2, 0]), probabilities, NAMES)
