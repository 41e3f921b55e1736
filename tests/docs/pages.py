"""The pages as the tests see them: Markdown files and lessons, their links and code blocks."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs/reference").glob("*.md"),
        *(ROOT / "notebooks").glob("*.md"),
        *(ROOT / "notebooks").glob("*.ipynb"),
        ROOT / "benchmarks/README.md",
    ]
)
MARKDOWN = MarkdownIt("commonmark").enable("table")

# Above a sample that the tests cannot run: <!-- not run: why -->
NOT_RUN = re.compile(r"<!-- not run: .+ -->")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclasses.dataclass(frozen=True)
class Block:
    """A code block.

    Args:
        language: as the page names it; "" for none.
        text: what is inside.
        line: of the page (of its Markdown, for a lesson), from 1.
        runs: False below a comment that says why it cannot.
    """

    language: str
    text: str
    line: int
    runs: bool


def markdown(page: Path) -> str:
    """The page's Markdown; of a lesson, that of its text cells."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def tokens(page: Path) -> Iterator[Token]:
    """All tokens of a page, those inside of paragraphs and cells included."""
    for token in MARKDOWN.parse(markdown(page)):
        yield token
        yield from token.children or ()


def blocks(page: Path) -> list[Block]:
    found, runs = [], True
    for token in MARKDOWN.parse(markdown(page)):
        if token.type in ("fence", "code_block"):
            line = token.map[0] + 1 if token.map else 0
            found.append(Block(token.info.strip(), token.content, line, runs))
        runs = not (token.type == "html_block" and NOT_RUN.search(token.content))
    return found


def inline_codes(page: Path) -> list[str]:
    return [token.content for token in tokens(page) if token.type == "code_inline"]


class _Images(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value for key, value in attrs if value and key in ("src", "href")]


def links(page: Path) -> list[str]:
    """Where the page's links and images lead, HTML included."""
    found = []
    for token in tokens(page):
        if token.type == "link_open":
            found.append(str(token.attrs["href"]))
        elif token.type == "image":
            found.append(str(token.attrs["src"]))
        elif token.type in ("html_block", "html_inline"):
            html = _Images()
            html.feed(token.content)
            found += html.sources
    return found


def anchors(page: Path) -> set[str]:
    """What can stand behind `#` in a link to this page: its headings, as Sphinx names them."""
    made, headings = set(), iter(MARKDOWN.parse(markdown(page)))
    for token in headings:
        if token.type == "heading_open":
            title = "".join(
                part.content for part in next(headings).children or () if part.type != "image"
            )
            kept = re.sub(r"[^\w\- ]", "", title.lower())
            made.add(kept.strip().replace(" ", "-"))
    return made
