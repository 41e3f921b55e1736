import numpy as np
import pytest

pytest.importorskip("penmark.engine._core", reason="the native core is not built")


@pytest.fixture
def rng():
    return np.random.default_rng(1)
