"""The colors of all figures: one style, light and dark.

Hues are those of Okabe and Ito, "Color Universal Design" (2008), which people with any common
color blindness can tell apart; lightened for the dark theme, where the originals are too dim.
Blue stands for what is right, vermilion, the red pen, for what is wrong.
"""

from __future__ import annotations

import dataclasses

from penmark.errors import InputError


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colors as "#rrggbb".

    Args:
        surface: behind everything.
        ink: text and what must stand out.
        muted: secondary text, axes, the less important of two lines.
        grid: hairlines behind the data.
        right, wrong: the two meanings.
        series: for comparing several things of equal rank, in this order.
    """

    surface: str
    ink: str
    muted: str
    grid: str
    right: str
    wrong: str
    series: tuple[str, ...]


LIGHT = Theme(
    surface="#ffffff",
    ink="#1c2430",
    muted="#5f6876",
    grid="#e4e6ea",
    right="#0072b2",
    wrong="#d55e00",
    series=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1c2430"),
)
DARK = Theme(
    surface="#15181d",
    ink="#e8eaee",
    muted="#a2a9b5",
    grid="#2d323a",
    right="#5ab4ec",
    wrong="#ff8c4b",
    series=("#5ab4ec", "#ff8c4b", "#2bc89a", "#e59cc4", "#f2b632", "#9fd3f5", "#e8eaee"),
)
THEMES = {"light": LIGHT, "dark": DARK}


def resolve_theme(theme: str | Theme) -> Theme:
    """The colors for a theme's name. Raises InputError for a name that is not one."""
    if isinstance(theme, Theme):
        return theme
    if theme not in THEMES:
        raise InputError(f"theme must be one of {', '.join(THEMES)}; got {theme!r}")
    return THEMES[theme]
