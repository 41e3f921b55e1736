"""The bundled data set: the 1,797 handwritten digits that scikit-learn carries, in MNIST's shape.

Source of the images: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI
Machine Learning Repository, 1998.
"""

from __future__ import annotations

import numpy as np

from penmark.data.dataset import Dataset, Int64Array, UInt8Array
from penmark.data.registry import DATASETS
from penmark.data.split import stratified_split

_SIDE = 28
_INNER = 20
_LARGEST_VALUE = 16
# 0.4 i - 0.3, the place of enlarged pixel i between the 8 given ones, is a whole number of tenths;
# so the cubic kernel's weights are whole numbers of two-thousandths.
_WEIGHT_UNIT = 2000
# Fixed: `digits` is one published split, whatever seed is asked of other sources.
_SPLIT_SEED = 0


def load_digits() -> Dataset:
    """The digits, enlarged to 28×28, in one fixed stratified split of 80 % to 20 %.

    Returns:
        1,438 training and 359 test images, uint8 (n, 28, 28), white strokes (255) on black (0).
    """
    from sklearn.datasets import load_digits as load_original

    original = load_original()
    images = enlarge(original.images.astype(np.int64))
    labels: Int64Array = original.target.astype(np.int64)
    train, test = stratified_split(labels, seed=_SPLIT_SEED)
    return Dataset(
        name="digits",
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
        class_names=DATASETS["digits"].class_names,
        source="scikit-learn's load_digits, enlarged to 28×28",
    )


def enlarge(images: Int64Array) -> UInt8Array:
    """Enlarge 8×8 digits smoothly to 20×20 and center them in 28×28, as MNIST's digits are.

    In whole numbers throughout, so that every machine gives the same pixels.

    Args:
        images: int64, shape (n, 8, 8), 0 to 16.

    Returns:
        uint8, shape (n, 28, 28), 0 to 255.

    Source: R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE
    Transactions on Acoustics, Speech, and Signal Processing 29(6), 1981, with a = -1/2.
    """
    weights = _cubic_weights(images.shape[-1])
    scaled = weights @ images @ weights.T * 255
    unit = _LARGEST_VALUE * _WEIGHT_UNIT**2
    # The kernel overshoots beside sharp edges.
    enlarged = np.clip((scaled + unit // 2) // unit, 0, 255).astype(np.uint8)
    margin = (_SIDE - _INNER) // 2
    return np.pad(enlarged, ((0, 0), (margin, margin), (margin, margin)))


def _cubic_weights(given: int) -> Int64Array:
    """Weight of each given pixel in each enlarged one, in units of 1/2000, shape (20, given).

    What lies outside the image counts as background, 0.
    """
    weights = np.zeros((_INNER, given), dtype=np.int64)
    for row in range(_INNER):
        for column in range(given):
            # Distance between the two pixels' centers, in tenths.
            t = abs(4 * row - 3 - 10 * column)
            if t < 10:
                weights[row, column] = 3 * t**3 - 50 * t**2 + 2000
            elif t < 20:
                weights[row, column] = -(t**3) + 50 * t**2 - 800 * t + 4000
    return weights
