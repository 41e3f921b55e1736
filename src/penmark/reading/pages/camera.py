"""The camera: where the flat page comes to lie in the picture, and what lens and sensor do."""

from __future__ import annotations

import dataclasses
import functools
import io
import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from penmark.reading.pages.noise import smooth_noise

FloatArray = NDArray[np.float32]
UInt8Array = NDArray[np.uint8]
Bounds = tuple[float, float, float, float]

# Distance of the camera over the longer side of the writing. A phone's main camera sees 65° along
# the longer side of its picture, which is a distance of 0.8 sides; people leave room around.
_DISTANCE = 1.3


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """A pinhole camera's view of the flat page. Pixel i spans i to i + 1, on both sides.

    Args:
        size: (width, height) of the picture in pixels.
        matrix: float64, shape (3, 3): homogeneous (x, y, 1) on the page -> in the picture.
    """

    size: tuple[int, int]
    matrix: NDArray[np.float64]

    @functools.cached_property
    def inverse(self) -> NDArray[np.float64]:
        """float64, shape (3, 3): from the picture to the page."""
        return np.asarray(np.linalg.inv(self.matrix), np.float64)

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (n, 2) of the page, x and y, as points (n, 2) of the picture."""
        return _apply(self.matrix, points)

    @functools.cached_property
    def _page(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """x and y on the page of each pixel's center, and the side of a pixel there."""
        width, height = self.size
        h = self.inverse.astype(np.float64)
        u = np.arange(width)[None, :] + 0.5
        v = np.arange(height)[:, None] + 0.5
        w = h[2, 0] * u + h[2, 1] * v + h[2, 2]
        x = (h[0, 0] * u + h[0, 1] * v + h[0, 2]) / w
        y = (h[1, 0] * u + h[1, 1] * v + h[1, 2]) / w
        # The Jacobian of a homography has the determinant det(h) / w³.
        side = np.sqrt(np.abs(np.linalg.det(h) / w**3))
        return x.astype(np.float32), y.astype(np.float32), side.astype(np.float32)

    def see(self, layer: FloatArray, left: int, top: int) -> FloatArray:
        """A layer of the page as it lies in the picture, 0.0 where the layer does not reach.

        Args:
            layer: float32, shape (height, width), 0.0 to 1.0.
            left, top: where its first pixel lies on the page.
        """
        from PIL import Image

        shift = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
        h = shift @ self.inverse
        h /= h[2, 2]
        seen = Image.fromarray(layer).transform(
            self.size,
            Image.Transform.PERSPECTIVE,
            tuple(h.ravel()[:8]),
            Image.Resampling.BICUBIC,
        )
        return np.clip(np.asarray(seen, np.float32), 0.0, 1.0)

    def lines(self, axis: int, first: float, pitch: float, width: float) -> FloatArray:
        """How much of each pixel is covered by parallel lines on the page.

        Args:
            axis: 0 for lines at one x, 1 for lines at one y.
            first, pitch, width: place, distance and width of the lines, in pixels of the page.

        Returns:
            float32, shape (height, width), 0.0 to 1.0.
        """
        place, side = self._page[axis], self._page[2]
        from_line = np.abs((place - np.float32(first + pitch / 2)) % np.float32(pitch) - pitch / 2)
        covered: FloatArray = np.clip(
            0.5 + (np.float32(width / 2) - from_line) / side, 0.0, np.minimum(1.0, width / side)
        )
        return covered

    def distance_inside(self, sheet: Bounds) -> FloatArray:
        """Distance to the edge of a sheet in pixels of the picture; negative outside of it."""
        x, y, side = self._page
        left, top, right, bottom = sheet
        nearest = np.minimum(
            np.minimum(x - np.float32(left), np.float32(right) - x),
            np.minimum(y - np.float32(top), np.float32(bottom) - y),
        )
        inside: FloatArray = nearest / side
        return inside


