"""The browser prepares a drawing as Python does: the same 28×28 bytes for the same ink."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import penmark.export
from penmark.data import load_data
from penmark.data.preparation import prepare_digit

PARTS = Path(penmark.export.__file__).parent / "web"

PREPARE_ALL = """async (inks) => {
  const { prepareDigit } = await import("/prepare.js");
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return inks.map(([ink, height, width]) => [...prepareDigit(bytes(ink), height, width)]);
}"""


@pytest.fixture(scope="module")
def address(serve):
    return serve(PARTS) + "icon.svg"


def in_the_browser(page, inks):
    given = [[base64.b64encode(ink.tobytes()).decode(), *ink.shape] for ink in inks]
    return np.array(page.evaluate(PREPARE_ALL, given), np.uint8).reshape(-1, 28, 28)


def drawing(rng, side, pen):
    """A random anti-aliased scribble of one to three strokes; some of it may leave the sheet."""
    fine = Image.new("L", (4 * side, 4 * side))
    draw = ImageDraw.Draw(fine)
    for _ in range(rng.integers(1, 4)):
        points = rng.normal(rng.uniform(0, 4 * side, 2), side * rng.uniform(0.1, 1.5), (6, 2))
        draw.line([tuple(point) for point in points], fill=255, width=4 * pen, joint="curve")
    return np.asarray(fine.resize((side, side), Image.Resampling.BOX))


def spot(height, width, *places):
    ink = np.zeros((height, width), np.uint8)
    for row, column, value in places:
        ink[row, column] = value
    return ink


EDGES = [
    np.zeros((280, 280), np.uint8),
    np.full((280, 280), 255, np.uint8),
    np.full((1, 1), 1, np.uint8),
    spot(280, 280, (0, 0, 255)),
    spot(280, 280, (279, 279, 255)),
    spot(280, 280, (279, 0, 3), (0, 279, 255)),
    spot(280, 280, (140, slice(3, 270), 255)),
    spot(280, 280, (slice(None), 0, 255)),
    spot(1, 90, (0, slice(10, 80), 200)),
    spot(77, 1, (slice(5, 60), 0, 17)),
    spot(300, 20, (slice(None), slice(4, 9), 128)),
    spot(28, 28, (5, 5, 16), (9, 20, 255), (20, 9, 15)),
]


def test_drawings_come_out_the_same(open_page, address, rng):
    pens = [1, 1, 2, 4, 8, 16, 22, 40, 90]
    scribbles = [drawing(rng, (280, 280, 60, 133)[i % 4], pens[i % len(pens)]) for i in range(150)]
    tiny = [drawing(rng, 24, 1) for _ in range(30)]
    faint = [(ink // 7).astype(np.uint8) for ink in scribbles[:20]]
    noise = [
        rng.choice(np.array([0, 0, 0, 1, 30, 128, 255], np.uint8), rng.integers(1, 90, 2))
        for _ in range(100)
    ]
    digits = list(load_data("digits").x_test[:100])
    inks = [
        np.ascontiguousarray(ink) for ink in [*EDGES, *scribbles, *tiny, *faint, *noise, *digits]
    ]
    expected = np.array([prepare_digit(ink) for ink in inks])
    actual = in_the_browser(open_page(address), inks)
    different = np.abs(expected.astype(int) - actual).max(axis=(1, 2))
    assert [(index, inks[index].shape) for index in np.flatnonzero(different)] == []


def test_mnist_comes_out_the_same(open_page, address, real_data, rng):
    images = np.load(real_data / "mnist.npz")["x_test"]
    inks = list(images[rng.choice(len(images), 1000, replace=False)])
    expected = np.array([prepare_digit(ink) for ink in inks])
    np.testing.assert_array_equal(in_the_browser(open_page(address), inks), expected)
