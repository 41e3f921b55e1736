"""Inference: images per second at batch 256 and the latency of one image, engine and onnxruntime.

    python benchmarks/inference.py [--recipe cnn] [--rounds 5] [--images 10000] [--threads N]
                                   [--data mnist] [--json FILE]

Both run the same weights, take turns in processes of their own, and must agree on the outputs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from networks import write_task
from peers import machine
from worker_process import NoAnswer, NotInstalled, Worker

from penmark import load_data, recipes
from penmark.engine import _core
from penmark.errors import PenmarkError

ENGINES = {
    "penmark": (None, "penmark_predict.py"),
    "onnxruntime": ("onnxruntime", "onnx_session.py"),
}
BATCH = 256
SINGLES = 300  # images of one latency measurement
TIMEOUT = 600.0


def ask(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    answer = worker.ask(request, TIMEOUT)
    if "error" in answer:
        raise NoAnswer(answer["error"])
    return answer


def measure(workers: dict[str, Worker], folder: Path, rounds: int, images: int) -> list[Any]:
    """One row per engine."""
    rows: dict[str, dict[str, Any]] = {}
    outputs = {}
    for name, worker in workers.items():
        versions = ask(worker, {"load": str(folder), "images": images})["versions"]
        rows[name] = {"engine": name, "versions": versions, "batches": [], "singles": []}
        outputs[name] = np.array(ask(worker, {"outputs": BATCH})["outputs"])
    for number in range(rounds + 1):  # the first warms up
        for name, worker in workers.items():
            batches = ask(worker, {"batches": BATCH})["seconds"]
            singles = ask(worker, {"singles": SINGLES})["seconds"]
            if number > 0:
                rows[name]["batches"].append(batches)
                rows[name]["singles"].append(statistics.median(singles))
    for name, row in rows.items():
        row["images_per_second"] = images / statistics.median(row.pop("batches"))
        row["latency_ms"] = 1e3 * statistics.median(row.pop("singles"))
        row["largest_difference"] = float(np.abs(outputs[name] - outputs["penmark"]).max())
    return list(rows.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="cnn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--threads", type=int, default=_core.available_threads())
    parser.add_argument("--data", default="mnist", help="mnist, or digits where there is none")
    parser.add_argument("--json", default="", metavar="FILE", help="- for standard output")
    arguments = parser.parse_args()
    try:
        dataset = load_data(arguments.data)
        model = recipes.get(arguments.recipe).build(dataset, seed=0)
    except PenmarkError as error:
        raise SystemExit(str(error)) from None
    images = min(arguments.images, len(dataset.x_train))
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory(prefix="penmark-inference-") as temporary:
        folder = Path(temporary)
        write_task(arguments.recipe, dataset, folder)
        model.save(folder / "model.keras")
        try:
            for name, (environment, script) in ENGINES.items():
                workers[name] = Worker(environment, script, (), threads=arguments.threads,
                                       log=folder / f"{name}.log")  # fmt: skip
            rows = measure(workers, folder, arguments.rounds, images)
        except (NotInstalled, NoAnswer) as reason:
            raise SystemExit(str(reason)) from None
        finally:
            for worker in workers.values():
                worker.end()
    if arguments.json != "-":
        print(f"| `{arguments.recipe}` | images/s, batch {BATCH} | one image | difference |")
        print("| --- | ---: | ---: | ---: |")
        for row in rows:
            print(
                f"| {row['engine']} | {row['images_per_second']:,.0f} | {row['latency_ms']:.2f} ms "
                f"| {row['largest_difference']:.1g} |"
            )
    if arguments.json:
        document = {"machine": machine(), "threads": arguments.threads,
                    "recipe": arguments.recipe, "images": images, "rows": rows}  # fmt: skip
        text = json.dumps(document, indent=2) + "\n"
        if arguments.json == "-":
            sys.stdout.write(text)
        else:
            Path(arguments.json).write_text(text)


if __name__ == "__main__":
    main()
