"""The studio: a web page to draw, look inside, train, and browse data and mistakes.

It runs on this computer and talks to nobody else. FastAPI and uvicorn come with the extra
`penmark[studio]`; nothing else of penmark imports them.
"""

from __future__ import annotations

from penmark.studio.settings import StudioSettings

__all__ = ["StudioSettings"]
