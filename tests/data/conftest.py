"""Tests of data sources find no copy on this computer and nothing in a cache but their own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for everything that is looked up by environment; gives that folder."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.delenv("PENMARK_DATA", raising=False)
    monkeypatch.setenv("PENMARK_CACHE", str(home / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(home / "keras"))
    # The misbehaving server of the download tests is on this computer: never through a proxy.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return home
