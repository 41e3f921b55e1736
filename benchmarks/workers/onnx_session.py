"""onnxruntime, for inference: the network as ONNX, images as float32 (no conversion is timed)."""

from __future__ import annotations

import time
from typing import Any

from protocol import limit_threads, serve

threads = limit_threads()

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from task import Task, read_task

ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softmax": "Softmax"}


def export(task: Task) -> bytes:
    """The trained network for inference, channels first throughout.

    What Flatten must reorder is reordered once, in the rows of the kernel behind it.
    """
    nodes: list[Any] = []
    constants: list[Any] = []
    weights = iter(task.weights)

    def constant(array: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), f"c{len(constants)}"))
        return str(constants[-1].name)

    def add(op: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, inputs, [f"t{len(nodes)}"], **attributes))
        return f"t{len(nodes) - 1}"

    shape = task.input_shape if len(task.input_shape) == 3 else (*task.input_shape, 1)
    grid: tuple[int, ...] | None = None
    at = "image"
    if len(task.input_shape) == 3:
        at = add("Transpose", at, perm=[0, 3, 1, 2])
    else:
        at = add("Reshape", at, constant(np.array([-1, 1, *task.input_shape], np.int64)))
    for layer in task.layers:
        kind, before = layer["kind"], shape
        shape = tuple(layer["output_shape"])
        if kind == "Rescaling":
            at = add("Mul", at, constant(np.float32(layer["scale"])))
            at = add("Add", at, constant(np.float32(layer["offset"])))
        elif kind == "Conv2D":
            kernel, bias = next(weights), next(weights)
            same = layer["padding"] == "same"
            at = add(
                "Conv", at, constant(kernel.transpose(3, 2, 0, 1)), constant(bias),
                strides=layer["strides"], auto_pad="SAME_UPPER" if same else "VALID",
            )  # fmt: skip
        elif kind == "MaxPooling2D":
            at = add("MaxPool", at, kernel_shape=layer["pool_size"], strides=layer["strides"])
        elif kind == "Reshape" and len(shape) == 1:
            at, grid = add("Flatten", at), before
        elif kind == "Dense":
            kernel, bias = next(weights), next(weights)
            if grid is not None and len(grid) == 3:
                kernel = kernel.reshape(*grid, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
            grid = None
            at = add("Gemm", at, constant(kernel), constant(bias))
        elif kind not in ("Dropout", "Reshape"):
            raise ValueError(f"the benchmark does not know the layer {kind}")
        if layer.get("activation") in ACTIVATIONS:
            at = add(ACTIVATIONS[layer["activation"]], at)
    graph = helper.make_graph(
        nodes,
        task.recipe,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", *task.input_shape])],
        [helper.make_tensor_value_info(at, TensorProto.FLOAT, ["n", task.classes])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class Session:
    def load(self, folder: str, request: dict[str, Any]) -> dict[str, Any]:
        task = read_task(folder, request["images"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            export(task), options, providers=["CPUExecutionProvider"]
        )
        self.x = task.x.astype(np.float32)
        versions = {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}
        return {"versions": versions}

    def outputs(self, count: int, request: dict[str, Any]) -> dict[str, Any]:
        return {"outputs": self.session.run(None, {"image": self.x[:count]})[0].tolist()}

    def batches(self, size: int, request: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        for first in range(0, len(self.x), size):
            self.session.run(None, {"image": self.x[first : first + size]})
        return {"seconds": time.perf_counter() - started}

    def singles(self, count: int, request: dict[str, Any]) -> dict[str, Any]:
        seconds = []
        for number in range(count):
            image = self.x[number % len(self.x)][None]
            started = time.perf_counter()
            self.session.run(None, {"image": image})
            seconds.append(time.perf_counter() - started)
        return {"seconds": seconds}


session = Session()
serve(
    {
        "load": session.load,
        "outputs": session.outputs,
        "batches": session.batches,
        "singles": session.singles,
    }
)