def look_at(
    framed: Bounds,
    *,
    tilt_degrees: float,
    rotation_degrees: float,
    border: float,
    rng: np.random.Generator,
) -> View:
    """Point a camera at a part of the page, so that all of it is in the picture.

    In the middle of the picture a pixel of the page is a pixel of the picture.

    Args:
        framed: (left, top, right, bottom) on the page.
        tilt_degrees: angle between the camera's axis and the page's normal.
        rotation_degrees: turn of the page, clockwise.
        border: added around, as a share of the picture of what is framed.
        rng: decides the direction of the tilt.

    Source: the pinhole camera and the homography of a plane, Hartley and Zisserman, "Multiple
    View Geometry in Computer Vision", 2nd edition, section 8.1.1.
    """
    left, top, right, bottom = framed
    distance = _DISTANCE * max(right - left, bottom - top)
    direction = rng.uniform(0.0, 2 * math.pi)
    turn, tilt = math.radians(rotation_degrees), math.radians(tilt_degrees)
    turned = np.array(
        [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1.0]]
    )
    # Rodrigues' formula for the axis (cos, sin, 0) in the plane of the page.
    axis = np.array([math.cos(direction), math.sin(direction), 0.0])
    cross = np.array([[0, 0, axis[1]], [0, 0, -axis[0]], [-axis[1], axis[0], 0.0]])
    tilted = np.eye(3) + math.sin(tilt) * cross + (1 - math.cos(tilt)) * cross @ cross
    rotation = tilted @ turned
    to_middle = np.array(
        [[1.0, 0.0, -(left + right) / 2], [0.0, 1.0, -(top + bottom) / 2], [0.0, 0.0, 1.0]]
    )
    # The page is the plane z = 0 before the rotation, so its third column falls away.
    plane = np.column_stack([rotation[:, 0], rotation[:, 1], [0.0, 0.0, distance]])
    matrix = np.diag([distance, distance, 1.0]) @ plane @ to_middle
    corners = np.array([[x, y] for x in (left, right) for y in (top, bottom)])
    seen = _apply(matrix, corners)
    low, high = seen.min(axis=0), seen.max(axis=0)
    extra = border * (high - low)
    low, high = low - extra, high + extra
    to_corner = np.array([[1.0, 0.0, -low[0]], [0.0, 1.0, -low[1]], [0.0, 0.0, 1.0]])
    width, height = (max(1, math.ceil(side)) for side in high - low)
    return View((width, height), to_corner @ matrix)


def _apply(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def defocus(light: FloatArray, sigma_px: float, rng: np.random.Generator) -> FloatArray:
    """Blur linear light by a Gaussian, up to 1.5 times as far along one side as a hand shakes.

    Args:
        light: float32, shape (height, width, 3).
        sigma_px: its standard deviation, the geometric mean of both sides'.
        rng: decides the direction.
    """
    stretch = rng.uniform(1.0, 1.5) ** rng.choice([-1.0, 1.0])
    if not sigma_px:
        return light
    sigmas = (sigma_px * stretch, sigma_px / stretch, 0.0)
    blurred: FloatArray = ndimage.gaussian_filter(light, sigmas, mode="nearest", truncate=2.5)
    return blurred


def srgb(linear: NDArray[np.floating]) -> NDArray[np.floating]:
    """Linear light, 0.0 to 1.0, on the curve of a picture's values (IEC 61966-2-1), 0.0 to 1.0."""
    curved: NDArray[np.floating] = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )
    return curved


def linear_light(encoded: float) -> float:
    """The inverse of `srgb`."""
    return encoded / 12.92 if encoded <= 0.04045 else ((encoded + 0.055) / 1.055) ** 2.4


@functools.cache
def _srgb_table() -> FloatArray:
    return (255 * srgb(np.arange(65536) / 65535)).astype(np.float32)


def develop(light: FloatArray, noise: float, rng: np.random.Generator) -> UInt8Array:
    """Linear light as the pixels of a picture: sRGB curve, noise, 8 bits.

    A photon count's noise grows with the square root of the light, and the sRGB curve's slope
    falls about as fast, so that in a picture's values it is nearly the same everywhere. Phones
    smooth it: what remains is fine in brightness and blotchy in color.

    Args:
        light: float32, shape (height, width, 3), 1.0 = white; more is clipped.
        noise: standard deviation of the brightness in levels of 255.
        rng: the source of the noise.
    """
    encoded = _srgb_table()[(np.clip(light, 0.0, 1.0) * 65535).astype(np.uint16)]
    if noise:
        shape = encoded.shape[:2]
        encoded += np.float32(noise) * smooth_noise(shape, 0.6, rng)[..., None]
        for channel in (0, 2):
            encoded[..., channel] += np.float32(0.4 * noise) * smooth_noise(shape, 2.0, rng)
    return np.clip(np.rint(encoded), 0, 255).astype(np.uint8)


def compress(picture: UInt8Array, quality: int) -> UInt8Array:
    """A picture after JPEG at this quality (1 to 95), with halved color resolution."""
    from PIL import Image

    stored = io.BytesIO()
    Image.fromarray(picture).save(stored, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(stored).convert("RGB"))
