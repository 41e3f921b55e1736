"""Peak memory of training: a fresh process trains one epoch through `penmark.fit`.

    python benchmarks/memory.py [--recipe cnn] [--data mnist] [--images N] [--json FILE]

Prints the resident memory after each stage, so that one sees what belongs to whom: Python, the
packages, the images, the network, the training. The core's own share is what its plan holds.
Linux only: it reads /proc/self.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

STAGES = "BENCH_STAGES"  # set in the process that measures


def resident_mb() -> float:
    """Memory of this process that is in RAM now, MB (1e6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def mapped_mb() -> dict[str, float]:
    """Resident MB by kind: files mapped (libraries mostly), and memory of no file."""
    kinds = {"files": 0.0, "anonymous": 0.0}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "Rss":
            total = int(rest.split()[0]) * 1024 / 1e6
        elif name == "Anonymous":
            kinds["anonymous"] = int(rest.split()[0]) * 1024 / 1e6
    kinds["files"] = total - kinds["anonymous"]
    return kinds


def train(recipe_name: str, data: str, images: int | None) -> dict[str, Any]:
    """Train in this process; resident MB after each stage, and the peak."""
    stages = {"python": resident_mb()}
    import numpy

    stages[f"numpy {numpy.__version__}"] = resident_mb()
    import penmark

    dataset = penmark.load_data(data)
    x, y = dataset.x_train[:images], dataset.y_train[:images]
    stages["images"] = resident_mb()
    from penmark.engine.backend import keras

    stages[f"keras {keras.__version__} on {keras.backend.backend()}"] = resident_mb()
    from penmark.engine.native import bind

    recipe = penmark.recipes.get(recipe_name)
    model = recipe.build(dataset, seed=0)
    stages["network"] = resident_mb()
    before = peak_mb()
    penmark.fit(
        model, x, y, engine="native", loss_from=recipe.loss_from, batch_size=recipe.batch_size,
        verbose=0,
    )  # fmt: skip
    stages["training"] = resident_mb()
    peak = peak_mb()
    core = bind(model, loss_from=recipe.loss_from)
    size = recipe.batch_size
    core.network.train(
        core.images(x[:size]), core.labels(_one_hot(y[:size], dataset.num_classes)),
        numpy.arange(len(x[:size])), size, numpy.zeros(1, numpy.float32), 0, 0,
    )  # fmt: skip
    return {
        "recipe": recipe_name,
        "images": len(x),
        "stages_mb": stages,
        "peak_before_training_mb": before,
        "peak_mb": peak,
        "core_plan_mb": core.network.bytes / 1e6,
        "images_mb": x.nbytes / 1e6,
        "mapped_mb": mapped_mb(),
    }


def _one_hot(y: Any, classes: int) -> Any:
    import numpy

    return numpy.eye(classes, dtype=numpy.float32)[y]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="cnn")
    parser.add_argument("--data", default="mnist", help="mnist, or digits where there is none")
    parser.add_argument("--images", type=int, help="train on so many only")
    parser.add_argument("--json", default="", metavar="FILE", help="- for standard output")
    arguments = parser.parse_args()
    if STAGES in os.environ:
        print(json.dumps(train(arguments.recipe, arguments.data, arguments.images)))
        return
    done = subprocess.run(
        [sys.executable, *sys.argv],
        env={**os.environ, STAGES: "1"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    result = json.loads(done.stdout)
    if arguments.json != "-":
        previous = 0.0
        for stage, resident in result["stages_mb"].items():
            print(f"{stage:24} {resident:7.0f} MB  {resident - previous:+7.0f}")
            previous = resident
        print(f"{'peak before training':24} {result['peak_before_training_mb']:7.0f} MB")
        print(f"{'peak':24} {result['peak_mb']:7.0f} MB")
        print(f"{'of it the core':24} {result['core_plan_mb']:7.0f} MB")
    if arguments.json:
        text = json.dumps(result, indent=2) + "\n"
        if arguments.json == "-":
            sys.stdout.write(text)
        else:
            Path(arguments.json).write_text(text)


if __name__ == "__main__":
    main()
