"""The exported page in a real browser that reaches no server but the static one it came from."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from penmark.data import load_data
from penmark.engine.backend import keras
from penmark.export import to_web
from penmark.runs import TrainingSettings, train
from tests.browser.accessibility import serious_findings

ASK_ALL = """async (images) => {
  const { loadNetwork } = await import(new URL("network.js", location.href).href);
  const network = await loadNetwork();
  const answers = [];
  for (const image of images) answers.push([...await network.predict(Uint8Array.from(image))]);
  return answers;
}"""
# As shares of the sheet. The 0 and the 3 of the bundled digits look like these.
STROKES = {
    "0": [(0.5, 0.15), (0.36, 0.22), (0.3, 0.5), (0.36, 0.78), (0.5, 0.85), (0.64, 0.78),
          (0.7, 0.5), (0.64, 0.22), (0.5, 0.15)],
    "3": [(0.35, 0.25), (0.5, 0.18), (0.65, 0.28), (0.6, 0.42), (0.45, 0.5), (0.62, 0.56),
          (0.68, 0.7), (0.52, 0.82), (0.34, 0.76)],
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = TrainingSettings(recipe="mlp-dropout", data="digits", epochs=15, seed=0)
    folder = tmp_path_factory.mktemp("page") / "run"
    return train(settings, out=folder, verbose=0, report=False)


@pytest.fixture(scope="module")
def address(run, serve):
    """The page of a network for digits, two folders down from the server's root."""
    root = run.path.parent / "site"
    to_web(run, root / "my pages" / "digits")
    return serve(root) + "my%20pages/digits/"


def ready(open_page, address, **options):
    page = open_page(address, **options)
    page.wait_for_selector("#status", state="hidden", timeout=60_000)
    return page


def place(page, x, y):
    box = page.locator("#sheet").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw(page, digit):
    first, *rest = STROKES[digit]
    page.mouse.move(*place(page, *first))
    page.mouse.down()
    for point in rest:
        page.mouse.move(*place(page, *point), steps=4)
    page.mouse.up()


def wait_for(page, label):
    page.wait_for_function(
        "(label) => document.getElementById('label').textContent === label", arg=label
    )


def test_a_drawn_digit_is_read(open_page, address):
    page = ready(open_page, address)
    assert page.locator("#undo").is_disabled() and page.locator("#clear").is_disabled()
    draw(page, "3")
    wait_for(page, "3")
    page.wait_for_function(
        "() => document.getElementById('said').textContent.startsWith('It reads 3')"
    )
    assert re.fullmatch(r"\d+(\.\d)?% sure", page.locator("#sure").inner_text())
    shares = page.locator(".bars .share").all_inner_texts()
    assert len(shares) == 10
    assert sum(float(share.strip("<%")) for share in shares) == pytest.approx(100, abs=1)
    assert page.locator(".bars .best .name").inner_text() == "3"
    prepared = page.evaluate("""() => {
      const seen = document.getElementById("seen").getContext("2d");
      return [...seen.getImageData(0, 0, 28, 28).data];
    }""")
    image = np.array(prepared).reshape(28, 28, 4)[..., 0]
    assert image.max() == 255 and (image > 0).any(axis=1).sum() in range(18, 23)


def test_undo_and_clear(open_page, address):
    page = ready(open_page, address)
    draw(page, "0")
    wait_for(page, "0")
    draw(page, "3")
    page.locator("#undo").click()
    wait_for(page, "0")
    page.locator("#clear").click()
    wait_for(page, "–")
    assert page.locator("#hint").is_visible()
    page.keyboard.press("Control+z")  # a cleared drawing comes back
    wait_for(page, "0")
    page.keyboard.press("Control+z")
    wait_for(page, "–")
    assert page.locator("#undo").is_disabled()


def test_the_keyboard_draws(open_page, address):
    page = ready(open_page, address)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.id") == "sheet"
    page.keyboard.press("Space")
    assert page.locator("#said").inner_text() == "Pen down"
    for _ in range(18):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    wait_for(page, "1")
    page.keyboard.press("u")
    wait_for(page, "–")


def test_touch_draws_and_does_not_scroll(open_page, address):
    page = ready(
        open_page, address, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    page.touchscreen.tap(*place(page, 0.5, 0.5))
    page.wait_for_function("() => document.getElementById('label').textContent !== '–'")
    assert (
        page.evaluate("() => getComputedStyle(document.getElementById('sheet')).touchAction")
        == "none"
    )
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360


def test_it_answers_as_python_does(open_page, serve, tmp_path, rng, request):
    """200 images of MNIST's test set; of the bundled digits where MNIST is not at hand."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.Rescaling(1 / 255),
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(8, 3, activation="gelu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.save(tmp_path / "model.keras")
    try:
        images = np.load(request.getfixturevalue("real_data") / "mnist.npz")["x_test"][:200]
    except pytest.skip.Exception:
        images = load_data("digits").x_test[:200]
    expected = np.asarray(model(images.astype(np.float32), training=False))
    page = ready(open_page, serve(to_web(tmp_path / "model.keras").path))
    answers = np.array(page.evaluate(ASK_ALL, images.reshape(200, -1).tolist()), np.float32)
    assert np.abs(answers - expected).max() < 1e-5
    np.testing.assert_array_equal(answers.argmax(axis=1), expected.argmax(axis=1))
    assert len(set(expected.argmax(axis=1))) > 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_has_nothing_serious_to_say(open_page, address, scheme, width):
    page = ready(open_page, address, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert serious_findings(page) == []
    draw(page, "3")
    wait_for(page, "3")
    page.locator("summary").click()
    assert serious_findings(page) == []


def test_a_network_that_does_not_load_is_said(open_page, run, serve, tmp_path):
    folder = to_web(run, tmp_path / "page").path
    (folder / "model.onnx").unlink()
    page = open_page(serve(folder))
    page.wait_for_selector("#again")
    assert "gave no model.onnx (status 404)" in page.locator("#status").inner_text()
    assert serious_findings(page) == []
    shutil.copy(folder / "MODEL_CARD.md", folder / "model.onnx")  # there, but no model
    page.locator("#again").click()
    page.wait_for_selector(".status.failed")
    assert "could not be loaded" in page.locator("#status").inner_text()
    page.complaints.clear()  # the browser's own line about the missing file


def test_a_server_that_unpacks_on_the_way_is_fine(open_page, run, serve, tmp_path):
    """Some static hosts send .gz with Content-Encoding, and the browser unpacks it first."""
    import gzip

    folder = to_web(run, tmp_path / "page").path
    packed = folder / "runtime" / "ort-wasm-simd-threaded.wasm.gz"
    packed.write_bytes(gzip.decompress(packed.read_bytes()))
    page = ready(open_page, serve(folder))
    draw(page, "0")
    wait_for(page, "0")


def test_class_names_are_text(open_page, run, serve, tmp_path):
    from penmark.runs import Run

    names = ["<img src=x onerror=alert(1)>", *"123456789"]
    copy = Run.create(
        tmp_path / "run", run.config | {"data": run.config["data"] | {"class_names": names}}
    )
    copy.model_path.write_bytes(run.model_path.read_bytes())
    page = ready(open_page, serve(to_web(copy).path))
    draw(page, "0")
    wait_for(page, names[0])
    assert page.locator("img").count() == 0
