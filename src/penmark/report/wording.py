"""Numbers and class names as people read them, the same in figures and on the page."""

from __future__ import annotations

import math
import unicodedata

ELLIPSIS = "…"


def percent(share: float, *, images: int = 0) -> str:
    """Write a share of something as a percentage, without rounding a flaw away.

    Args:
        share: usually 0.0 to 1.0; a value that is not finite becomes a dash.
        images: how many images the share is of. From 1,000 on a second decimal says something.

    Returns:
        For example "97.9%", "97.87%" or "<0.1%"; "100%" and "0%" are kept for exactly 1 and 0.
    """
    if not math.isfinite(share):
        return "–"
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    decimals = 2 if images >= 1000 else 1
    step = 10.0**-decimals
    # Rounding to 100% would claim that there is no mistake, and to 0% that there is nothing.
    rounded = round(100.0 * share, decimals)
    if 0.0 < share and rounded == 0.0:
        return f"<{step:.{decimals}f}%"
    if share < 1.0:
        rounded = min(rounded, 100.0 - step)
    return f"{rounded:.{decimals}f}%"


def plain(text: object) -> str:
    """Text that any font, XML parser and UTF-8 file can take: one line, no control characters.

    Class names are often folder names, and those may hold anything, even undecodable bytes.
    """
    printable = "".join(
        " " if unicodedata.category(character) in ("Cc", "Zl", "Zp") else character
        for character in str(text)
    )
    return printable.encode("utf-8", "replace").decode("utf-8").strip()


def shorten(text: object, length: int) -> str:
    """`plain(text)` in at most `length` characters; what was cut shows as an ellipsis."""
    line = plain(text)
    return line if len(line) <= length else line[: length - 1].rstrip() + ELLIPSIS
