"""Where images come from: named data sets, folders, .npz and IDX files, all as one `Dataset`.

What is named here is imported when it is asked for: reading a picture needs one file of this room,
and should not wait for the others.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penmark.data.dataset import Dataset as Dataset
    from penmark.data.findings import FileFinding as FileFinding
    from penmark.data.findings import FolderReport as FolderReport
    from penmark.data.folder import check_folder as check_folder
    from penmark.data.load import load_data as load_data
    from penmark.data.mislabeled import Mislabeled as Mislabeled
    from penmark.data.mislabeled import probably_mislabeled as probably_mislabeled
    from penmark.data.published import data_state as data_state
    from penmark.data.registry import DATASETS as DATASETS
    from penmark.data.registry import DatasetInfo as DatasetInfo

_MODULES = {
    "DATASETS": "registry",
    "Dataset": "dataset",
    "DatasetInfo": "registry",
    "FileFinding": "findings",
    "FolderReport": "findings",
    "Mislabeled": "mislabeled",
    "check_folder": "folder",
    "data_state": "published",
    "load_data": "load",
    "probably_mislabeled": "mislabeled",
}

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetInfo",
    "FileFinding",
    "FolderReport",
    "Mislabeled",
    "check_folder",
    "data_state",
    "load_data",
    "probably_mislabeled",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"penmark.data.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
