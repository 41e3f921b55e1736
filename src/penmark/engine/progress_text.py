"""Curves and durations as text."""

from __future__ import annotations

from collections.abc import Sequence

_SPARKS = "▁▂▃▄▅▆▇█"
_ASCII_SPARKS = "_.-~=+*#"


def sparkline(values: Sequence[float], *, width: int = 20, ascii_only: bool = False) -> str:
    """A curve in one line of text.

    Args:
        values: the curve, oldest first.
        width: at most so many of the latest values are shown.
        ascii_only: for terminals whose encoding has no block characters.

    Returns:
        One character a value, the lowest for the smallest shown; "" for no values.
    """
    sparks = _ASCII_SPARKS if ascii_only else _SPARKS
    shown = values[-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if high == low:
        return sparks[0] * len(shown)
    scale = (len(sparks) - 1) / (high - low)
    return "".join(sparks[round((value - low) * scale)] for value in shown)


def duration(seconds: float) -> str:
    """Seconds as a person writes them: "0.8 s", "42 s", "3 min 05 s", "1 h 02 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
