"""The images of an epoch of `reader`: every digit written anew, and things that are no digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penmark.data.preparation import SIDE
from penmark.recipes import nondigits
from penmark.recipes.handwriting import MILD, STRONG, adorn, vary

if TYPE_CHECKING:
    from penmark.data import Dataset
    from penmark.engine import Augment

# Of every epoch's images, the share made non-digits; of the digits, the share varied mildly.
NON_DIGITS = 1 / 6
MILDLY = 0.4


def varied_handwriting(dataset: Dataset) -> Augment | None:
    """What makes every epoch's images of a data set of handwritten digits.

    The labels of digits stay; those of what is made a non-digit become 0 for all classes.

    Args:
        dataset: any; what is no gray 28×28 image of a digit has no handwriting to vary.

    Returns:
        A function for `penmark.fit(augment=...)`, or None where the classes are not named by
        digits or the images have another shape.
    """
    digits = {str(digit): digit for digit in range(10)}
    if dataset.image_shape not in ((SIDE, SIDE), (SIDE, SIDE, 1)):
        return None
    if not set(dataset.class_names) <= set(digits):
        return None
    digit_of_class = np.array([digits[name] for name in dataset.class_names])

    def augment(
        x: NDArray[Any], y: NDArray[Any], seed: int, epoch: int
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        rng = np.random.default_rng([seed, epoch])
        images, written = x.reshape(-1, SIDE, SIDE), digit_of_class[y.argmax(axis=1)]
        made, labels = images.copy(), np.array(y, np.float32)
        adorn(made, written, rng)
        lots = rng.random(len(images))
        others = np.flatnonzero(lots < NON_DIGITS)
        labels[others] = 0
        made[others] = nondigits.make(len(others), images, written, rng)
        mild = (lots >= NON_DIGITS) & (lots < NON_DIGITS + MILDLY * (1 - NON_DIGITS))
        made[mild] = vary(made[mild], MILD, rng)
        made[~mild] = vary(made[~mild], STRONG, rng)
        return made.reshape(x.shape), labels

    return augment
