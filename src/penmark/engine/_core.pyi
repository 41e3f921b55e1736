"""The native core of penmark's engine: see native/network.h."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy
from numpy.typing import NDArray

def usable_isas() -> list[str]:
    """Instruction sets built in and usable on this machine, slowest first."""

def available_threads() -> int:
    """
    Threads that the process may use: affinity, cgroup and PENMARK_THREADS respected.
    """

def peak_gflops(threads: int) -> float:
    """Float32 GFLOP/s that so many threads reach on registers alone, at best."""

def one_hot_classes(targets: NDArray[numpy.float32]) -> NDArray[numpy.int64] | None:
    """
    Places of the ones where every row of targets (n, units) is a one among zeros, else None.
    """

class Network:
    def __init__(
        self, shape: tuple[int, int, int], threads: int = 0, isa: str = "", guards: bool = False
    ) -> None: ...
    def dense(
        self,
        x: int,
        units: int,
        use_bias: bool,
        activation: str,
        trainable: bool,
        name: str,
        bf16: bool = False,
    ) -> int: ...
    def conv2d(
        self,
        x: int,
        filters: int,
        kernel_size: tuple[int, int],
        strides: tuple[int, int],
        same: bool,
        use_bias: bool,
        activation: str,
        trainable: bool,
        name: str,
        bf16: bool = False,
    ) -> int: ...
    def pool(
        self,
        x: int,
        takes_max: bool,
        pool_size: tuple[int, int],
        strides: tuple[int, int],
        same: bool,
    ) -> int: ...
    def global_average_pool(self, x: int) -> int: ...
    def activate(self, x: int, activation: str, alpha: float) -> int: ...
    def softmax(self, x: int) -> int: ...
    def rescale(self, x: int, scale: float, offset: float) -> int: ...
    def reshape(self, x: int, shape: tuple[int, int, int]) -> int: ...
    def dropout(self, x: int, rate: float) -> int: ...
    def batch_norm(
        self,
        x: int,
        momentum: float,
        epsilon: float,
        center: bool,
        scale: bool,
        trainable: bool,
        name: str,
    ) -> int: ...
    def add(self, inputs: Sequence[int]) -> int: ...
    def shape(self, tensor: int) -> tuple[int, int, int]: ...
    def set_optimizer(
        self,
        kind: str,
        beta1: float = 0.0,
        beta2: float = 0.0,
        epsilon: float = 0.0,
        weight_decay: float = 0.0,
        clip_value: float = 0.0,
        clip_norm: float = 0.0,
        global_clip_norm: float = 0.0,
        amsgrad: bool = False,
        centered: bool = False,
    ) -> None: ...
    def set_loss(
        self,
        tensor: int,
        kind: str,
        label_smoothing: float = 0.0,
        top_k: Sequence[int] = [],
        threshold: float | None = None,
        clips: bool = False,
    ) -> None: ...
    def set_augment(
        self,
        shift_h: Sequence[float],
        shift_w: Sequence[float],
        turn: Sequence[float],
        zoom_h: Sequence[float],
        zoom_w: Sequence[float] | None,
        fill: str,
        fill_value: float,
        bilinear: bool,
    ) -> None: ...
    def exclude_from_weight_decay(self, number: int) -> None: ...
    def finish(self, trains: bool = True) -> None: ...
    def params(self) -> list[tuple[str, list[int], bool]]:
        """(name, shape, trainable) of each weight."""

    def get(self, number: int, what: str = "weight") -> NDArray[numpy.float32]:
        """
        A copy of a weight, its 'gradient', or 'slot0', 'slot1', 'slot2' of the optimizer.
        """

    def set(
        self,
        number: int,
        what: str,
        values: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
    ) -> None: ...
    def train(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        order: NDArray[numpy.int64],
        batch: int,
        rates: NDArray[numpy.float32],
        iteration: int,
        seed: int,
        weights: NDArray[numpy.float32] | None = None,
        progress: Callable[[int, dict[str, Any]], bool | None] | None = None,
    ) -> dict[str, Any]: ...
    def evaluate(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        order: NDArray[numpy.int64],
        batch: int,
        weights: NDArray[numpy.float32] | None = None,
        progress: Callable[[int, dict[str, Any]], bool | None] | None = None,
    ) -> dict[str, Any]: ...
    def predict(
        self,
        x: NDArray[Any],
        order: NDArray[numpy.int64],
        batch: int,
        tensor: int,
        progress: Callable[[int, dict[str, Any]], bool | None] | None = None,
    ) -> NDArray[numpy.float32]: ...
    def gradients(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        seed: int,
        weights: NDArray[numpy.float32] | None = None,
    ) -> dict[str, Any]: ...
    def training_times(self) -> list[tuple[str, float, float]]:
        """
        (layer, seconds forward, seconds backward) so far, as the first thread saw them.
        """

    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def first_overrun(self) -> int:
        """Region written past its end, where guards are on; -1: none."""
