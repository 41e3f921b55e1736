"""Composed pages: the truth beside them is true, and each axis does what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from penmark.errors import DataError, InputError
from penmark.reading.pages import AXES, PENS, SURFACES, compose_page, mixed
from penmark.reading.pages.camera import look_at, srgb
from penmark.reading.pages.light import illumination
from penmark.reading.pages.page import ink_strength
from penmark.reading.pages.strokes import draw_digit, thinned


def darkness(page):
    """How much darker than the page's own middle value each pixel is."""
    gray = page.image.mean(axis=2)
    return np.median(gray) - gray


def box_pixels(page, grow=0):
    """True where some digit's box lies, grown by so many pixels."""
    height, width = page.image.shape[:2]
    inside = np.zeros((height, width), bool)
    for x, y, w, h in (digit.box for digit in page.digits):
        inside[max(0, y - grow) : y + h + grow, max(0, x - grow) : x + w + grow] = True
    return inside


def compose(digits, level=0.0, axis=None, seed=5, **options):
    return compose_page(
        *digits, seed=seed, difficulty={} if axis is None else {axis: level}, **options
    )


# --- the truth ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "difficulty",
    [
        {},
        {"tilt": 1.0},
        {"rotation": 1.0},
        {"tilt": 0.7, "rotation": 0.7, "slant": 1.0, "unevenness": 1.0, "desk": 0.0},
        {"largeness": 0.6, "tilt": 0.5},
        {"thinness": 1.0, "smallness": 1.0},
    ],
    ids=str,
)
def test_boxes_hold_all_ink_and_end_where_it_ends(digits, difficulty):
    page = compose_page(*digits, seed=11, difficulty=difficulty)
    dark = darkness(page)
    ink = dark > 0.35 * dark.max()
    assert ink.any()
    assert not (ink & ~box_pixels(page, grow=1)).any()
    for x, y, w, h in (digit.box for digit in page.digits):
        inked = dark[y : y + h, x : x + w] > 0.1 * dark.max()
        rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
        assert max(rows[0], columns[0], h - 1 - rows[-1], w - 1 - columns[-1]) <= 2


def test_rows_read_from_left_to_right_and_top_to_bottom(digits):
    page = compose(digits)
    for number, text in enumerate(page.lines):
        row = [digit for digit in page.digits if digit.line == number]
        assert "".join(digit.label for digit in row) == text
        assert [digit.box[0] for digit in row] == sorted(digit.box[0] for digit in row)
    bottoms = [
        max(d.box[1] + d.box[3] for d in page.digits if d.line == n) for n in range(len(page.lines))
    ]
    assert bottoms == sorted(bottoms)
    assert page.text == "\n".join(page.lines)


def test_labels_are_those_of_the_images_drawn():
    shapes = np.zeros((2, 28, 28), np.uint8)
    shapes[0, 4:24, 12:15] = 255  # tall and narrow: labeled 1
    shapes[1, 4:24, 4:24] = 255  # as broad as tall: labeled 8
    page = compose_page(shapes, np.array([1, 8]), seed=3)
    assert {digit.label for digit in page.digits} == {"1", "8"}
    for digit in page.digits:
        aspect = digit.box[2] / digit.box[3]
        assert aspect < 0.3 if digit.label == "1" else aspect > 0.8


def test_rows_and_digits_stay_within_the_promised_numbers(digits):
    lengths = [
        len(line)
        for seed in range(12)
        for line in compose(digits, 0.5, "smallness", seed=seed).lines
    ]
    assert min(lengths) >= 1 and max(lengths) <= 12
    assert len(set(lengths)) > 5


# --- determinism -------------------------------------------------------------------------------


