"""What a run was made with: versions of what computes, and the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

_PACKAGES = ("penmark", "keras", "jax", "jaxlib", "torch", "tensorflow", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python, penmark, Keras and the installed backends."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Operating system, processor, and how many cores this process may use."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": usable_cores(),
    }


def usable_cores() -> int:
    """How many cores this process may run on, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    """The processor's model name; Python's own answer is empty on Linux."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
