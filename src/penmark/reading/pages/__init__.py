"""Pages composed from handwritten digits, to measure reading on: what is on them is known.

`compose_page` imitates what phones, scanners and screens give; its difficulty has separate axes
with physical units (`AXES`), and `mixed` draws them together as they occur.
"""

from __future__ import annotations

from penmark.reading.pages.axes import AXES, Axis, Conditions, mixed
from penmark.reading.pages.page import Page, TrueDigit, compose_page
from penmark.reading.pages.pens import PENS
from penmark.reading.pages.surface import SURFACES

__all__ = [
    "AXES",
    "PENS",
    "SURFACES",
    "Axis",
    "Conditions",
    "Page",
    "TrueDigit",
    "compose_page",
    "mixed",
]
