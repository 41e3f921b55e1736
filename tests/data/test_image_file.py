"""One image file of every odd kind: decoded rightly, or refused with a reason."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from penmark.data.image_file import (
    DecodedImage,
    UnusableImage,
    decode_image,
    image_extensions,
    pillow_warnings,
)
from tests.data.files import picture

GRAY = picture(1, (12, 20))
RGB = picture(2, (12, 20), 3)


def decode(path: Path, **options: int) -> DecodedImage:
    with pillow_warnings():
        result = decode_image(path, **options)
    assert isinstance(result, DecodedImage), result
    return result


def refuse(path: Path, **options: int) -> UnusableImage:
    with pillow_warnings():
        result = decode_image(path, **options)
    assert isinstance(result, UnusableImage)
    assert "\n" not in result.detail
    return result


@pytest.mark.parametrize("extension", ["png", "bmp", "gif", "tif", "tiff", "webp", "pgm", "tga"])
def test_gray_without_loss(tmp_path, extension):
    path = tmp_path / f"x.{extension}"
    options = {"lossless": True} if extension == "webp" else {}
    Image.fromarray(GRAY).save(path, **options)
    np.testing.assert_array_equal(decode(path).pixels, GRAY)


@pytest.mark.parametrize("extension", ["jpg", "jpeg", "jfif"])
def test_jpeg_is_close(tmp_path, extension):
    smooth = np.linspace(0, 255, 400).reshape(20, 20).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / f"x.{extension}", quality=95)
    difference = decode(tmp_path / f"x.{extension}").pixels.astype(int) - smooth
    assert np.abs(difference).max() <= 3


def test_color_stays_color_and_gray_in_color_becomes_gray(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "color.png")
    np.testing.assert_array_equal(decode(tmp_path / "color.png").pixels, RGB)
    Image.fromarray(GRAY[..., None].repeat(3, axis=-1)).save(tmp_path / "gray.png")
    Image.fromarray(GRAY).save(tmp_path / "same.bmp")
    gray, same = decode(tmp_path / "gray.png"), decode(tmp_path / "same.bmp")
    np.testing.assert_array_equal(gray.pixels, GRAY)
    assert gray.mode == "RGB" and gray.digest == same.digest


def test_the_same_bytes_in_another_shape_are_another_image(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "a.png")
    Image.fromarray(GRAY.reshape(20, 12)).save(tmp_path / "b.png")
    assert decode(tmp_path / "a.png").digest != decode(tmp_path / "b.png").digest


# What the eight values of the EXIF orientation entry ask for, as array operations.
ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(GRAY).save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(
        decode(tmp_path / "x.png").pixels, ORIENTATIONS[orientation](GRAY)
    )


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_16_bit_is_scaled_not_clipped(tmp_path, extension):
    deep = np.array([[0, 257, 12_850], [32_768, 65_278, 65_535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / f"x.{extension}")
    decoded = decode(tmp_path / f"x.{extension}")
    assert decoded.pixels.tolist() == [[0, 1, 50], [128, 254, 255]]


@pytest.mark.parametrize(
    ("values", "expected", "noted"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [[0, 128, 255]], False),
        (np.array([[0.0, 100.4, 255.0]], np.float32), [[0, 100, 255]], False),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [[0, 128, 255]], True),
        (np.array([[0, 500_000, 1_000_000]], np.int32), [[0, 128, 255]], True),
        (np.array([[0, 7, 255]], np.int32), [[0, 7, 255]], False),
    ],
)
def test_wide_pixels(tmp_path, values, expected, noted):
    Image.fromarray(values).save(tmp_path / "x.tif")
    decoded = decode(tmp_path / "x.tif")
    assert decoded.pixels.tolist() == expected
    assert any("stretched" in note for note in decoded.notes) == noted


def test_pixels_that_are_not_numbers(tmp_path):
    Image.fromarray(np.array([[0.0, np.nan]], np.float32)).save(tmp_path / "x.tif")
    assert refuse(tmp_path / "x.tif").problem == "unreadable"


def test_cmyk(tmp_path):
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[:, 4:, 1:3] = 255  # magenta and yellow make red; no ink is white
    Image.fromarray(inks, "CMYK").save(tmp_path / "x.tif")
    decoded = decode(tmp_path / "x.tif")
    assert decoded.mode == "CMYK"
    assert decoded.pixels[0, 0].tolist() == [255, 255, 255]
    assert decoded.pixels[0, 7].tolist() == [255, 0, 0]


def test_palette(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / "x.png")
    decoded = decode(tmp_path / "x.png")
    assert decoded.mode == "P"
    assert decoded.pixels.tolist() == [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 255, 0]]]


def test_black_and_white(tmp_path):
    Image.fromarray(GRAY > 127).save(tmp_path / "x.png")
    np.testing.assert_array_equal(decode(tmp_path / "x.png").pixels, (GRAY > 127) * np.uint8(255))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_white(tmp_path, mode):
    if mode == "P":
        image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
        image.putpalette([0, 0, 0, 0, 0, 0])
        image.save(tmp_path / "x.png", transparency=0)
    else:
        # Black throughout: what is transparent must not show it.
        image = Image.new(mode, (2, 1), 0)
        image.putalpha(Image.fromarray(np.array([[0, 255]], np.uint8)))
        image.save(tmp_path / "x.png")
    decoded = decode(tmp_path / "x.png")
    assert decoded.pixels.tolist() == [[255, 0]]
    assert "transparent parts became white" in decoded.notes


def test_half_transparent_is_blended(tmp_path):
    pixels = np.array([[[0, 0, 0, 128], [0, 0, 0, 255]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert decode(tmp_path / "x.png").pixels.tolist() == [[127, 0]]


@pytest.mark.parametrize("extension", ["gif", "tif", "png"])
def test_the_first_of_several_frames(tmp_path, extension):
    frames = [Image.fromarray(picture(seed, (12, 20))) for seed in range(3)]
    frames[0].save(tmp_path / f"x.{extension}", save_all=True, append_images=frames[1:])
    decoded = decode(tmp_path / f"x.{extension}")
    np.testing.assert_array_equal(decoded.pixels, picture(0, (12, 20)))
    assert "first of 3 frames" in decoded.notes


def test_an_empty_file(tmp_path):
    (tmp_path / "x.png").touch()
    assert refuse(tmp_path / "x.png").problem == "empty"


def test_text_called_png(tmp_path):
    (tmp_path / "x.png").write_text("not an image at all")
    found = refuse(tmp_path / "x.png")
    assert found.problem == "unreadable" and "no image" in found.detail


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "bmp", "tif", "webp"])
def test_truncated_files(tmp_path, extension):
    path = tmp_path / f"x.{extension}"
    Image.fromarray(picture(3, (60, 60), 3)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refuse(path).problem == "unreadable"


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_one_color(tmp_path, mode):
    Image.new(mode, (5, 5), (3, 200, 77) if mode == "RGB" else 7).save(tmp_path / "x.png")
    found = refuse(tmp_path / "x.png")
    assert found.problem == "one color" and found.size == (5, 5)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG file that declares a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(b"\0" * 100)),
            chunk(b"IEND", b""),
        ]
    )


# Above 50 million; where Pillow warns; where Pillow refuses.
@pytest.mark.parametrize("side", [7100, 10_000, 100_000])
def test_bombs_are_refused_before_they_are_decoded(tmp_path, side):
    (tmp_path / "x.png").write_bytes(png_of_size(side, side))
    assert refuse(tmp_path / "x.png").problem == "too large"


def test_eps_is_not_given_to_another_program(tmp_path):
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "x.png").write_bytes(eps)
    assert refuse(tmp_path / "x.png").problem == "unreadable"
    assert ".eps" not in image_extensions()


def test_usual_extensions_are_known():
    expected = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".mpo"}
    assert expected <= image_extensions()
    assert ".txt" not in image_extensions() and ".pdf" not in image_extensions()


def encoded(extension: str) -> bytes:
    import io

    stream = io.BytesIO()
    Image.fromarray(picture(5, (9, 9), 3)).save(stream, Image.registered_extensions()[extension])
    return stream.getvalue()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_anywhere_never_raises(tmp_path_factory, data):
    extension = data.draw(st.sampled_from([".png", ".jpg", ".gif", ".bmp", ".tif", ".webp"]))
    content = bytearray(encoded(extension))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / f"x{extension}"
    path.write_bytes(content)
    with warnings.catch_warnings(), pillow_warnings():
        result = decode_image(path)
    if isinstance(result, DecodedImage):
        assert result.pixels.dtype == np.uint8 and result.pixels.ndim in (2, 3)
