"""JAX for the dense networks: one compiled function per epoch, a `lax.scan` over its batches.

Convolutions are declined: XLA's on a CPU, inside a scan, take many times what Keras's take.
"""

from __future__ import annotations

import time
from typing import Any

from protocol import Declined, limit_threads, serve

limit_threads()

import jax
import jax.numpy as jnp
from task import Task, read_task

jax.config.update("jax_default_prng_impl", "rbg")  # XLA's own generator

ACTIVATIONS = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh}


def logits_of(task: Task, weights: list[jax.Array], x: jax.Array, key: jax.Array) -> jax.Array:
    remaining = iter(weights)
    last = len(task.layers) - 1
    for number, layer in enumerate(task.layers):
        if layer["kind"] == "Reshape":
            x = x.reshape(len(x), *layer["output_shape"])
        elif layer["kind"] == "Rescaling":
            x = x * layer["scale"] + layer["offset"]
        elif layer["kind"] == "Dense":
            x = x @ next(remaining) + next(remaining)
            x = x if number == last else ACTIVATIONS[layer["activation"]](x)
        elif layer["kind"] == "Dropout":
            kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1 - layer["rate"], x.shape)
            x = jnp.where(kept, x / (1 - layer["rate"]), 0)
    return x


def mean_loss(task: Task, weights: list[jax.Array], x: jax.Array, y: jax.Array, key: Any) -> Any:
    logits = logits_of(task, weights, x, key)
    rows = jnp.arange(len(y))
    if task.clipped:
        chosen = jnp.clip(jax.nn.softmax(logits)[rows, y], 1e-7, 1 - 1e-7)
        return -jnp.mean(jnp.log(chosen))
    return -jnp.mean(jax.nn.log_softmax(logits)[rows, y])


def update(settings: dict[str, Any], state: Any, gradients: list[jax.Array]) -> Any:
    """One step of plain SGD or of Adam (Kingma and Ba, 2015), as Keras computes them."""
    weights, first, second, steps = state
    rate = settings["learning_rate"]
    if settings["name"] == "sgd":
        return [w - rate * g for w, g in zip(weights, gradients, strict=True)], first, second, steps
    a, b, steps = settings["beta_1"], settings["beta_2"], steps + 1
    rate *= jnp.sqrt(1 - b**steps) / (1 - a**steps)
    first = [m + (1 - a) * (g - m) for m, g in zip(first, gradients, strict=True)]
    second = [v + (1 - b) * (g * g - v) for v, g in zip(second, gradients, strict=True)]
    weights = [
        w - rate * m / (jnp.sqrt(v) + settings["epsilon"])
        for w, m, v in zip(weights, first, second, strict=True)
    ]
    return weights, first, second, steps


def make_epoch(task: Task) -> Any:
    """epoch(state, x, y, key) -> (state, mean loss), all batches and the smaller last one."""
    size = task.batch_size

    def epoch(state: Any, x: jax.Array, y: jax.Array, key: jax.Array) -> Any:
        count = len(x)
        whole = count // size
        order_key, mask_key = jax.random.split(key)
        order = jax.random.permutation(order_key, count)

        def step(state: Any, batch: Any) -> Any:
            number, part = batch
            loss, gradients = jax.value_and_grad(
                lambda w: mean_loss(task, w, x[part], y[part], jax.random.fold_in(mask_key, number))
            )(state[0])
            return update(task.optimizer, state, gradients), loss * len(part)

        batches = (jnp.arange(whole), order[: whole * size].reshape(whole, size))
        state, losses = jax.lax.scan(step, state, batches)
        total = jnp.sum(losses)
        if count % size:
            state, loss = step(state, (whole, order[whole * size :]))
            total += loss
        return state, total / count

    return jax.jit(epoch, donate_argnums=0)


class Trainer:
    def load(self, folder: str, request: dict[str, Any]) -> dict[str, Any]:
        task = read_task(folder, request["images"])
        if not task.dense_only:
            raise Declined("dense networks only")
        if task.optimizer["name"] not in ("sgd", "adam") or task.optimizer.get("momentum"):
            raise Declined(f"plain SGD and Adam only, not {task.optimizer['name']}")
        weights = [jnp.asarray(w) for w in task.weights]
        zeros = [jnp.zeros_like(w) for w in weights]
        self.state = (weights, zeros, [jnp.zeros_like(w) for w in weights], jnp.zeros(()))
        self.x = jax.device_put(task.x.astype("float32"))
        self.y = jax.device_put(task.y.astype("int32"))
        self.run = make_epoch(task)
        return {"versions": {"jax": jax.__version__}}

    def epoch(self, number: int, request: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        self.state, loss = self.run(self.state, self.x, self.y, jax.random.key(number))
        loss = float(jax.block_until_ready(loss))
        return {"seconds": time.perf_counter() - started, "loss": loss}


trainer = Trainer()
serve({"load": trainer.load, "epoch": trainer.epoch})
