"""Links between pages, to files and to headings lead somewhere."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, name


def broken_link(page, link):
    """What is wrong with a link; None if nothing is, or if it leads to another site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None if parts.scheme == "https" else f"{link}: not https"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(ROOT):
        return f"{link}: leads out of the repository"
    if not target.exists():
        return f"{link}: there is no such file"
    if parts.fragment and target.suffix in (".md", ".ipynb"):
        if unquote(parts.fragment) not in anchors(target):
            return f"{link}: there is no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page):
    assert [wrong for link in links(page) if (wrong := broken_link(page, link))] == []


def test_broken_links_are_found(tmp_path):
    page = ROOT / "README.md"
    assert broken_link(page, "docs/data.md#the-report") is None
    assert "no such heading" in broken_link(page, "docs/data.md#the-raport")
    assert "no such file" in broken_link(page, "docs/dada.md")
    assert "leads out" in broken_link(page, "../elsewhere.md")
    assert "not https" in broken_link(page, "http://example.org/")
