"""Seconds per epoch of the published networks: penmark and its peers in turn, in one run.

    python benchmarks/peers.py [--recipe NAME]... [--peer NAME]... [--rounds 3] [--images N]
                               [--threads N] [--data mnist] [--timeout 900] [--json FILE]

Every peer trains the same network from the same first weights, with the same batch size, optimizer
and loss, in a process of its own that stays warm. In each round all of them take a turn while the
others are idle, so that a machine that others use too slows all of them alike; medians count. The
first epoch, in which some compile, is not timed; its loss must be near penmark's. README.md says
how to read the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from networks import write_task
from worker_process import HERE, NoAnswer, NotInstalled, Worker

from penmark import load_data, recipes
from penmark.engine import _core
from penmark.errors import PenmarkError


@dataclasses.dataclass(frozen=True)
class Peer:
    """Whose environment (None: penmark's own), which script of workers/, and its arguments."""

    environment: str | None
    script: str
    arguments: tuple[str, ...] = ()


OURS = "penmark"
PEERS = {
    OURS: Peer(None, "penmark_fit.py", ("float32",)),
    "penmark bfloat16": Peer(None, "penmark_fit.py", ("mixed_bfloat16",)),
    "keras-jax": Peer("jax", "keras_fit.py", ("jax",)),
    "keras-tensorflow": Peer("tensorflow", "keras_fit.py", ("tensorflow",)),
    "keras-torch": Peer("torch", "keras_fit.py", ("torch",)),
    "torch": Peer("torch", "torch_loop.py", ("float32",)),
    "torch bfloat16": Peer("torch", "torch_loop.py", ("bfloat16",)),
    "torch compiled": Peer("torch", "torch_loop.py", ("compiled",)),
    "jax-scan": Peer("jax", "jax_scan.py"),
    "sklearn": Peer("sklearn", "sklearn_mlp.py"),
}


@dataclasses.dataclass
class Turns:
    """What one peer did with one recipe; `why` says why there is nothing (more) of it."""

    worker: Worker | None
    why: str = ""
    seconds: list[float] = dataclasses.field(default_factory=list)
    peaks: list[float] = dataclasses.field(default_factory=list)
    losses: list[float | None] = dataclasses.field(default_factory=list)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)

    def ask(self, request: dict[str, Any], timeout: float) -> dict[str, Any] | None:
        """The answer, or None with the reason in `why`."""
        if self.worker is None:
            return None
        try:
            answer = self.worker.ask(request, timeout)
        except NoAnswer as reason:
            self.worker, self.why = None, str(reason)
            return None
        if "error" in answer or "declined" in answer:
            self.worker, self.why = None, answer.get("declined") or answer["error"]
            return None
        return answer


def measure(
    recipe: str,
    folder: Path,
    workers: dict[str, Worker | None],
    missing: dict[str, str],
    arguments: argparse.Namespace,
) -> dict[str, Turns]:
    """Let every peer load the network and train it, `rounds` times in turn after a first epoch."""
    turns = {name: Turns(worker, missing.get(name, "")) for name, worker in workers.items()}
    for peer in turns.values():
        request = {"load": str(folder), "images": arguments.images}
        answer = peer.ask(request, arguments.timeout)
        peer.versions = {} if answer is None else answer["versions"]
    for number in range(arguments.rounds + 1):
        for name, peer in turns.items():
            what = "first epoch" if number == 0 else f"round {number} of {arguments.rounds}"
            if peer.worker is not None:
                say(f"{recipe}: {what}, {name}")
            answer = peer.ask({"epoch": number}, arguments.timeout)
            if answer is None:
                continue
            peer.losses.append(answer["loss"])
            if number > 0:
                peer.seconds.append(answer["seconds"])
                peer.peaks.append(answer.get("peak_gflops", 0.0))
    return turns


def rows_of(
    recipe: str, turns: dict[str, Turns], flops: int, images: int, of: int
) -> list[dict[str, Any]]:
    """One row per peer; `images` were trained on, out of `of` in an epoch."""
    ours = turns[OURS]
    our_median = statistics.median(ours.seconds) if ours.seconds else math.nan
    rows = []
    for name, peer in turns.items():
        row: dict[str, Any] = {"recipe": recipe, "peer": name, "note": peer.why}
        if peer.seconds and not peer.why:
            median = statistics.median(peer.seconds)
            row |= {
                "seconds_per_epoch": median * of / images,
                "ratio": median / our_median if ours.seconds else None,
                "runs_seconds": peer.seconds,
                "first_epoch_loss": peer.losses[0],
                "versions": peer.versions,
                "note": doubt(peer.losses, ours.losses),
            }
            if name == OURS:
                peak = statistics.median(peer.peaks)
                gflops = flops * images / median / 1e9
                row |= {"gflops": gflops, "peak_gflops": peak, "share_of_peak": gflops / peak}
        rows.append(row)
    return rows


