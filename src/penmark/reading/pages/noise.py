"""Smooth noise, from which grain, paper, uneven ink and sensor noise are made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float32]


def smooth_noise(shape: tuple[int, ...], sigma_px: float, rng: np.random.Generator) -> FloatArray:
    """Gaussian noise of mean 0 and standard deviation 1, correlated over about `sigma_px`.

    Args:
        shape: (height, width).
        sigma_px: of the Gaussian that smooths it; made on a coarser grid where it is large.
        rng: the source.
    """
    from PIL import Image

    step = max(1, int(sigma_px))
    coarse = tuple(-(-side // step) + 2 for side in shape)
    noise = rng.standard_normal(coarse, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, sigma_px / step, mode="wrap", truncate=2.5)
    noise /= max(float(noise.std()), 1e-6)
    if step > 1:
        enlarged = Image.fromarray(noise).resize(
            (coarse[1] * step, coarse[0] * step), Image.Resampling.BICUBIC
        )
        noise = np.asarray(enlarged)
    return noise[: shape[0], : shape[1]]
