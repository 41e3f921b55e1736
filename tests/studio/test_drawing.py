"""What the pen draws is read; what the network does inside is what the core computes."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from penmark.data.preparation import prepare_digit
from penmark.engine.native_model import NativeModel
from penmark.studio.inspection import patches
from penmark.studio.models import LoadedModel

SEVEN = [(190, 60), (290, 60), (225, 240)]
PEN_DIGITS = {
    "7": [[(0, 0), (60, 0), (22, 100)]],
    "4": [[(28, 0), (0, 62), (62, 62)], [(46, 30), (42, 100)]],
    "2": [[(0, 20), (28, 0), (56, 22), (0, 100), (60, 100)]],
}
ONE = [(380, 60), (375, 240)]


def drawn(*lines, size=(480, 300)):
    image = Image.new("L", size)
    for line in lines:
        ImageDraw.Draw(image).line(line, fill=255, width=18, joint="curve")
    return np.asarray(image)


def read(client, ink, model="reader"):
    height, width = ink.shape
    return client.post(
        "/api/read",
        params={"model": model, "width": width, "height": height},
        content=ink.tobytes(),
    )


def test_a_drawn_digit_is_read_and_shown_as_the_network_saw_it(client):
    ink = drawn(SEVEN)
    answer = read(client, ink).json()
    (digit,) = answer["digits"]
    assert answer["text"] == digit["label"] == "7"
    assert digit["probability"] == pytest.approx(max(digit["probabilities"]))
    assert len(digit["probabilities"]) == 10 and min(digit["probabilities"]) >= 0
    seen = np.frombuffer(base64.b64decode(digit["prepared"]), np.uint8).reshape(28, 28)
    rows, columns = np.nonzero(ink)
    np.testing.assert_array_equal(
        seen, prepare_digit(ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    )
    left, top, width, height = digit["box"]
    assert abs(left - columns.min()) <= 2 and abs(top - rows.min()) <= 2
    assert abs(left + width - columns.max()) <= 2 and abs(top + height - rows.max()) <= 2


def test_a_row_is_read_from_left_to_right_wherever_it_stands(client):
    answer = read(client, drawn(SEVEN, ONE)).json()
    assert answer["text"].replace(" ", "") == "71"
    assert answer["digits"][0]["box"][0] < answer["digits"][1]["box"][0]


def test_the_part_that_holds_the_ink_says_the_same_as_the_whole_page(client):
    ink = drawn(SEVEN, ONE, [(40, 150), (90, 170)])
    left, top, right, bottom = 20, 40, 420, 260
    assert ink.sum(dtype=int) == ink[top:bottom, left:right].sum(dtype=int)
    whole, part = read(client, ink).json(), read(client, ink[top:bottom, left:right]).json()
    assert part["text"] == whole["text"]
    for own, other in zip(part["digits"], whole["digits"], strict=True):
        x, y, width, height = own["box"]
        assert other == own | {"box": [left + x, top + y, width, height]}


def test_what_was_read_a_moment_ago_is_remembered_exactly_and_not_for_ever(client, monkeypatch):
    model = client.app.state.context.models.load("reader")
    images = np.random.default_rng(0).integers(0, 255, (9, 28, 28), dtype=np.uint8)
    computed = []
    probabilities = LoadedModel.probabilities

    def counted(self, images):
        computed.append(len(images))
        return probabilities(self, images)

    monkeypatch.setattr(LoadedModel, "probabilities", counted)
    monkeypatch.setattr("penmark.studio.models._RECENT", 6)
    first = model.recalled_probabilities(images[:5])
    mixed = model.recalled_probabilities(images[[7, 0, 3, 8]])
    np.testing.assert_array_equal(first, probabilities(model, images[:5]))
    np.testing.assert_array_equal(mixed, probabilities(model, images[[7, 0, 3, 8]]))
    assert computed == [5, 2]
    assert len(model.recent) == 6
    model.recalled_probabilities(images[1:2])  # the oldest, forgotten
    assert computed == [5, 2, 1]


def test_a_scribble_is_no_row_of_digits(client):
    corners = np.random.default_rng(3).integers(40, 260, (24, 2))
    answer = read(client, drawn([tuple(map(int, corner)) for corner in corners])).json()
    assert {digit["label"] for digit in answer["digits"]} == {"?"}
    assert answer["note"]


def test_an_empty_page_has_no_digits(client):
    answer = read(client, np.zeros((300, 480), np.uint8)).json()
    assert (answer["text"], answer["digits"]) == ("", [])
    assert answer["note"]


def test_every_model_of_the_workspace_can_read(client):
    models = client.get("/api/state").json()["models"]
    assert {"reader", "run:tiny"} <= {entry["id"] for entry in models}
    assert read(client, drawn(SEVEN), "run:tiny").status_code == 200


@pytest.mark.parametrize(("width", "height", "sent"), [(10, 10, 99), (10, 10, 101), (2, 3, 0)])
def test_a_drawing_of_another_size_than_it_says_is_refused(client, width, height, sent):
    params = {"model": "run:tiny", "width": width, "height": height}
    answer = client.post("/api/read", params=params, content=bytes(sent))
    assert answer.status_code == 400
    assert str(width * height) in answer.json()["detail"]


def test_a_picture_with_several_digits_is_read(client):
    page = Image.new("L", (440, 170), 250)
    for place, lines in enumerate(PEN_DIGITS.values()):
        for line in lines:
            moved = [(50 + 130 * place + x, 35 + y) for x, y in line]
            ImageDraw.Draw(page).line(moved, fill=40, width=10, joint="curve")
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    answer = client.post("/api/picture", params={"model": "reader"}, content=buffer.getvalue())
    assert answer.json()["text"].replace(" ", "") == "".join(PEN_DIGITS)
    assert (answer.json()["width"], answer.json()["height"]) == (440, 170)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_picture_is_one_line(client, content):
    answer = client.post("/api/picture", params={"model": "reader"}, content=content)
    assert answer.status_code == 400
    assert "\n" not in answer.json()["detail"]


def test_a_picture_that_would_decode_to_too_much_is_refused(client):
    # A PNG header that claims 60,000 by 60,000 pixels.
    header = struct.pack(">II5B", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = (
        struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    bomb = b"\x89PNG\r\n\x1a\n" + chunk
    answer = client.post("/api/picture", params={"model": "reader"}, content=bomb)
    assert answer.status_code == 400


def inside(client, image, model="run:tiny"):
    packed = client.post(
        "/api/activations", params={"model": model}, content=image.tobytes()
    ).content
    (length,) = struct.unpack_from("<I", packed)
    header, offset, layers = json.loads(packed[4 : 4 + length]), 4 + length, {}
    for entry in header:
        part = np.frombuffer(packed, np.uint8, entry["size"], offset)
        layers[entry["name"]] = entry["low"] + part / 255 * (entry["high"] - entry["low"])
        offset += entry["size"]
    assert offset == len(packed)
    return layers


def test_activations_are_those_of_the_core_to_half_a_step(client, digits, trained):
    image = digits.x_test[5]
    layers = inside(client, image)
    native = NativeModel.from_file(trained.model_path)
    view = client.get("/api/network", params={"model": "run:tiny"}).json()
    assert [layer["name"] for layer in view["layers"] if layer["changes"]] == list(layers)
    for name, values in layers.items():
        exact = native.activations(image[None], name)[0].reshape(-1)
        step = (exact.max() - exact.min()) / 255
        np.testing.assert_allclose(values, exact, atol=0.51 * step + 1e-6)


def test_the_layers_tell_shapes_and_parameters(client, trained):
    view = client.get("/api/network", params={"model": "run:tiny"}).json()
    assert view["parameters"] == trained.metrics["parameters"] == 669_706
    dense = next(layer for layer in view["layers"] if layer["name"] == "dense_1")
    assert (dense["output_shape"], dense["parameters"]) == ([512], 784 * 512 + 512)
    assert "512 units" in dense["sentence"] and "784 inputs" in dense["sentence"]
    assert all(layer["sentence"].endswith(".") for layer in view["layers"])


def unit(client, image, layer, number, model="run:tiny"):
    params = {"model": model, "layer": layer, "number": number}
    return client.post("/api/unit", params=params, content=image.tobytes())


def test_a_unit_shows_its_own_weights_and_activation(client, digits, trained):
    image = digits.x_test[5]
    native = NativeModel.from_file(trained.model_path)
    kernel, bias = native.get_weights()["dense_1"]
    shown = unit(client, image, "dense_1", 7).json()
    np.testing.assert_allclose(shown["weights"]["pictures"][0], kernel[:, 7], atol=1e-6)
    assert shown["bias"] == pytest.approx(bias[7])
    expected = native.activations(image[None], "dense_1")[0, 7]
    assert shown["value"] == pytest.approx(expected, rel=1e-5)


def test_contributions_are_products_of_values_and_weights_largest_first(client, digits, trained):
    image = digits.x_test[5]
    native = NativeModel.from_file(trained.model_path)
    values = native.activations(image[None], "dense_1")[0]
    products = values * native.get_weights()["dense_2"][0][:, 3]
    shown = unit(client, image, "dense_2", 3).json()["contributions"]
    expected = products[np.argsort(-np.abs(products))][: len(shown)]
    np.testing.assert_allclose([entry["product"] for entry in shown], expected, rtol=1e-4)


def test_the_occlusion_map_is_the_mean_fall_over_the_patches_on_each_pixel(client, digits, trained):
    image = digits.x_test[5]
    native = NativeModel.from_file(trained.model_path)
    answer = unit(client, image, "dense_1", 7).json()
    side = 5
    base = native.activations(image[None], "dense_1")[0, 7]
    fall, covers = np.zeros((28, 28)), np.zeros((28, 28))
    for top, left in patches(28, 28, side):
        covered = image.copy()
        covered[top : top + side, left : left + side] = 0
        change = base - native.activations(covered[None], "dense_1")[0, 7]
        fall[top : top + side, left : left + side] += change
        covers[top : top + side, left : left + side] += 1
    assert (covers > 0).all()
    np.testing.assert_allclose(answer["occlusion"], fall / covers, atol=1e-4)


def test_convolutions_show_their_filters(client, digits):
    view = client.get("/api/network", params={"model": "reader"}).json()
    layer = next(layer for layer in view["layers"] if layer["kind"] == "Conv2D")
    shown = unit(client, digits.x_test[5], layer["name"], 0, "reader").json()
    assert len(shown["weights"]["pictures"]) == 1
    assert np.shape(shown["occlusion"]) == (28, 28)
    assert np.any(shown["occlusion"])


def test_units_and_layers_that_are_not_there_are_one_line(client, digits):
    image = digits.x_test[5]
    assert unit(client, image, "dense_1", 512).status_code == 400
    assert unit(client, image, "nothing", 0).status_code == 400
    assert unit(client, image[:20], "dense_1", 0).status_code == 400
    assert client.get("/api/network", params={"model": "run:none"}).status_code == 404
