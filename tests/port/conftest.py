from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def programs() -> Path:
    """Programs and a notebook in the Keras of 2016 and 2017."""
    return Path(__file__).parent / "programs"
