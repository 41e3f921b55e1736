"""Handwritten digits to compose pages from: those that scikit-learn carries."""

from __future__ import annotations

import pytest

from penmark.data import load_data


@pytest.fixture(scope="package")
def digits():
    data = load_data("digits")
    return data.x_test, data.y_test
