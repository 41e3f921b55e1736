"""Pictures that people take and draw: what is read in them."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter
from importlib import resources
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw, ImageFont

import penmark
from penmark.errors import DataError, ModelError
from penmark.reading import Reading, read
from penmark.reading.measurement import compare
from penmark.reading.pages import compose_page

LINES = ("3141", "5926")


def png(image: Image.Image, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def lines_of(image, **options) -> tuple[str, ...]:
    return read(image, **options).lines


@pytest.fixture(scope="module")
def page(page_of):
    return page_of(*LINES)


def test_rows_and_columns(page):
    reading = read(page)
    assert reading.text == "3141\n5926"
    assert reading.size == (page.shape[1], page.shape[0])
    assert reading.note is None
    assert [digit.line for digit in reading.digits] == [0] * 4 + [1] * 4
    for digit in reading.digits:
        assert digit.probability == digit.probabilities.max()
        assert digit.prepared.shape == (28, 28) and digit.prepared.max() > 200
        assert digit.runner_up == str(np.argsort(digit.probabilities)[-2])


def test_boxes_hold_the_ink_and_nothing_else(page):
    reading = read(page)
    outside = page.copy()
    for digit in reading.digits:
        x, y, width, height = digit.box
        assert (page[y : y + height, x : x + width] < 120).any()
        outside[y : y + height, x : x + width] = 250
    assert outside.min() > 150


def test_penmark_read_is_this_function():
    assert penmark.read is read


@pytest.mark.parametrize("label", range(10))
def test_an_image_of_a_data_set_just_works(digit_images, label):
    assert read(digit_images[label]).text == str(label)
    assert read(255 - digit_images[label]).text == str(label)


def test_mnist_test_images(real_data):
    with np.load(real_data / "mnist.npz") as file:
        images, labels = file["x_test"][:100], file["y_test"][:100]
    right = sum(read(image).text == str(label) for image, label in zip(images, labels, strict=True))
    assert right >= 96


def test_dark_on_light_reads_as_light_on_dark(page):
    assert lines_of(255 - page) == lines_of(page) == LINES


def test_every_kind_of_source(tmp_path, page):
    image = Image.fromarray(page)
    path = tmp_path / "page.png"
    image.save(path)
    for source in (path, str(path), path.read_bytes(), image, page):
        assert lines_of(source) == LINES


def test_every_kind_of_array(page):
    color = np.repeat(page[..., None], 3, axis=2)
    opaque = np.dstack([color, np.full(page.shape, 255, np.uint8)])
    for array in (
        page[..., None], color, opaque, page.astype(np.uint16) * 257, page / 255,
        page.astype(np.float64), page.astype(np.int64), page > 128,
    ):  # fmt: skip
        assert lines_of(array) == LINES


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1", "I;16", "I", "F"])
def test_every_mode_of_file(tmp_path, page, mode):
    if mode == "I;16":
        image = Image.fromarray(page.astype(np.uint16) * 16)
    elif mode == "I":
        image = Image.fromarray(page.astype(np.int32) * 9)
    elif mode == "F":
        image = Image.fromarray(page.astype(np.float32) / 255)
    else:
        image = Image.fromarray(page).convert("RGB").convert(mode)
    path = tmp_path / "page.tif"
    image.save(path)
    assert lines_of(path) == LINES


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture_and_the_boxes(page, orientation):
    back = {
        1: page, 2: page[:, ::-1], 3: page[::-1, ::-1], 4: page[::-1],
        5: page.T, 6: np.rot90(page, 1), 7: page[::-1, ::-1].T, 8: np.rot90(page, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    reading = read(png(Image.fromarray(np.ascontiguousarray(back)), exif=exif))
    upright = read(page)
    assert reading.lines == LINES
    assert reading.size == upright.size
    assert [digit.box for digit in reading.digits] == [digit.box for digit in upright.digits]


@pytest.mark.parametrize("ink", [(0, 0, 0), (255, 255, 255), (200, 30, 30)])
def test_transparent_drawings_lie_on_the_ground_they_were_made_for(page, ink):
    alpha = ((250 - page.astype(int)) * 255 // 210).clip(0, 255).astype(np.uint8)
    image = Image.new("RGBA", (page.shape[1], page.shape[0]), (*ink, 255))
    image.putalpha(Image.fromarray(alpha))
    assert lines_of(png(image)) == LINES


@pytest.mark.parametrize(
    ("paper", "ink"),
    [
        ((255, 236, 120), (30, 40, 150)),
        ((250, 250, 250), (200, 40, 50)),
        ((250, 250, 250), (250, 220, 0)),
        ((40, 70, 50), (230, 230, 220)),
        ((200, 200, 200), (170, 170, 170)),
    ],
)
def test_paper_and_ink_of_any_color(page, paper, ink):
    share = ((250 - page.astype(float)) / 210)[..., None]
    colored = np.array(paper) * (1 - share) + np.array(ink) * share
    assert lines_of(colored.round().clip(0, 255).astype(np.uint8)) == LINES


def test_uneven_light_and_noise(page, rng):
    height, width = page.shape
    light = np.linspace(1, 0.45, width)[None, :] * np.linspace(1, 0.8, height)[:, None]
    light[:, width // 2 :] *= 0.75  # the edge of a shadow
    noisy = page * light + rng.normal(0, 4, page.shape)
    assert lines_of(noisy.clip(0, 255).astype(np.uint8)) == LINES


@pytest.mark.parametrize("squared", [False, True])
def test_lines_of_the_paper_are_taken_out(page, squared):
    image = Image.fromarray(page).convert("RGB")
    lined = Image.new("RGB", image.size, "white")
    draw = ImageDraw.Draw(lined)
    for y in range(20, image.height, 40):
        draw.line([(0, y), (image.width, y + 6)], fill=(130, 150, 200), width=2)
    for x in range(13, image.width if squared else 0, 40):
        draw.line([(x, 0), (x, image.height)], fill=(130, 150, 200), width=2)
    both = np.minimum(np.asarray(lined), np.asarray(image))
    assert lines_of(both) == LINES


@pytest.mark.parametrize("width", [768, 831])
@pytest.mark.parametrize("height", [640, 703])
def test_lines_of_the_paper_are_taken_out_up_to_its_edges(page, width, height):
    lined = np.full((height, width), 250, np.uint8)
    lined[20::40], lined[21::40], lined[:, 13::40], lined[:, 14::40] = 4 * (150,)
    sheet = lined[: page.shape[0], : page.shape[1]]
    np.minimum(sheet, page, out=sheet)
    assert lines_of(lined) == LINES


@pytest.mark.parametrize("seed", [0, 4, 5])
def test_pencil_paler_than_the_lines_of_its_paper_is_read(digits, seed):
    difficulty = {"lines": 1.0, "faintness": 0.5}
    page = compose_page(*digits, seed=seed, difficulty=difficulty, pen="pencil")
    tally = compare(page, read(page.image), seconds=0.0).tally
    assert tally.correct >= 0.7 * tally.digits
    assert tally.false_digits <= 0.2 * tally.digits


@pytest.mark.parametrize("degrees", [-8, 5, 10])
def test_slanted_rows(page_of, degrees):
    image = Image.fromarray(page_of("31415", "92653"))
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=250)
    assert lines_of(turned) == ("31415", "92653")


def test_touching_digits_are_taken_apart(page_of):
    assert lines_of(page_of("52083", gap=-10)) == ("52083",)


def test_far_digits_get_a_space(page_of):
    assert read(page_of("52 83")).text in ("52 83", "5283")
    assert read(page_of("52   83")).text == "52 83"


def test_specks_and_dashes_are_left_out(page, rng):
    specked = page.copy()
    for x, y in rng.integers(5, 40, (30, 2)):
        specked[y : y + 2, x : x + 2] = 60
    assert lines_of(specked) == LINES


@pytest.mark.parametrize("height", [60, 75])
def test_a_tick_is_no_digit(page_of, height):
    page = Image.fromarray(page_of("3141", margin=140))
    x, y = page.width - 60, 200
    tick = [(x, y - height // 2), (x + height // 4, y), (x + 0.7 * height, y - height)]
    ImageDraw.Draw(page).line(tick, fill=40, width=6, joint="curve")
    assert lines_of(page)[0].rstrip("? ") == "3141"


def test_the_edge_of_a_sheet_is_no_digit(page):
    desk = np.full((page.shape[0] + 240, page.shape[1] + 300), 70, np.uint8)
    desk[120:-120, 150:-150] = page
    assert lines_of(desk) == LINES


@pytest.mark.parametrize("seed", [0, 2])
def test_a_white_sheet_on_a_dark_table_is_not_taken_for_ink(digits, seed):
    difficulty = {"desk": 0.6, "rotation": 0.5, "noise": 0.4}
    page = compose_page(
        *digits, seed=seed, difficulty=difficulty, surface="white paper", pen="red ink"
    )
    tally = compare(page, read(page.image), seconds=0.0).tally
    assert tally.correct >= 0.6 * tally.digits
    assert tally.false_digits == 0


def test_the_edges_of_a_sheet_do_not_outweigh_what_is_written_on_it(real_data):
    """Blurred, the edges of this sheet become one mark, a 1 of the page's height."""
    mnist = penmark.load_data("mnist")
    page = compose_page(mnist.x_test, mnist.y_test, seed=3, difficulty={"desk": 0.25})
    tally = compare(page, read(page.image), seconds=0.0).tally
    assert tally.correct >= 0.9 * tally.digits


