"""The studio in a real browser: draw, look, train, browse, by mouse and by keyboard."""

from __future__ import annotations

import base64
import io
import re
import shutil

import numpy as np
import pytest
from PIL import Image, ImageDraw

from penmark.data import load_data
from penmark.runs import TrainingSettings, train
from tests.browser.accessibility import serious_findings
from tests.studio.serving import served

pytest.importorskip("uvicorn", reason="penmark[studio] is not installed")
expect = pytest.importorskip("playwright.sync_api").expect

SEVEN = [[(190, 60), (290, 60), (225, 240)]]
FOUR = [[(215, 50), (175, 150), (285, 150)], [(260, 90), (255, 250)]]
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, digits):
    folder = tmp_path_factory.mktemp("studio")
    settings = TrainingSettings(
        recipe="mlp-dropout", data="digits", epochs=6, validation_split=0.1, seed=1
    )
    first = folder / "runs" / "first"
    train(settings, out=first, dataset=digits, report=False, verbose=0)
    shutil.copytree(first, folder / "runs" / "second")
    return folder


@pytest.fixture(scope="module")
def studio(workspace):
    """The address of a studio that listens."""
    from penmark.studio.app import bare_app, guarded
    from penmark.studio.settings import StudioSettings

    settings = StudioSettings(workspace=workspace)
    app = bare_app(settings)
    with served(guarded(app, settings)) as address:
        yield address
    app.state.context.jobs.stop_own()


@pytest.fixture
def opened(open_page, studio):
    """A function from a path of the studio to its page, its content loaded."""

    def open_path(path, **options):
        page = open_page(studio + path, **options)
        page.set_default_timeout(PATIENCE_MS)
        settled(page)
        return page

    return open_path


def settled(page):
    expect(page.locator("h1, .empty h2").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".waiting")).to_have_count(0, timeout=PATIENCE_MS)


def draw(page, lines):
    box = page.locator(".surface").bounding_box()
    for line in lines:
        points = [
            (box["x"] + x * box["width"] / 480, box["y"] + y * box["height"] / 300) for x, y in line
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=10)
        page.mouse.up()


def verdict(page, text):
    expect(page.locator(".verdict .text")).to_have_text(text, timeout=PATIENCE_MS)


def test_strokes_are_read_while_they_are_drawn_and_can_be_undone_and_cleared(opened):
    page = opened("/")
    draw(page, SEVEN)
    verdict(page, "7")
    expect(page.locator(".bars tr.best th")).to_have_text("7")
    expect(page.locator(".latency")).to_have_text(re.compile(r"Answered \d+ ms after the pen"))
    draw(page, [[(400, 60), (395, 240)]])
    expect(page.locator(".row-text")).to_have_attribute("aria-label", re.compile("7 ?1"))
    page.keyboard.press("Control+z")
    verdict(page, "7")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".say")).to_have_text("Waiting for your pen.")
    expect(page).to_have_url(re.compile(r"/$"))


def test_boxes_lie_on_their_digits_though_only_the_ink_is_sent(opened):
    page = opened("/")
    sent = []
    page.on("request", lambda request: "/api/read" in request.url and sent.append(request))
    draw(page, [*SEVEN, [(400, 60), (395, 240)]])
    expect(page.locator(".boxes .box")).to_have_count(2, timeout=PATIENCE_MS)
    surface = page.locator(".surface").bounding_box()
    for box, (left, top, right, bottom) in zip(
        page.locator(".boxes .box").all(), [(190, 60, 290, 240), (395, 60, 400, 240)], strict=True
    ):
        found = box.bounding_box()
        scale = surface["width"] / 480
        assert found["x"] == pytest.approx(surface["x"] + scale * (left - 8), abs=5 * scale)
        assert found["y"] == pytest.approx(surface["y"] + scale * (top - 8), abs=5 * scale)
        assert found["width"] == pytest.approx(scale * (right - left + 16), abs=8 * scale)
        assert found["height"] == pytest.approx(scale * (bottom - top + 16), abs=8 * scale)
    for request in sent:
        assert len(request.post_data_buffer) < 480 * 300 / 2


def test_one_question_at_a_time_is_under_way_and_the_last_one_is_answered(opened):
    page = opened("/")
    page.evaluate("""() => {
        const original = window.fetch;
        window.questions = { now: 0, most: 0, all: 0 };
        window.fetch = async (...given) => {
            if (!String(given[0]).includes("/api/read")) return original(...given);
            questions.now += 1;
            questions.all += 1;
            questions.most = Math.max(questions.most, questions.now);
            await new Promise((resolve) => setTimeout(resolve, 80));
            try { return await original(...given); } finally { questions.now -= 1; }
        };
    }""")
    draw(page, FOUR)
    verdict(page, "4")
    expect(page.locator(".answer")).to_have_attribute("aria-busy", "false", timeout=PATIENCE_MS)
    questions = page.evaluate("questions")
    assert questions["most"] == 1
    assert questions["all"] >= 2


