"""The data sets that penmark knows by name: what they are, where they are, their checksums."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping

DIGIT_NAMES = tuple("0123456789")


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Args:
        name: file name, the same on every mirror.
        size_bytes: length of the file.
        sha256: published SHA-256 sum of the file, hexadecimal.
    """

    name: str
    size_bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """A named data set.

    Args:
        name: as in `penmark train --data NAME`.
        description: one sentence.
        train_images, test_images: number of images in each split.
        image_shape: (height, width) or (height, width, channels).
        class_names: one name per class, in label order.
        license: licence or terms, as its authors state them.
        homepage: where its authors describe it.
        files: what to download; empty for data that is installed with penmark.
        mirrors: addresses that end in "/" and hold `files`, best first.
        idx_sha256: for data published as IDX files, the SHA-256 sum of each uncompressed file,
            by array name. A copy in any format can be checked against them.
    """

    name: str
    description: str
    train_images: int
    test_images: int
    image_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    license: str
    homepage: str
    files: tuple[RemoteFile, ...] = ()
    mirrors: tuple[str, ...] = ()
    idx_sha256: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def download_bytes(self) -> int:
        """Size of the download; 0 for data that is installed with penmark."""
        return sum(file.size_bytes for file in self.files)


# The four files of MNIST and of data sets modeled on it, by the array that each one holds.
IDX_FILE_NAMES: Mapping[str, str] = types.MappingProxyType(
    {
        "x_train": "train-images-idx3-ubyte",
        "y_train": "train-labels-idx1-ubyte",
        "x_test": "t10k-images-idx3-ubyte",
        "y_test": "t10k-labels-idx1-ubyte",
    }
)

_DIGITS = DatasetInfo(
    name="digits",
    description="Handwritten digits from scikit-learn, 8×8 enlarged to 28×28; needs no network.",
    train_images=1438,
    test_images=359,
    image_shape=(28, 28),
    class_names=DIGIT_NAMES,
    license="CC BY 4.0",
    homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
)

# Checksums of the compressed files: those that the loaders of TensorFlow Datasets use. Checksums
# of the uncompressed ones were computed from files that have the compressed sums.
_MNIST = DatasetInfo(
    name="mnist",
    description="Handwritten digits of American census employees and students, 28×28.",
    train_images=60_000,
    test_images=10_000,
    image_shape=(28, 28),
    class_names=DIGIT_NAMES,
    license="CC BY-SA 3.0",
    homepage="https://yann.lecun.com/exdb/mnist/",
    files=(
        RemoteFile(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    idx_sha256=types.MappingProxyType(
        {
            "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        }
    ),
)

_FASHION_MNIST = DatasetInfo(
    name="fashion-mnist",
    description="Photos of clothing and shoes in MNIST's format, and harder than MNIST, 28×28.",
    train_images=60_000,
    test_images=10_000,
    image_shape=(28, 28),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    license="MIT",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    files=(
        RemoteFile(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    idx_sha256=types.MappingProxyType(
        {
            "x_train": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "y_train": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "x_test": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "y_test": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        }
    ),
)

_CIFAR10 = DatasetInfo(
    name="cifar10",
    description="Small color photos of vehicles and animals, 32×32.",
    train_images=50_000,
    test_images=10_000,
    image_shape=(32, 32, 3),
    class_names=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    license="none stated; cite Krizhevsky 2009",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    # The binary version: the better known "python version" is a tar of pickles, and to unpickle
    # a file is to run whatever code it holds.
    files=(
        RemoteFile(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
    ),
)

DATASETS: Mapping[str, DatasetInfo] = types.MappingProxyType(
    {info.name: info for info in (_DIGITS, _MNIST, _FASHION_MNIST, _CIFAR10)}
)


def find_info(name: str) -> DatasetInfo | None:
    """Look a data set up by name; case, hyphens, underscores and spaces make no difference."""
    wanted = _letters(name)
    return next((info for info in DATASETS.values() if _letters(info.name) == wanted), None)


def _letters(name: str) -> str:
    return name.casefold().translate({ord(separator): None for separator in "-_ "})
