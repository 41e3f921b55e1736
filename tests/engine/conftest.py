"""Tests of `fit`, `evaluate` and `predict` run on both engines."""

from __future__ import annotations

import pytest

from penmark.engine import choice, core


@pytest.fixture(params=["native", "keras"])
def path(request, monkeypatch):
    """Make `engine="auto"` take one path; on the native one, falling back is a failure."""
    if request.param == "keras":
        monkeypatch.setattr(core, "missing_core", lambda: "hidden by the test")
        monkeypatch.setattr(choice, "say_once", lambda line: None)
    else:
        if core.missing_core() is not None:
            pytest.skip(core.missing_core())

        def refuse(line):
            raise AssertionError(line)

        monkeypatch.setattr(choice, "say_once", refuse)
    return request.param