def test_the_grain_of_a_table_does_not_hide_pale_ink(page, rng):
    height, width = page.shape[0] + 500, page.shape[1] + 500
    streaks = rng.normal(0, 20, (height, width // 8)).repeat(8, axis=1)
    desk = np.pad(90 + streaks, ((0, 0), (0, width - streaks.shape[1])), mode="edge")
    pale = 230 - (250.0 - page) * 0.25 + rng.normal(0, 3, page.shape)
    desk[250:-250, 250:-250] = pale
    assert lines_of(desk.clip(0, 255).astype(np.uint8)) == LINES


@pytest.mark.parametrize("seed", [4, 5])
def test_pencil_strokes_in_grains_are_joined(digits, seed):
    page = compose_page(*digits, seed=seed, surface="white paper", pen="pencil")
    tally = compare(page, read(page.image), seconds=0.0).tally
    assert tally.correct >= 0.7 * tally.digits
    assert tally.false_digits <= 0.05 * tally.digits


@pytest.mark.parametrize("seed", [4, 5])
def test_pencil_strokes_in_grains_are_joined_in_large_pictures(digits, seed):
    """There a look at half the size says first whether joining them may do anything."""
    page = compose_page(*digits, seed=seed, surface="white paper", pen="pencil")
    height, width = page.image.shape[:2]
    larger = 1000 / min(height, width)
    picture = Image.fromarray(page.image).resize((round(width * larger), round(height * larger)))
    written, found = Counter("".join(page.lines)), Counter(read(picture).text)
    assert (written & found).total() >= 0.8 * written.total()


@pytest.mark.parametrize("shape", [(28, 28), (240, 1200)])
@pytest.mark.parametrize("value", [0, 128, 240, 255])
def test_an_empty_page_says_so(value, shape):
    reading = read(np.full(shape, value, np.uint8))
    assert (reading.text, reading.lines, reading.digits) == ("", (), ())
    assert reading.note == "nothing like a digit was found"


def typeface(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


@pytest.mark.parametrize("name", ["DejaVuSans.ttf", "STIXGeneral.ttf", "cmss10.ttf"])
@pytest.mark.parametrize("size", [28, 48])
def test_printed_text_is_no_row_of_digits(page, name, size):
    """Two of the typefaces the network never saw; the handwriting under the text is still read."""
    sheet = np.full((page.shape[0] + 200, 1000), 250, np.uint8)
    sheet[200:, : page.shape[1]] = page
    picture = Image.fromarray(sheet)
    ink = ImageDraw.Draw(picture)
    ink.text((60, 30), "Please enter the amount and the", font=typeface(name, size), fill=30)
    ink.text((60, 110), "number of your own account here", font=typeface(name, size), fill=30)
    assert tuple(line for line in lines_of(picture) if set(line) - {"?", " "}) == LINES


@pytest.mark.parametrize("label", ["Amount", "Tel.:", "Zip code"])
def test_the_name_of_a_field_is_not_read_and_the_number_beside_it_is(page, label):
    font = typeface("STIXGeneral.ttf", 40)
    left = 40 + round(font.getlength(label))
    sheet = np.full((page.shape[0], page.shape[1] + left), 250, np.uint8)
    sheet[:, left:] = page
    picture = Image.fromarray(sheet)
    ink = ImageDraw.Draw(picture)
    for top in (75, 201):
        ink.text((60, top), label, font=font, fill=30)
    assert lines_of(picture) == LINES


def test_the_first_of_several_frames_is_read(page):
    stream = io.BytesIO()
    first, second = Image.fromarray(page), Image.fromarray(255 - page)
    first.save(stream, "TIFF", save_all=True, append_images=[second])
    reading = read(stream.getvalue())
    assert reading.lines == LINES
    assert "first of 2 frames" in (reading.note or "")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.png", "there is no file"),
        (b"", "no bytes"),
        (b"this is text", "no image"),
        (np.zeros((5, 0)), "no pixels"),
        (np.zeros((5, 5, 2)), "shape"),
        (np.zeros(5), "shape"),
        (np.array([[0.0, np.nan]]), "between 0 and 1"),
        (np.array([[0.0, 300.0]]), "between 0 and 1"),
        (np.array([["a"]]), "numbers"),
        (7, "give a path"),
        (np.broadcast_to(np.uint8(0), (8000, 8000)), "more than"),
    ],
)
def test_what_cannot_be_read(source, message):
    with pytest.raises(DataError, match=message) as raised:
        read(source)
    assert "\n" not in str(raised.value)


def test_files_that_cannot_be_read(tmp_path, page):
    whole = png(Image.fromarray(page))
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for path, message in ((tmp_path / "cut.png", "cannot be read"), (tmp_path, "is a folder")):
        with pytest.raises(DataError, match=message):
            read(path)


def test_models_that_do_not_read_digits(tmp_path, page):
    (tmp_path / "no.keras").write_text("nothing")
    for model, message in (
        (tmp_path / "missing.keras", "no model"),
        (tmp_path / "no.keras", "keras file"),
        (object(), "no model to read with"),
    ):
        with pytest.raises(ModelError, match=message):
            read(page, model=model)


class TenByTen:
    """What is asked of a model before it reads."""

    name = "small"
    input_shape = (None, 10, 10)
    output_shape = (None, 10)


def test_a_model_of_ones_own(tmp_path, page):
    weights = resources.files("penmark.reading") / "reader.keras"
    (tmp_path / "model.keras").write_bytes(weights.read_bytes())
    for model in (tmp_path, tmp_path / "model.keras", str(tmp_path / "model.keras")):
        assert lines_of(page, model=model) == LINES
    with pytest.raises(ModelError, match="28×28 gray images to 10 classes"):
        read(page, model=TenByTen())


def test_reading_imports_nothing_that_takes_long_to_import(tmp_path, page):
    Image.fromarray(page).save(tmp_path / "page.png")
    slow = {"keras", "jax", "matplotlib", "scipy", "sklearn", "pydantic", "rich"}
    slow |= {"ml_dtypes", "numpy.ma", "statistics"}
    code = (
        "import sys\n"
        "from penmark.cli import app\n"
        f"app(args=['read', {str(tmp_path / 'page.png')!r}], standalone_mode=False)\n"
        f"print(sorted({slow} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.stdout == "3141\n5926\n[]\n", shown.stderr


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    hnp.arrays(
        np.uint8,
        st.one_of(
            st.tuples(st.integers(1, 70), st.integers(1, 70)),
            st.tuples(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3, 4])),
        ),
        elements=st.sampled_from([0, 0, 0, 40, 200, 255, 255]),
    ),
    st.integers(1, 5),
)
def test_any_picture_gives_a_sound_reading(array, zoom):
    array = array.repeat(zoom, axis=0).repeat(zoom, axis=1)
    check(read(array), array)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1), st.floats(0, 60), st.integers(1, 12))
def test_any_scene_gives_a_sound_reading(seed, noise, strokes):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(30, 500, 2)
    image = Image.new("L", (int(width), int(height)), int(rng.integers(0, 256)))
    draw = ImageDraw.Draw(image)
    for _ in range(strokes):
        points = [tuple(point) for point in rng.integers(0, (width, height), (4, 2)).tolist()]
        draw.line(points, fill=int(rng.integers(0, 256)), width=int(rng.integers(1, 20)))
    array = np.asarray(image) + rng.normal(0, noise, (height, width))
    array = array.clip(0, 255).astype(np.uint8)
    check(read(array), array)


def check(reading: Reading, array: np.ndarray) -> None:
    height, width = array.shape[:2]
    assert reading.size == (width, height)
    assert reading.text == "\n".join(reading.lines)
    written = ["" for _ in reading.lines]
    for digit in reading.digits:
        x, y, w, h = digit.box
        assert 0 <= x < x + w <= width and 0 <= y < y + h <= height
        assert (digit.label == "?") == (digit.reason is not None)
        assert 0 <= digit.probability <= 1
        written[digit.line] += digit.label
    assert tuple(written) == tuple(line.replace(" ", "") for line in reading.lines)
    assert all(reading.lines)