def doubt(losses: Sequence[float | None], ours: Sequence[float | None]) -> str:
    """Why the peer may not have done the same work; "" where nothing speaks against it."""
    first, our_first = losses[0], ours[0] if ours else None
    if first is None or any(loss is None or not math.isfinite(loss) for loss in losses):
        return "its loss is not finite"
    if our_first is None or not math.isfinite(our_first):
        return "penmark's loss is not finite"
    # Orders and dropout masks differ; the same training stays well inside a factor of two.
    near = abs(first - our_first) < 0.05 or 0.5 < first / our_first < 2
    return "" if near else f"its loss is {first:.3g} after an epoch, penmark's {our_first:.3g}"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        "| recipe | | s per epoch | ratio | share of peak | |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        cells = [f"`{row['recipe']}`", row["peer"]]
        timed = "seconds_per_epoch" in row
        cells.append(f"{row['seconds_per_epoch']:.2f}" if timed else "–")
        cells.append(f"{row['ratio']:.2f}×" if timed and row["ratio"] else "–")
        cells.append(f"{row['share_of_peak']:.0%}" if "share_of_peak" in row else "")
        lines.append("| " + " | ".join([*cells, row["note"]]) + " |")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """What a reader needs to judge the figures by."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    commit = subprocess.run(
        ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "isa": _core.usable_isas()[-1],
        "python": platform.python_version(),
        "system": platform.platform(),
        "commit": commit or None,
    }


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    trained = [name for name in recipes.names() if recipes.get(name).fit is None]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", action="append", choices=trained, metavar="NAME",
                        help=f"only this one; may be repeated: {', '.join(trained)}")  # fmt: skip
    parser.add_argument("--peer", action="append", choices=list(PEERS), metavar="NAME",
                        help=f"only this one beside penmark: {', '.join(PEERS)}")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="timed epochs of each")
    parser.add_argument("--images", type=int, help="train on so many only, and scale up")
    parser.add_argument("--threads", type=int, default=_core.available_threads())
    parser.add_argument("--data", default="mnist", help="mnist, or digits where there is none")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one epoch")
    parser.add_argument("--json", default="", metavar="FILE", help="- for standard output")
    arguments = parser.parse_args()
    arguments.recipe = arguments.recipe or trained
    arguments.peer = [OURS, *(name for name in arguments.peer or PEERS if name != OURS)]
    for name in ("rounds", "threads"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if arguments.images is not None and arguments.images < 1:
        parser.error("--images must be at least 1")
    return arguments


def main() -> None:
    arguments = parse()
    try:
        dataset = load_data(arguments.data)
    except PenmarkError as error:
        raise SystemExit(str(error)) from None
    of = len(dataset.x_train)
    images = min(arguments.images or of, of)
    rows: list[dict[str, Any]] = []
    workers: dict[str, Worker | None] = {}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="penmark-peers-") as temporary:
        for name in arguments.peer:
            peer, log = PEERS[name], Path(temporary) / f"{name}.log"
            try:
                workers[name] = Worker(peer.environment, peer.script, peer.arguments,
                                       threads=arguments.threads, log=log)  # fmt: skip
            except NotInstalled as reason:
                workers[name], missing[name] = None, str(reason)
                say(f"{name}: {reason}")
        for recipe in arguments.recipe:
            folder = Path(temporary) / recipe
            folder.mkdir()
            flops = write_task(recipe, dataset, folder)
            turns = measure(recipe, folder, workers, missing, arguments)
            rows += rows_of(recipe, turns, flops, images, of)
        for worker in workers.values():
            if worker is not None:
                worker.end()
    document = {
        "machine": machine(),
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "data": arguments.data,
        "images": images,
        "rows": rows,
    }
    if arguments.json != "-":
        print(table(rows))
    if arguments.json:
        text = json.dumps(document, indent=2) + "\n"
        if arguments.json == "-":
            sys.stdout.write(text)
        else:
            Path(arguments.json).write_text(text)


if __name__ == "__main__":
    main()
