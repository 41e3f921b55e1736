"""The site builds without a warning, and a browser that shows it asks nobody else for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import ROOT

pytest.importorskip("sphinx", reason="the extra `docs` is not installed")
pytest.importorskip("furo", reason="the extra `docs` is not installed")
pytest.importorskip("myst_nb", reason="the extra `docs` is not installed")

# tag -> attributes from which a browser loads without being asked. Links (a) are for clicking.
LOADS = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "object": ("data",),
    "embed": ("src",),
    "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, its lessons without outputs: `make docs` runs them."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [
            sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going",
            "-c", "docs/site", "-d", folder / "doctrees", "-D", "nb_execution_mode=off",
            ".", folder / "html",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""
    return folder / "html"


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.styles: list[str] = []
        self._in_style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self._in_style = tag == "style"
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        for attribute in LOADS.get(tag, ()):
            values = given.get(attribute, "").split(",") if attribute == "srcset" else None
            for value in values or [given.get(attribute, "")]:
                if value.strip():
                    self.loaded.append(value.split()[0])
        if "style" in given:
            self.styles.append(given["style"])
        if given.get("http-equiv", "").lower() == "refresh":
            self.loaded.append(given["content"].partition("=")[2])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def loaded_by_css(text: str) -> list[str]:
    return [
        found.strip("'\" ")
        for found in re.findall(r"url\(([^)]*)\)|@import\s+[\"']([^\"']+)", text)
        for found in found
        if found
    ]


def is_outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("", "data") or bool(parts.netloc)


def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = [
        (path.name, url)
        for path, page in pages(site).items()
        for url in [*page.loaded, *(url for css in page.styles for url in loaded_by_css(css))]
    ]
    assert len(loaded) > 100
    styles = [(path, path.read_text(encoding="utf-8")) for path in site.rglob("*.css")]
    assert styles
    loaded += [(path.name, url) for path, css in styles for url in loaded_by_css(css)]
    assert [entry for entry in loaded if is_outside(entry[1])] == []


def test_what_would_be_loaded_from_elsewhere_is_found():
    page = Page(
        '<link rel="stylesheet" href="https://fonts.example/a.css">'
        '<script src="//cdn.example/b.js"></script>'
        '<img srcset="c.png 1x, https://img.example/d.png 2x"><a href="https://e.example">'
        "<style>@import 'https://f.example/g.css'; p { background: url(https://h.example/i) }"
        "</style>"
    )
    found = [*page.loaded, *loaded_by_css(page.styles[0])]
    assert [url for url in found if is_outside(url)] == [
        "https://fonts.example/a.css",
        "//cdn.example/b.js",
        "https://img.example/d.png",
        "https://f.example/g.css",
        "https://h.example/i",
    ]


def test_every_link_and_file_inside_the_site_is_there(site):
    parsed, missing = pages(site), []
    for path, page in parsed.items():
        for url in [*page.links, *page.loaded]:
            parts = urlsplit(url)
            if is_outside(url) or parts.scheme == "data":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                missing.append((path.name, url))
            elif parts.fragment and target in parsed:
                if unquote(parts.fragment) not in parsed[target].ids:
                    missing.append((path.name, url))
    assert missing == []


def test_the_start_page_is_what_a_server_shows_for_the_folder(site):
    start = (site / "index.html").read_text(encoding="utf-8")
    assert "The classic first steps in deep learning" in start
    assert "docs/engine.html" in start


def test_every_public_name_has_its_place_in_the_reference(site):
    import penmark

    ids = set().union(*(page.ids for path, page in pages(site).items() if "reference" in str(path)))
    names = set(penmark.__all__) - {"__version__", "plot", "recipes", "export"}
    assert {f"penmark.{name}" for name in names} <= ids
    plots = {f"penmark.report.figures.{name}" for name in penmark.plot.__all__}
    assert plots <= ids


def test_every_command_and_option_is_on_the_command_line_page(site):
    from typer.main import get_command

    from penmark.cli import app

    text = (site / "docs" / "command-line.html").read_text(encoding="utf-8")
    for name, command in get_command(app).commands.items():
        assert f"penmark {name}<" in text
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option in text, f"{name} {option}"


def test_formulas_need_no_script():
    sys.path.insert(0, str(ROOT / "docs/site/extensions"))
    try:
        import formulas
    finally:
        sys.path.pop(0)
    assert "<mfrac>" in formulas.convert(r"\sqrt{\frac{p\,(1-p)}{n}}")
