"""The driver's side of a worker: a process in an environment of its own that answers questions."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


class NotInstalled(Exception):
    """The peer's environment is missing; the text says how to get it."""


class NoAnswer(Exception):
    """The worker ended, or did not answer in time."""


def environment_python(name: str | None) -> Path:
    """The Python of benchmarks/.venv-NAME, or for None this one. Raises NotInstalled."""
    if name is None:
        return Path(sys.executable)
    folder = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    python = HERE / f".venv-{name}" / folder
    if not python.exists():
        raise NotInstalled(f"not installed: make benchmarks/.venv-{name}/.installed")
    return python


class Worker:
    """A script of workers/ at work; what it says on standard error is kept in `log`.

    Args:
        environment: whose environment it runs in; None for penmark's own.
        script: file name in workers/.
        arguments: for the script.
        threads: as many as it may use.
        log: where its standard error goes.

    Raises:
        NotInstalled: there is no such environment.
    """

    def __init__(
        self,
        environment: str | None,
        script: str,
        arguments: Sequence[str],
        *,
        threads: int,
        log: Path,
    ) -> None:
        python = environment_python(environment)
        count = str(threads)
        variables = {
            "BENCH_THREADS": count,
            "OMP_NUM_THREADS": count,
            "MKL_NUM_THREADS": count,
            "OPENBLAS_NUM_THREADS": count,
            "TF_NUM_INTRAOP_THREADS": count,
            "PENMARK_THREADS": count,
        }
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [str(python), str(HERE / "workers" / script), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **variables},
                encoding="utf-8",
            )
        self._questions, self._answers = self.process.stdin, self.process.stdout
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._answers:
            self._lines.put(line)
        self._lines.put("")

    def ask(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        """The worker's answer to one question. Raises NoAnswer, and then the worker is gone."""
        try:
            self._questions.write(json.dumps(request) + "\n")
            self._questions.flush()
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            self.end()
            raise NoAnswer(f"no answer within {timeout:.0f} s") from None
        except OSError:
            line = ""
        if not line:
            self.end()
            raise NoAnswer(f"ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip()[:200] if lines else f"exit status {self.process.returncode}"

    def end(self) -> None:
        """Let the process go."""
        with contextlib.suppress(OSError):
            self._questions.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