def test_the_seed_decides_the_page(digits):
    conditions = mixed(1.0, seed=4)
    first, again, other = (
        compose_page(
            *digits, seed=seed, difficulty=conditions.difficulty, surface=conditions.surface,
            pen=conditions.pen,
        )
        for seed in (4, 4, 5)
    )  # fmt: skip
    assert np.array_equal(first.image, again.image)
    assert first.digits == again.digits
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize(
    "axis", ["faintness", "lines", "texture", "specks", "shadow", "falloff", "blur", "noise",
             "compression", "underexposure", "cast"],
)  # fmt: skip
def test_an_axis_that_moves_no_ink_leaves_the_boxes_alone(digits, axis):
    assert compose(digits, 1.0, axis).digits == compose(digits).digits


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_changes_the_page_and_keeps_the_digits_written(digits, axis):
    clean, hard = compose(digits), compose(digits, 1.0, axis)
    changed = clean.image.shape != hard.image.shape or (clean.image != hard.image).any()
    assert changed
    if axis != "largeness":  # large digits come in fewer and shorter rows
        assert hard.lines == clean.lines
    else:
        assert all(a.startswith(b) for a, b in zip(clean.lines, hard.lines, strict=False))


def test_mixed_conditions_are_reproducible_and_scale_with_the_level():
    half, whole = mixed(0.5, seed=9), mixed(1.0, seed=9)
    assert whole == mixed(1.0, seed=9)
    assert half.surface == whole.surface
    for name, level in whole.difficulty.items():
        assert half.difficulty[name] == pytest.approx(level / 2)


def test_mixed_conditions_are_as_documented():
    drawn = [mixed(1.0, seed=seed) for seed in range(400)]
    surfaces = [conditions.surface for conditions in drawn]
    assert set(surfaces) == set(SURFACES)
    assert {conditions.pen for conditions in drawn} == set(PENS)
    assert 0.4 < surfaces.count("white paper") / len(drawn) < 0.6
    spacings = np.array([conditions.difficulty["spacing"] for conditions in drawn])
    assert 0.4 < (spacings == 0).mean() < 0.6
    assert 0.4 < (spacings[spacings > 0] < 0.25).mean() < 0.6
    for conditions in drawn:
        levels = conditions.difficulty
        assert min(levels["smallness"], levels["largeness"]) == 0.0
        if conditions.surface.endswith("screen"):
            assert levels["noise"] == levels["tilt"] == levels["shadow"] == 0.0


# --- the axes, in their units ------------------------------------------------------------------


def test_a_clean_page_has_two_colors_and_nothing_else(digits):
    page = compose(digits)
    outside = page.image[~box_pixels(page, grow=2)]
    assert (outside == outside[0]).all()
    paper = 255 * srgb(np.array(SURFACES["white paper"].color))
    ink = 255 * srgb(np.array(PENS["felt-tip"].color))
    assert np.abs(outside[0] - paper).max() <= 1
    assert np.abs(page.image.reshape(-1, 3).min(axis=0) - ink).max() <= 2


def test_levels_map_to_the_documented_values():
    assert AXES["tilt"].value(0.5) == 22.5
    assert AXES["smallness"].value(1.0) == pytest.approx(20)
    assert AXES["largeness"].value(0.5) == pytest.approx(np.sqrt(64 * 400))
    assert AXES["spacing"].text(1.0) == "−4%"
    assert AXES["underexposure"].text(1.0) == "2 stops"


def test_contrast_falls_as_faintness_grows(digits):
    contrasts = [darkness(compose(digits, level, "faintness")).max() for level in (0, 0.25, 0.5, 1)]
    assert contrasts[1] == pytest.approx(0.8 * contrasts[0], rel=0.03)
    assert contrasts[3] == pytest.approx(0.2 * contrasts[0], rel=0.05)


def test_light_ink_on_a_dark_board_fades_alike(digits):
    def lightness(level):
        page = compose(digits, level, "faintness", surface="dark screen", pen="light stylus")
        return -darkness(page).min()

    assert lightness(1.0) == pytest.approx(0.2 * lightness(0.0), rel=0.05)
    pen, board = PENS["chalk"], SURFACES["chalkboard"].color
    assert ink_strength(pen, board, 1.0) == pytest.approx(1.0)
    assert 0 < ink_strength(pen, board, 0.2) < ink_strength(pen, board, 0.6) < 1


