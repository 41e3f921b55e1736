"""A matplotlib figure as inline SVG that takes its colors and font from the page around it."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from penmark.report.figures.theme import Theme
from penmark.report.rendering import rendering

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colors that nothing else has; each stands for one of the page's CSS custom properties.
PAGE_THEME = Theme(
    surface="#010203",
    ink="#010204",
    muted="#010205",
    grid="#010206",
    right="#010207",
    wrong="#010208",
    series=("#010207", "#010208"),
)
PROPERTIES = {
    PAGE_THEME.surface: "var(--surface)",
    PAGE_THEME.ink: "var(--ink)",
    PAGE_THEME.muted: "var(--muted)",
    PAGE_THEME.grid: "var(--line)",
    PAGE_THEME.right: "var(--right)",
    PAGE_THEME.wrong: "var(--wrong)",
}


def inline_svg(figure: Figure, *, name: str, description: str) -> str:
    """Turn a figure drawn with `PAGE_THEME` into an `<svg>` element.

    Args:
        figure: what to draw.
        name: prefix of all ids, so that several figures fit into one page.
        description: what a screen reader says; must not need escaping.
    """
    text = io.StringIO()
    with rendering({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # The page around it is HTML, where namespaces are implied.
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    for color, custom_property in PROPERTIES.items():
        svg = svg.replace(color, custom_property)
    svg = re.sub(r'(?<=\bid=")', f"{name}-", svg)
    svg = re.sub(r"(?<=url\(#)|(?<=href=\"#)", f"{name}-", svg)
    # Text keeps its size and weight; the family is the page's.
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", svg)
    svg = re.sub(r"font: ((?:\d+ )?[\d.]+px) [^;\"]*", r"font: \1 var(--sans)", svg)
    opening = f'<svg class="chart" role="img" aria-label="{description}" '
    svg = re.sub(r'^<svg width="[^"]*" height="[^"]*" ', opening, svg, count=1)
    return svg.strip()
