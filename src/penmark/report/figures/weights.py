"""Pictures of a first layer's weights: what each unit or filter looks for in an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penmark.errors import ModelError
from penmark.report.figures.canvas import SMALL_POINTS, finish
from penmark.report.figures.picture_grid import MARGIN_INCHES, picture_grid
from penmark.report.figures.theme import Theme, resolve_theme
from penmark.report.tint import weight_limit
from penmark.report.wording import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_UNITS = 64


def weights_as_images(
    kernel: NDArray[np.floating[Any]],
    image_shape: Sequence[int],
    *,
    class_names: Sequence[str] | None = None,
    theme: str | Theme = "light",
) -> Figure:
    """Draw the weights of a dense first layer, one picture per unit, in the shape of the input.

    Blue pixels speak for the unit, vermilion ones against it, and where the color is that of
    the background the unit does not look. One scale, symmetric around 0, holds for all units.

    Args:
        kernel: float, shape (inputs, units).
        image_shape: (height, width) or (height, width, channels) of the images; their product
            is `inputs`. Of several channels the mean is drawn.
        class_names: titles, if there are as many as units.
        theme: "light" or "dark".

    Raises:
        ModelError: the kernel does not fit the image shape.
    """
    pictures = unit_images(kernel, image_shape)
    units = kernel.shape[1]
    named = class_names is not None and len(class_names) == units
    titles = (
        [shorten(name, 14) for name in class_names[: len(pictures)]]
        if named and class_names is not None
        else [""] * len(pictures)
    )
    return _weight_grid(
        pictures,
        titles,
        title=_title("What each unit looks for", len(pictures), units),
        theme=resolve_theme(theme),
    )


def filters(kernel: NDArray[np.floating[Any]], *, theme: str | Theme = "light") -> Figure:
    """Draw the filters of a convolution, one small picture each.

    Filters over three channels (red, green, blue) are drawn in color, gray being 0; all others
    as the mean over their input channels, blue for positive and vermilion for negative.

    Args:
        kernel: float, shape (height, width, input channels, filters).
        theme: "light" or "dark".

    Raises:
        ModelError: the kernel is not four-dimensional.
    """
    pictures = filter_images(kernel)
    count = kernel.shape[3]
    return _weight_grid(
        pictures,
        [""] * len(pictures),
        title=_title("What each filter looks for", len(pictures), count),
        theme=resolve_theme(theme),
    )


def unit_images(
    kernel: NDArray[np.floating[Any]], image_shape: Sequence[int]
) -> NDArray[np.float64]:
    """The first 64 units' weights as signed pictures, float64, shape (<= 64, height, width).

    Raises:
        ModelError: the kernel does not fit the image shape.
    """
    shape = tuple(int(size) for size in image_shape)
    if not kernel_fits(kernel, shape) or kernel.ndim != 2:
        raise ModelError(
            f"a dense kernel over images of shape {shape} must have shape "
            f"({math.prod(shape)}, units); got {kernel.shape}"
        )
    weights = kernel[:, :MOST_UNITS].T.astype(np.float64)
    pictures = weights.reshape(len(weights), *shape)
    mean: NDArray[np.float64] = pictures.mean(axis=3) if len(shape) == 3 else pictures
    return mean


def filter_images(kernel: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The first 64 filters as pictures, float64.

    Returns:
        Shape (<= 64, height, width), signed weights; for three input channels shape
        (<= 64, height, width, 3), 0.0 to 1.0 with 0.5 for the weight 0.

    Raises:
        ModelError: the kernel is not four-dimensional.
    """
    if kernel.ndim != 4:
        raise ModelError(
            "a convolution's kernel must have shape (height, width, input channels, filters); "
            f"got {kernel.shape}"
        )
    pictures = np.moveaxis(kernel[..., :MOST_UNITS], 3, 0).astype(np.float64)
    if kernel.shape[2] == 3:
        return np.clip(0.5 + 0.5 * pictures / weight_limit(pictures), 0.0, 1.0)
    mean: NDArray[np.float64] = pictures.mean(axis=3)
    return mean


def kernel_fits(kernel: NDArray[np.floating[Any]], image_shape: Sequence[int]) -> bool:
    """Whether a first layer's kernel can be drawn: a convolution's, or one weight per pixel."""
    return kernel.ndim == 4 or (kernel.ndim == 2 and len(kernel) == math.prod(image_shape))


def _title(sentence: str, shown: int, total: int) -> str:
    return sentence if shown == total else f"{sentence} (the first {shown} of {total:,})"


def _weight_grid(
    pictures: NDArray[np.float64], titles: Sequence[str], *, title: str, theme: Theme
) -> Figure:
    from matplotlib.colors import LinearSegmentedColormap

    count = len(pictures)
    signed = pictures.ndim == 3
    limit = weight_limit(pictures)
    colors = LinearSegmentedColormap.from_list(
        "penmark_signed", [theme.wrong, theme.surface, theme.right]
    )
    scale: dict[str, Any] = {"cmap": colors, "vmin": -limit, "vmax": limit} if signed else {}
    figure, panels = picture_grid(
        pictures,
        titles,
        columns=min(count, 5 if count <= 10 else 8),
        picture_inches=2.4 if count == 1 else 1.1 if count <= 10 else 0.8,
        points=SMALL_POINTS,
        theme=theme,
        caption_color=theme.ink,
        title=title,
        space_below_inches=0.5 if signed else 0.0,
        least_width_inches=3.4,
        **scale,
    )
    if signed:
        width, height = figure.get_size_inches()
        bar_axes = figure.add_axes(
            (0.5 - 1.1 / width, (MARGIN_INCHES + 0.2) / height, 2.2 / width, 0.1 / height)
        )
        bar = figure.colorbar(panels[0].images[0], cax=bar_axes, orientation="horizontal")
        bar.set_ticks(
            [-limit, 0.0, limit], labels=[f"−{limit:.2g} against", "0", f"for +{limit:.2g}"]
        )
        bar_axes.tick_params(length=0, labelcolor=theme.muted, labelsize=SMALL_POINTS, pad=3)
        bar.outline.set_visible(False)
    return finish(figure)