@pytest.mark.parametrize("axis", ["smallness", "largeness"])
def test_digits_have_the_height_asked_for(axis):
    square = np.zeros((1, 28, 28), np.uint8)
    square[0, 4:24, 4:24] = 255  # fills MNIST's box
    for level in (0.0, 0.5, 1.0):
        page = compose_page(square, np.array([0]), seed=2, difficulty={axis: level})
        heights = {digit.box[3] for digit in page.digits}
        # The outline runs at 0.4 of the ink, not at its half.
        assert np.allclose(list(heights), AXES[axis].value(level), rtol=0.02, atol=2.5)


def test_gaps_are_as_asked_for_and_close_with_spacing(digits):
    def gap(level):
        page = compose(digits, level, "spacing")
        boxes = [digit.box for digit in page.digits if digit.line == 1]
        assert len(boxes) > 2
        return np.mean([b[0] - a[0] - a[2] for a, b in zip(boxes, boxes[1:], strict=False)])

    gaps = [gap(level) for level in (0.0, 0.5, 1.0)]
    assert gaps == sorted(gaps, reverse=True)
    # Ink to ink, 50% of 64 pixels; boxes are closer where shapes interlock.
    assert 0.25 * 64 < gaps[0] < 0.65 * 64


def test_strokes_have_the_width_asked_for():
    line = np.zeros((28, 28), np.uint8)
    line[4:24, 12:15] = 255
    for share in (0.03, 0.06, 0.12):
        drawn = draw_digit(line, height_px=200, pen_width=share)
        width = drawn[drawn.shape[0] // 2].sum()
        assert width == pytest.approx(200 * share, abs=2.0)
    own = draw_digit(line, height_px=200)
    assert own[own.shape[0] // 2].sum() == pytest.approx(30, abs=2.5)


def test_a_shadow_takes_the_light_it_says():
    for depth in (0.25, 0.75):
        light = illumination((300, 400), falloff=0.0, shadow=depth, rng=np.random.default_rng(1))
        assert light.max() == pytest.approx(1.0, abs=0.02)
        assert light.min() == pytest.approx(1 - depth, abs=0.02)


def test_the_falloff_of_a_lamp_is_the_one_asked_for():
    for seed in range(6):
        light = illumination((300, 400), falloff=0.6, shadow=0, rng=np.random.default_rng(seed))
        assert light.max() == pytest.approx(1.0, abs=0.01)
        assert light.min() == pytest.approx(0.4, abs=0.01)


def test_noise_has_its_standard_deviation(digits):
    for level in (0.5, 1.0):
        page = compose(digits, level, "noise")
        green = page.image[..., 1][~box_pixels(page, grow=2)]
        assert green.std() == pytest.approx(AXES["noise"].value(level), rel=0.1)


def test_underexposure_halves_the_light_with_each_stop(digits):
    page = compose(digits, 1.0, "underexposure")
    paper = srgb(np.array(SURFACES["white paper"].color) / 4)
    assert np.median(page.image[..., 1]) == pytest.approx(255 * paper[1], abs=1.5)


def test_lines_take_the_light_they_say(digits):
    page = compose(digits, 1.0, "lines", seed=6)
    assert page.settings["lines_kind"] in ("ruled", "squared")
    rest = page.image[~box_pixels(page, grow=2)] / 255
    luminance = np.where(rest <= 0.04045, rest / 12.92, ((rest + 0.055) / 1.055) ** 2.4)
    lost = 1 - luminance @ [0.2126, 0.7152, 0.0722] / luminance[0].max()
    assert 0.35 < np.median(lost[lost > 0.2]) < 0.55


def test_specks_marks_and_print_are_outside_of_the_truth(digits):
    clean = compose(digits)
    for axis in ("marks", "print"):
        page = compose(digits, 1.0, axis)
        assert len(page.digits) == len(clean.digits)
        dark = darkness(page)
        beside = (dark > 0.35 * dark.max()) & ~box_pixels(page, grow=2)
        assert beside.sum() > 50
    page = compose(digits, 1.0, "specks")
    spots, count = ndimage.label((darkness(page) > 3) & ~box_pixels(page, grow=1))
    assert 25 <= count <= 60  # some lie within boxes, or over each other


def test_a_camera_from_above_changes_nothing_and_a_tilted_one_shrinks_the_far_side():
    rng = np.random.default_rng(0)
    above = look_at((10, 20, 110, 70), tilt_degrees=0, rotation_degrees=0, border=0, rng=rng)
    corners = np.array([[10.0, 20.0], [110.0, 70.0]])
    assert above.size == (100, 50)
    assert above.project(corners) == pytest.approx(np.array([[0.0, 0.0], [100.0, 50.0]]))
    tilted = look_at((0, 0, 100, 100), tilt_degrees=45, rotation_degrees=0, border=0, rng=rng)
    square = tilted.project(np.array([[0.0, 0], [100, 0], [100, 100], [0, 100]]))
    sides = np.linalg.norm(square - np.roll(square, -1, axis=0), axis=1)
    assert sides.max() / sides.min() > 1.3
    points = rng.uniform(0, 100, (5, 2))
    back = np.column_stack([tilted.project(points), np.ones(5)]) @ tilted.inverse.T
    assert back[:, :2] / back[:, 2:] == pytest.approx(points)


def test_rotation_turns_rows_by_the_angle_asked_for(digits):
    page = compose(digits, 1.0, "rotation", seed=11)
    row = max(range(len(page.lines)), key=lambda n: len(page.lines[n]))
    feet = np.array(
        [(d.box[0] + d.box[2] / 2, d.box[1] + d.box[3]) for d in page.digits if d.line == row]
    )
    slope = np.polyfit(feet[:, 0], feet[:, 1], 1)[0]
    assert abs(np.degrees(np.arctan(slope))) == pytest.approx(20, abs=4)


def test_the_desk_surrounds_the_sheet(digits):
    page = compose(digits, 1.0, "desk")
    corners = page.image[[2, 2, -3, -3], [2, -3, 2, -3]].astype(float)
    paper = 255 * srgb(np.array(SURFACES["white paper"].color))
    assert (np.abs(corners - paper).max(axis=1) > 20).all()
    x, y, w, _ = page.digits[0].box
    assert np.abs(page.image[y - 8, x + w // 2] - paper).max() <= 1


# --- strokes -----------------------------------------------------------------------------------


def test_thinning_keeps_loops_and_leaves_lines_one_pixel_wide():
    y, x = np.mgrid[0:60, 0:60]
    radius = np.hypot(y - 30, x - 30)
    ring = (radius > 12) & (radius < 20)
    path = thinned(ring)
    assert ndimage.label(~path)[1] == 2  # inside and outside stay apart
    assert ndimage.label(path, np.ones((3, 3)))[1] == 1
    assert 0.8 < path.sum() / (2 * np.pi * 16) < 1.1
    assert not (path & ~ring).any()


def test_digits_look_the_same_at_every_size(digits):
    """A digit drawn large and averaged down is the digit drawn small."""
    image = digits[0][0]
    large = draw_digit(image, height_px=320)
    small = draw_digit(image, height_px=80)
    reduced = ndimage.zoom(large, np.array(small.shape) / large.shape, order=1)
    assert np.corrcoef(reduced.ravel(), small.ravel())[0, 1] > 0.97


# --- refusals ----------------------------------------------------------------------------------


def test_what_cannot_be_composed_is_refused_in_a_line(digits):
    images, labels = digits
    with pytest.raises(InputError, match="no axis 'shade'"):
        compose_page(images, labels, seed=0, difficulty={"shade": 0.5})
    with pytest.raises(InputError, match="from 0 .* to 1"):
        compose_page(images, labels, seed=0, difficulty={"shadow": 1.5})
    with pytest.raises(InputError, match="no surface 'glass'"):
        compose_page(images, labels, seed=0, surface="glass")
    with pytest.raises(InputError, match="no pen 'quill'"):
        compose_page(images, labels, seed=0, pen="quill")
    with pytest.raises(InputError, match="not both"):
        compose_page(images, labels, seed=0, difficulty={"smallness": 0.5, "largeness": 0.5})
    with pytest.raises(DataError, match="28, 28"):
        compose_page(images[:, :20], labels, seed=0)
    with pytest.raises(DataError, match="0 to 9"):
        compose_page(images, labels + 5, seed=0)
    with pytest.raises(DataError, match="no ink"):
        compose_page(np.zeros((1, 28, 28), np.uint8), np.array([0]), seed=0)
