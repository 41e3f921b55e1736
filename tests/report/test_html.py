"""The page says what the evaluation says, holds everything itself, and trusts no class name."""

from __future__ import annotations

import base64
import functools
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from penmark.errors import DataError, StorageError
from penmark.report.evaluation import Evaluation
from penmark.report.figure_files import FIGURE_NAMES
from penmark.report.html import write_figures, write_report
from penmark.report.html import write_figures as write_figures_from_html
from tests.report.conftest import HISTORY, make_evaluation, make_images, make_perfect

VOID = {"meta", "img", "br", "hr", "link", "input", "use"}
LAYERS = [
    {"name": "flatten", "type": "Flatten", "output_shape": [None, 48], "parameters": 0},
    {"name": "dense", "type": "Dense", "output_shape": [None, 4], "parameters": 12345},
]


class Page(HTMLParser):
    """Elements, attributes and text of a page; complains about tags that do not close."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [found["id"] for _, found in self.elements if found.get("id")]


def write_page(folder, **changes) -> Page:
    """A report without training curves, which take the longest to draw, unless given some."""
    values = {
        "title": "mlp on digits",
        "config": {"settings": {"epochs": 3, "shape": [8, 6]}, "command": "penmark train mlp"},
        "history": {},
        "evaluation": make_evaluation(),
        "images": make_images(changes.get("evaluation", make_evaluation()).images),
        "first_layer_kernel": np.random.default_rng(0).normal(size=(48, 4)),
        "image_shape": (8, 6),
        "model_summary": LAYERS,
        "parameters": 12345,
        "published_accuracy": 0.9787,
        "status": "complete",
    } | changes
    path = folder / "report.html"
    write_report(path, **values)
    assert [file.name for file in folder.iterdir()] == ["report.html"]
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full_page(tmp_path_factory) -> Page:
    """A report with everything in it, written once."""
    return write_page(tmp_path_factory.mktemp("full"), history=HISTORY)


@pytest.fixture
def page(tmp_path):
    return functools.partial(write_page, tmp_path)


def test_numbers_are_the_evaluation_s(full_page, evaluation):
    shown = full_page
    right = evaluation.images - evaluation.errors
    assert (
        f"{100 * right / 60:.1f}% of 60 test images read correctly: {evaluation.errors} wrong"
        in shown.text
    )
    assert "published accuracy of this network is 97.87%" in shown.text
    assert "12,345" in shown.text
    cells = re.findall(r'<td class="(?:right|wrong|zero)"[^>]*>([\d,]+)</td>', shown.source)
    assert [int(cell) for cell in cells] == evaluation.confusion.ravel().tolist()
    for row in evaluation.per_class:
        assert f"{100 * row['recall']:.1f}%" in shown.text
    assert f"expected calibration error: {100 * evaluation.ece:.1f} points" in shown.text


def test_the_page_loads_nothing(full_page):
    shown = full_page
    assert not re.search(r"https?:", shown.source)
    assert not shown.all("script") and not shown.all("link") and not shown.all("iframe")
    assert "@import" not in shown.source and not re.search(r"url\((?!#)", shown.source)
    for image in shown.all("img"):
        assert image["src"].startswith("data:image/png;base64,")
    assert not [name for _, found in shown.elements for name in found if name.startswith("on")]


def test_every_picture_has_words(full_page):
    shown = full_page
    assert shown.all("img") and all(image.get("alt") for image in shown.all("img"))
    assert len(shown.all("svg")) == 3
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in shown.all("svg"))


def test_ids_are_unique_and_links_lead_somewhere(full_page):
    shown = full_page
    assert len(shown.ids) == len(set(shown.ids))
    targets = [link["href"][1:] for link in shown.all("a") if link["href"].startswith("#")]
    targets += [use["href"][1:] for use in shown.all("use")]
    targets += re.findall(r"url\(#([^)]+)\)", shown.source)
    assert targets and set(targets) <= set(shown.ids)
    labels = [found["aria-labelledby"] for _, found in shown.elements if "aria-labelledby" in found]
    assert set(labels) <= set(shown.ids)


def test_charts_take_the_page_s_colors(full_page):
    charts = "".join(re.findall(r"<svg.*?</svg>", full_page.source, flags=re.DOTALL))
    assert "var(--right)" in charts and "var(--ink)" in charts
    assert "#010" not in charts and "DejaVu" not in charts


def test_gallery_holds_the_images_themselves(page, evaluation):
    images = make_images(60)
    shown = page(images=images)
    worst = evaluation.top_losses(1)[0]
    section = shown.source[shown.source.index('<section id="worst"') :]
    encoded = re.search(r'src="data:image/png;base64,([^"]+)"', section).group(1)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    np.testing.assert_array_equal(picture, images[worst])
    assert f"{100 * evaluation.confidence[worst]:.1f}%" in section


def test_hostile_names_are_escaped(page):
    names = (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "a & b",
        "$x$\x00\udce9",
    )
    shown = page(
        evaluation=make_evaluation(60, names),
        title="<i>title</i>",
        config={"<b>key</b>": "<u>value</u>", "command": "<s>rm</s>"},
        model_summary=[{"name": "<em>", "type": "</table>", "output_shape": [1], "parameters": 1}],
        status="<b>",
    )
    assert not shown.all("script") and not shown.all("u") and not shown.all("s")
    assert not [found for found in shown.all("img") if "onerror" in found]
    for text in (*names[:3], "<i>title</i>", "<b>key</b>", "<u>value</u>", "<s>rm</s>"):
        assert text in shown.text


def test_without_history_kernel_and_command(page):
    shown = page(history={}, first_layer_kernel=None, config={}, published_accuracy=None)
    for section in ("training", "first-layer", "repeat"):
        assert section not in shown.ids
    assert "published" not in shown.text
    assert len(shown.all("svg")) == 1


def test_without_mistakes(page):
    shown = page(evaluation=make_perfect())
    assert "100% of 20 test images read correctly: not one wrong" in shown.text
    assert "No mistakes: all 20 images were predicted correctly." in shown.text
    assert "worst" not in shown.ids and "confused" not in shown.ids


def test_without_one_right_answer(page):
    y_true = np.array([0, 1])
    shown = page(evaluation=Evaluation(y_true, np.eye(2)[1 - y_true], 9.0, ("a", "b"), np.nan))
    assert "0% of 2 test images" in shown.text and "Not one image" in shown.text


@pytest.mark.parametrize(
    ("published", "words"),
    [
        (0.0, "points less than here"),
        ((0.01, 0.9999), "1.00% to 99.99%, as here"),
        ((0.9999, 0.99995), "points more than here"),
    ],
)
def test_published_accuracy_may_be_a_range(page, published, words):
    assert words in page(published_accuracy=published).text


def test_interrupted_training_is_said(page):
    assert "interrupted" in page(status="interrupted").text


def test_configuration_is_shown_in_full(page):
    config = {
        "settings": {"epochs": 3, "keep_best": False, "image_size": None, "shape": [8, 6]},
        "callbacks": [{"name": "EarlyStopping"}],
        "empty": {},
        "command": ["penmark", "train", "mlp relu"],
    }
    shown = page(config=config)
    for words in ("epochs 3", "keep_best no", "image_size –", "shape 8, 6", "EarlyStopping"):
        assert words in shown.text
    assert "penmark train 'mlp relu'" in shown.text


def test_many_classes_become_a_picture(page):
    names = tuple(f"class {i}" for i in range(60))
    shown = page(evaluation=make_evaluation(300, names))
    (matrix,) = [image for image in shown.all("img") if "60 classes" in image["alt"]]
    picture = Image.open(io.BytesIO(base64.b64decode(matrix["src"].split(",")[1])))
    assert picture.size == (60, 60)


def test_color_images_and_filters(page):
    images = make_images(60, (40, 200, 3))
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 70))
    shown = page(images=images, first_layer_kernel=kernel, image_shape=(40, 200, 3))
    assert "the first 64 of 70" in shown.text
    encoded = shown.all("img")[0]["src"].split(",")[1]
    # Large pictures are made smaller, or the page would be.
    assert max(Image.open(io.BytesIO(base64.b64decode(encoded))).size) <= 128


def test_kernel_that_is_no_picture_is_left_out(page):
    assert "first-layer" not in page(first_layer_kernel=np.zeros((10, 4))).ids


def test_mnist_sized_report_is_small(tmp_path, history):
    names = tuple("0123456789")
    evaluation = make_evaluation(2000, names)
    path = tmp_path / "report.html"
    write_report(
        path,
        title="mnist",
        config={},
        history=history,
        evaluation=evaluation,
        images=make_images(2000, (28, 28)),
        first_layer_kernel=np.random.default_rng(0).normal(size=(784, 512)),
        image_shape=(28, 28),
        model_summary=LAYERS,
        parameters=1,
        published_accuracy=None,
        status="complete",
    )
    # Noise is the worst case for PNG; real digits take a third.
    assert path.stat().st_size < 1_000_000


def test_images_must_fit(page):
    with pytest.raises(DataError, match="59 images but 60"):
        page(images=make_images(59))


class TestWriteFigures:
    def arguments(self, evaluation, history):
        return {
            "history": history,
            "evaluation": evaluation,
            "images": make_images(evaluation.images),
            "first_layer_kernel": np.random.default_rng(0).normal(size=(48, 4)),
            "image_shape": (8, 6),
        }

    def test_writes_all_figures_and_the_report_links_them(self, tmp_path, evaluation, history):
        assert write_figures is write_figures_from_html
        arguments = self.arguments(evaluation, history)
        written = write_figures(tmp_path / "figures", **arguments)
        assert [path.stem for path in written] == list(FIGURE_NAMES)
        assert sorted(written) == sorted((tmp_path / "figures").iterdir())
        for path in written:
            with Image.open(path) as picture:
                assert picture.format == "PNG" and picture.width >= 400
        report = tmp_path / "report.html"
        write_report(report, title="t", config={}, model_summary=LAYERS, parameters=1, **arguments)
        links = [link["href"] for link in Page(report.read_text()).all("a")]
        assert [link for link in links if not link.startswith("#")] == [
            f"figures/{name}.png" for name in FIGURE_NAMES
        ]

    def test_figures_without_data_are_skipped_and_old_ones_removed(self, tmp_path):
        (tmp_path / "wrong.png").write_bytes(b"of an earlier evaluation")
        (tmp_path / "mine.png").write_bytes(b"not penmark's")
        written = write_figures(
            tmp_path, **self.arguments(make_perfect(), {}) | {"first_layer_kernel": None}
        )
        names = {path.stem for path in written}
        assert names == {"confusion_matrix", "reliability_diagram", "per_class", "correct"}
        assert {path.stem for path in tmp_path.iterdir()} == names | {"mine"}

    def test_does_not_leave_figures_in_pyplot(self, tmp_path, history):
        from matplotlib import pyplot

        before = pyplot.get_fignums()
        write_figures(
            tmp_path, **self.arguments(make_perfect(), history) | {"first_layer_kernel": None}
        )
        assert pyplot.get_fignums() == before

    def test_characters_missing_in_the_font_do_not_warn(self, tmp_path):
        names = ("猫", "犬", "狐", "🦉")
        arguments = self.arguments(make_evaluation(40, names), {})
        write_figures(tmp_path, **arguments | {"first_layer_kernel": None})

    def test_folder_that_cannot_be_made(self, tmp_path, evaluation, history):
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match="file"):
            write_figures(tmp_path / "file" / "figures", **self.arguments(evaluation, history))