def test_the_address_holds_the_drawing(opened):
    page = opened("/")
    draw(page, FOUR)
    verdict(page, "4")
    expect(page).to_have_url(re.compile("ink="))
    again = opened("/" + page.url.split("/", 3)[3])
    verdict(again, "4")


STAR = [[(240, 50), (290, 240), (150, 120), (330, 120), (190, 240), (240, 50)]]


def test_what_resembles_no_digit_is_called_so(opened):
    page = opened("/")
    draw(page, STAR)
    expect(page.locator(".say").first).to_contain_text("Not a digit", timeout=PATIENCE_MS)


def test_touch_draws_too(opened):
    page = opened("/", has_touch=True, viewport={"width": 360, "height": 740})
    page.locator(".surface").tap(position={"x": 100, "y": 100})
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()


PEN_DIGITS = {
    "7": [[(0, 0), (60, 0), (22, 100)]],
    "4": [[(28, 0), (0, 62), (62, 62)], [(46, 30), (42, 100)]],
    "2": [[(0, 20), (28, 0), (56, 22), (0, 100), (60, 100)]],
}


def page_of_digits():
    """A PNG with 7, 4 and 2, dark on light."""
    page = Image.new("L", (440, 170), 250)
    for place, lines in enumerate(PEN_DIGITS.values()):
        for line in lines:
            moved = [(50 + 130 * place + x, 35 + y) for x, y in line]
            ImageDraw.Draw(page).line(moved, fill=40, width=10, joint="curve")
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_with_several_digits_gets_boxes_and_a_row_of_text(opened):
    page = opened("/")
    file = {"name": "page.png", "mimeType": "image/png", "buffer": page_of_digits()}
    page.get_by_label("Choose a picture").set_input_files(file)
    expect(page.locator(".boxes .box")).to_have_count(3, timeout=PATIENCE_MS)
    expect(page.locator(".row-text button")).to_have_text(["7", "4", "2"])
    page.locator(".boxes .box").first.click()
    expect(page.locator(".bars tr.best th")).to_have_text("7")


def test_a_picture_that_cannot_be_shown_is_no_broken_image(opened):
    page = opened("/")
    file = {"name": "page.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.get_by_label("Choose a picture").set_input_files(file)
    expect(page.get_by_role("alert")).to_contain_text("no image", timeout=PATIENCE_MS)
    expect(page.locator(".unshown")).to_contain_text("page.png")
    expect(page.locator(".paper img")).to_have_count(0)
    page.complaints = [line for line in page.complaints if "400" not in line]


GIVE = """([kind, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], "page.png", { type: "image/png" }));
    const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
        : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector(".pad").dispatchEvent(event);
}"""


def test_a_picture_is_pasted_or_dropped(opened):
    page = opened("/")
    for kind in ("paste", "drop"):
        page.evaluate(GIVE, [kind, base64.b64encode(page_of_digits()).decode()])
        expect(page.locator(".row-text button")).to_have_text(["7", "4", "2"], timeout=PATIENCE_MS)
        page.get_by_role("button", name="Clear").click()
        expect(page.locator(".say")).to_have_text("Waiting for your pen.")


def test_the_layers_follow_the_drawing_and_a_unit_shows_what_drives_it(opened):
    page = opened("/look?model=reader")
    draw(page, SEVEN)
    expect(page.locator(".verdict-small")).to_have_text("7", timeout=PATIENCE_MS)
    layers = page.locator(".pipeline li button")
    assert layers.count() > 5
    mosaic = page.get_by_role("slider")
    mosaic.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".unit-panel h3")).to_contain_text("Map 2")
    expect(page.locator(".overlay canvas")).to_be_visible(timeout=PATIENCE_MS)
    expect(page).to_have_url(re.compile("unit=1"))
    following = page.get_by_role("button", name="Next layer")
    for _ in range(layers.count()):
        if following.is_enabled():
            following.click()
    expect(page.locator(".layer h2")).to_contain_text("Sigmoid")
    page.get_by_role("button", name="Why 7?").click()
    expect(page.locator(".overlay canvas")).to_be_visible(timeout=PATIENCE_MS)


