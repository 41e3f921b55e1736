"""The folder that `--to web` writes, before any browser opens it."""

from __future__ import annotations

import gzip
import hashlib
import json
import re

import pytest

from penmark.engine.backend import keras
from penmark.errors import InputError, ModelError
from penmark.export import to_web, web_page
from penmark.export.web_page import page_html

layers = keras.layers

# SHA-256 of the files in the npm package, unpacked.
RUNTIME = {
    "ort.wasm.min.js": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.js":
    "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm.gz":
    "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}  # fmt: skip


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    return to_web(run, tmp_path_factory.mktemp("web") / "page")


def test_the_folder_is_whole(page):
    files = {str(file.relative_to(page.path)) for file in page.path.rglob("*") if file.is_file()}
    assert files == {
        "index.html", "style.css", "icon.svg", "page.js", "drawing.js", "network.js", "prepare.js",
        "model.onnx", "model.json", "MODEL_CARD.md", "runtime/LICENSE", "runtime/SOURCE.md",
        "runtime/ThirdPartyNotices.txt", *(f"runtime/{name}" for name in RUNTIME),
    }  # fmt: skip
    assert page.size_bytes == sum(
        file.stat().st_size for file in page.path.rglob("*") if file.is_file()
    )
    assert not list(page.path.parent.glob(".*"))
    assert page.path.stat().st_mode & 0o055 == 0o055  # a web server of another user can read it


def test_the_runtime_is_what_its_maker_published(page):
    for name, published in RUNTIME.items():
        content = (page.path / "runtime" / name).read_bytes()
        if name.endswith(".gz"):
            content = gzip.decompress(content)
        assert hashlib.sha256(content).hexdigest() == published
        assert published in (page.path / "runtime" / "SOURCE.md").read_text("utf-8")
    assert "MIT License" in (page.path / "runtime" / "LICENSE").read_text("utf-8")


def test_the_page_names_no_other_server(page):
    """Whatever the browser loads comes from this folder, by a relative address."""
    for name in ("index.html", "page.js", "drawing.js", "network.js", "prepare.js", "style.css"):
        text = (page.path / name).read_text("utf-8")
        assert not re.search(r"(https?:)?//[a-z0-9]", text.replace("/** ", ""), re.IGNORECASE), name
    html = (page.path / "index.html").read_text("utf-8")
    assert all(not link.startswith("/") for link in re.findall(r'(?:src|href)="([^"]+)"', html))
    assert "default-src 'none'" in html


def test_what_the_page_says(run, page):
    html = (page.path / "index.html").read_text("utf-8")
    assert "<h1>Draw a digit</h1>" in html
    assert "mlp-dropout on digits" in html
    assert f"{100 * run.metrics['accuracy']:.1f}% of 359 images" in html
    facts = json.loads((page.path / "model.json").read_text("utf-8"))
    assert facts["classNames"] == list("0123456789")
    assert facts["bytes"]["model"] == (page.path / "model.onnx").stat().st_size
    assert (page.path / "MODEL_CARD.md").read_text("utf-8").startswith("# mlp-dropout on digits")


def test_names_are_escaped_on_the_page(page):
    import dataclasses

    hostile = dataclasses.replace(
        page.description, title="<script>alert(1)</script>", class_names=('"><img src=x>', "b")
    )
    html = page_html(hostile)
    assert "<script>alert" not in html and "<img" not in html
    assert "Draw something" in html


def test_only_networks_that_can_read_a_drawing(save, tmp_path):
    color = save(layers.Flatten(), layers.Dense(3, activation="softmax"), shape=(28, 28, 3))
    with pytest.raises(ModelError, match="the page draws 28×28 gray ones"):
        to_web(color)
    image = save(layers.Conv2D(2, 3), shape=(28, 28, 1), name="image.keras")
    with pytest.raises(ModelError, match="one number a class"):
        to_web(image)
    assert sorted(tmp_path.iterdir()) == sorted([color, image])


def test_an_older_page_is_replaced_only_when_asked(save, tmp_path):
    path = save(layers.Reshape((28, 28, 1)), layers.Flatten(), layers.Dense(3))
    folder = tmp_path / "page"
    folder.mkdir()
    assert to_web(path, folder).path == folder  # an empty folder is nobody's
    (folder / "stray.txt").write_text("")
    with pytest.raises(InputError, match="--overwrite"):
        to_web(path, folder)
    assert (folder / "stray.txt").exists()
    to_web(path, folder, overwrite=True)
    assert not (folder / "stray.txt").exists()
    assert sorted(tmp_path.iterdir()) == sorted([path, folder])


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_with_something_else_is_never_touched(save, tmp_path, overwrite):
    path = save(layers.Flatten(), layers.Dense(3))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        to_web(path, tmp_path / "photos", overwrite=overwrite)
    with pytest.raises(InputError, match="is a file"):
        to_web(path, path, overwrite=overwrite)
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "mine"


def test_a_failure_halfway_leaves_the_old_page(save, tmp_path, monkeypatch):
    path = save(layers.Flatten(), layers.Dense(3))
    folder = to_web(path, tmp_path / "page").path
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    def fail(description):
        raise RuntimeError

    monkeypatch.setattr(web_page, "page_html", fail)
    with pytest.raises(RuntimeError):
        to_web(path, folder, overwrite=True)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert sorted(tmp_path.iterdir()) == sorted([path, folder])
