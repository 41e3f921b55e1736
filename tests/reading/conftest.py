"""Pictures of digits that scikit-learn carries, and the network that comes with penmark."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from penmark.data import load_data
from penmark.reading.classifier import Classifier, default_model


@pytest.fixture(scope="session")
def reader() -> Classifier:
    return default_model()


@pytest.fixture(scope="package")
def digits():
    data = load_data("digits")
    return data.x_test, data.y_test


@pytest.fixture(scope="session")
def digit_images(reader):
    """One clear image (28, 28) of each digit, white on black."""
    digits = load_data("digits")
    probabilities = reader(digits.x_test)
    chosen = []
    for label in range(10):
        certainty = np.where(digits.y_test == label, probabilities[:, label], 0)
        chosen.append(digits.x_test[int(certainty.argmax())])
    return chosen


@pytest.fixture(scope="session")
def page_of(digit_images):
    """A function that writes lines of digits, dark on light, in gray of shape (height, width)."""

    def page(*lines: str, height: int = 70, gap: int = 14, margin: int = 60) -> np.ndarray:
        step, row_step = height + gap, round(height * 1.8)
        width = 2 * margin + step * max(map(len, lines))
        ink = np.zeros((2 * margin + row_step * len(lines), width), np.uint8)
        for row, line in enumerate(lines):
            for column, character in enumerate(line):
                if character == " ":
                    continue
                inner = digit_images[int(character)][4:24, 4:24]
                image = Image.fromarray(inner).resize((height, height), Image.Resampling.BICUBIC)
                sharp = np.clip((np.asarray(image).astype(float) - 90) * 4, 0, 255)
                x, y = margin + column * step, margin + row * row_step
                ink[y : y + height, x : x + height] = sharp
        return (250 - ink * (210 / 255)).astype(np.uint8)

    return page
