"""Where images come from: named data sets, folders, .npz and IDX files, all as one `Dataset`."""

from penmark.data.dataset import Dataset
from penmark.data.findings import FileFinding, FolderReport
from penmark.data.folder import check_folder
from penmark.data.load import load_data
from penmark.data.mislabeled import Mislabeled, probably_mislabeled
from penmark.data.published import data_state
from penmark.data.registry import DATASETS, DatasetInfo

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