def test_curves_move_during_a_training_and_survive_a_reload(opened):
    page = opened("/train?recipe=mlp-dropout&epochs=999&data=digits")
    page.get_by_role("button", name="Start training").click()
    newest = page.locator(".chart [role=img]").nth(1)  # the loss never stands still

    def places(before=None):
        """What the newest points say, once there are some other than `before`."""
        pattern = re.compile(r"newest: training \d")
        expect(newest).to_have_attribute("aria-label", pattern, timeout=5 * PATIENCE_MS)
        if before is not None:
            expect(newest).not_to_have_attribute("aria-label", before, timeout=PATIENCE_MS)
        return newest.get_attribute("aria-label")

    first = places()
    second = places(before=first)
    expect(page.locator(".examples .tiles li")).to_have_count(24, timeout=PATIENCE_MS)
    page.reload()
    third = places(before=second)
    places(before=third)
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible(timeout=6 * PATIENCE_MS)
    expect(page.locator(".run .facts")).to_contain_text("of 999")


def test_runs_are_compared(opened):
    page = opened("/train")
    page.get_by_label("Compare first").check()
    page.get_by_label("Compare second").check()
    expect(page.get_by_role("heading", name="2 runs compared")).to_be_visible()
    expect(page.locator(".chart canvas")).to_have_count(2)


def test_a_cell_of_the_confusion_matrix_leads_to_its_images(opened):
    page = opened("/mistakes?run=first")
    cell = page.locator(".cell.off").first
    name = cell.get_attribute("aria-label")
    cell.click()
    count = int(re.search(r": (\d+) image", name)[1])
    expect(page.locator(".gallery li")).to_have_count(count)
    expect(page).to_have_url(re.compile(r"true=\d&predicted=\d"))
    page.locator(".gallery a").first.click()
    expect(page.locator("h1")).to_have_text("Look inside")
    expect(page.locator(".mosaic canvas")).to_be_visible(timeout=PATIENCE_MS)


def test_arrow_keys_walk_the_confusion_matrix_and_tab_leaves_it(opened):
    page = opened("/mistakes?run=first")
    page.locator(".confusion [tabindex='0']").focus()
    expect(page.locator(".confusion [tabindex='0']")).to_have_count(1)
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.get_by_role("button", name=re.compile("^1 read as 1"))).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("button", name=re.compile("^1 read as 9"))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("true=1&predicted=9"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="All mistakes")).to_be_focused()


def test_data_are_browsed_by_class(opened, digits):
    page = opened("/data?data=digits")
    page.locator(".classes").get_by_role("button", name=re.compile(r"^7\b")).click()
    expect(page.locator(".pager")).to_have_text(f"{np.count_nonzero(digits.y_test == 7)} images")
    page.get_by_role("button", name="Near duplicates").click()
    settled(page)
    expect(page).to_have_url(re.compile("view=duplicates"))


def test_own_images_are_uploaded_and_removed(opened, tmp_path):
    for label in ("cats", "dogs"):
        for number in range(6):
            pixels = np.random.default_rng(number + 10 * (label == "dogs")).integers(
                0, 255, (20, 20)
            )
            path = tmp_path / "pets" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    page = opened("/data")
    page.get_by_role("button", name="Bring your own images").click()
    page.get_by_label("A folder").set_input_files(tmp_path / "pets")
    expect(page.get_by_label("Name")).to_have_value("pets")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator(".classes")).to_contain_text("dogs", timeout=PATIENCE_MS)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove").click()
    expect(page.locator(".chip", has_text="pets")).to_have_count(0)


def test_the_keyboard_reaches_everything(opened):
    page = opened("/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("link", name="Data").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Data", timeout=PATIENCE_MS)
    expect(page.locator("main")).to_be_focused()
    settled(page)
    page.locator(".tiles a").nth(2).focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Look inside", timeout=PATIENCE_MS)


PAGES = {
    "draw": "/",
    "look": "/look?model=reader&image=digits/test/5&unit=3",
    "train": "/train?run=first",
    "data": "/data?data=digits",
    "mistakes": "/mistakes?run=first",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_serious_accessibility_findings(opened, name, theme):
    page = opened(PAGES[name], color_scheme=theme)
    if name == "draw":
        draw(page, SEVEN)
        verdict(page, "7")
    assert serious_findings(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wider_than_a_small_phone(opened, name):
    page = opened(PAGES[name], viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_what_is_not_there_is_said(opened):
    page = opened("/nowhere")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.complaints = [line for line in page.complaints if "404" not in line]
    page = opened("/train?run=nothing")
    expect(page.get_by_role("alert")).to_contain_text("no run “nothing”")
