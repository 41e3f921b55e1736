"""The parts of Keras that load other large packages wait until somebody uses them.

`import keras` loads scikit-learn for its wrappers and Matplotlib for its galleries where these are
installed: more than half of that import's time, and 80 MB. Here these parts get Python's own
`LazyLoader`: they are there as ever, and load when something of theirs is asked for.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

# The second stands in Keras's own source and is what the first is made of.
LAZY_PARTS = frozenset({"keras.visualization", "keras.src.visualization", "keras.wrappers"})


class _LazyParts:
    """Finds modules as `sys.path` does, and puts off the loading of `LAZY_PARTS`."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in LAZY_PARTS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


def put_off_large_parts() -> None:
    """Let a later `import keras`, by anyone, load `LAZY_PARTS` when they are first used."""
    if _LazyParts not in sys.meta_path:
        sys.meta_path.insert(0, _LazyParts)
