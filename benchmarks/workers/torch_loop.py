"""A plain PyTorch loop as its experts write it: float32, bfloat16 (autocast) or compiled.

Images are tensors in memory, batches are `index_select`s of a random order, the optimizer is the
fused one, convolutions run in channels_last, denormal numbers are flushed.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from typing import Any

from protocol import limit_threads, serve

threads = limit_threads()

import torch
from task import Task, read_task
from torch import nn

torch.set_num_threads(threads)
torch.set_flush_denormal(True)

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


def build(task: Task) -> nn.Module:
    """The network up to its logits, for images (n, channels, height, width) already rescaled."""
    modules: list[nn.Module] = []
    weights = iter(task.weights)
    shape = task.input_shape if len(task.input_shape) == 3 else (*task.input_shape, 1)
    grid: tuple[int, ...] | None = None  # what was flattened before the next dense layer
    for number, layer in enumerate(task.layers):
        kind, before = layer["kind"], shape
        shape = tuple(layer["output_shape"])
        if kind == "Conv2D":
            padding = "same" if layer["padding"] == "same" else 0
            module = nn.Conv2d(
                before[2], layer["filters"], layer["kernel_size"], layer["strides"], padding
            )
            fill(module, next(weights).transpose(3, 2, 0, 1), next(weights))
            modules += [module, ACTIVATIONS[layer["activation"]]()]
        elif kind == "Dense":
            kernel = next(weights)
            if grid is not None and len(grid) == 3:
                kernel = in_torch_order(kernel, grid)
            grid = None
            module = nn.Linear(*kernel.shape)
            fill(module, kernel.T, next(weights))
            modules.append(module)
            if number < len(task.layers) - 1:
                modules.append(ACTIVATIONS[layer["activation"]]())
        elif kind == "MaxPooling2D":
            modules.append(nn.MaxPool2d(layer["pool_size"], layer["strides"]))
        elif kind == "Dropout":
            modules.append(nn.Dropout(layer["rate"]))
        elif kind == "Reshape":
            if len(shape) == 1:
                modules.append(nn.Flatten())
                grid = before
        elif kind != "Rescaling":
            raise ValueError(f"the benchmark does not know the layer {kind}")
    return nn.Sequential(*modules)


def fill(module: Any, kernel: Any, bias: Any) -> None:
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(kernel.copy()))
        module.bias.copy_(torch.from_numpy(bias))


def in_torch_order(kernel: Any, grid: tuple[int, ...]) -> Any:
    """Rows of a kernel after Flatten, from (height, width, channels) to PyTorch's order."""
    units = kernel.shape[1]
    return kernel.reshape(*grid, units).transpose(2, 0, 1, 3).reshape(-1, units)


def make_optimizer(task: Task, module: nn.Module) -> torch.optim.Optimizer:
    settings, rate = task.optimizer, task.optimizer["learning_rate"]
    if settings["name"] == "sgd":
        return torch.optim.SGD(
            module.parameters(), rate, settings["momentum"], nesterov=settings["nesterov"],
            fused=True,
        )  # fmt: skip
    if settings["name"] == "adam":
        betas = (settings["beta_1"], settings["beta_2"])
        return torch.optim.Adam(module.parameters(), rate, betas, settings["epsilon"], fused=True)
    raise ValueError(f"the benchmark does not know the optimizer {settings['name']}")


def clipped(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    probabilities = logits.softmax(1).gather(1, y[:, None])
    return -probabilities.clamp(1e-7, 1 - 1e-7).log().mean()


class Trainer:
    def __init__(self, mode: str) -> None:
        self.mode = mode

    def load(self, folder: str, request: dict[str, Any]) -> dict[str, Any]:
        task = read_task(folder, request["images"])
        self.batch_size = task.batch_size
        module = build(task)
        x = torch.from_numpy(task.x).float()
        for layer in task.layers:
            if layer["kind"] == "Rescaling":
                x = x * layer["scale"] + layer["offset"]
        if not task.dense_only:
            x = x.reshape(len(x), *task.input_shape[:2], -1).permute(0, 3, 1, 2)
            x = x.contiguous(memory_format=torch.channels_last)
            module = module.to(memory_format=torch.channels_last)
        else:
            x = x.flatten(1)
        self.x, self.y = x, torch.from_numpy(task.y)
        self.optimizer = make_optimizer(task, module)
        self.module = torch.compile(module) if self.mode == "compiled" else module
        self.loss = clipped if task.clipped else nn.functional.cross_entropy
        return {"versions": {"torch": torch.__version__}}

    def epoch(self, number: int, request: dict[str, Any]) -> dict[str, Any]:
        half = contextlib.nullcontext()
        if self.mode == "bfloat16":
            half = torch.autocast("cpu", torch.bfloat16)
        self.module.train()
        total = torch.zeros(())
        started = time.perf_counter()
        for part in torch.randperm(len(self.x)).split(self.batch_size):
            x, y = self.x.index_select(0, part), self.y.index_select(0, part)
            with half:
                loss = self.loss(self.module(x), y)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(part)
        seconds = time.perf_counter() - started
        mean = float(total) / len(self.x)
        return {"seconds": seconds, "loss": mean if math.isfinite(mean) else None}


trainer = Trainer(sys.argv[1])
serve({"load": trainer.load, "epoch": trainer.epoch})
