"""Trainings in their own processes: the ordinary result, whoever watches and whatever happens."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from penmark.data import load_data
from penmark.runs import Run, TrainingSettings, train
from penmark.studio.jobs import Jobs
from penmark.studio.workspace import Workspace

websockets = pytest.importorskip("websockets")

PATIENCE_S = 900


def wait(condition, what="it"):
    deadline = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.2)
    return result


def start(client, **settings):
    answer = client.post("/api/runs", json={"data": "digits", **settings})
    assert answer.status_code == 201, answer.text
    return answer.json()["name"]


def ended(client, name):
    def look():
        update = client.get(f"/api/runs/{name}/live").json()
        return update if not update["live"] else None

    return wait(look, f"the end of {name}")


def same_result(run, expected):
    assert {k: v for k, v in run.history.items() if k != "seconds"} == {
        k: v for k, v in expected.history.items() if k != "seconds"
    }
    for ours, theirs in zip(run.model().get_weights(), expected.model().get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


SETTINGS = {"recipe": "mlp-dropout", "epochs": 6, "validation_split": 0.1, "seed": 3}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected") / "run"
    return train(TrainingSettings(data="digits", **SETTINGS), out=folder, report=False, verbose=0)


def test_watched_stopped_and_resumed_it_ends_as_an_ordinary_training(client, workspace, expected):
    name = start(client, **SETTINGS)
    folder = workspace / "runs" / name
    busy = client.post("/api/runs", json={"recipe": "softmax", "data": "digits"})
    assert busy.status_code == 409
    assert name in busy.json()["detail"]
    with client.websocket_connect(
        f"/api/runs/{name}/live", headers={"host": "127.0.0.1"}
    ) as watcher:
        rows, update = [], watcher.receive_json()
        while not rows:
            update = watcher.receive_json()
            rows += update["rows"]
            assert update["live"], update
    assert client.post(f"/api/runs/{name}/stop").status_code == 200
    generation = ended(client, name)["generation"]
    assert client.post(f"/api/runs/{name}/stop").status_code == 409
    stopped = Run(folder)
    done = stopped.epochs_done
    if stopped.status == "interrupted":
        assert 0 < done <= 6
        assert client.post(f"/api/runs/{name}/resume", json={}).status_code == 200
        begun = client.get(f"/api/runs/{name}/live").json()
        assert begun["live"]
        assert begun["generation"] > generation
        update = ended(client, name)
        # Stopped in the last moment, there is nothing left to train.
        assert done == 6 or update["first_epoch"] == done
    run = Run(folder)
    assert run.status == "complete"
    same_result(run, expected)
    assert update["examples"] is None or len(update["examples"]["accuracies"]) == 10
    shown = client.get(f"/api/runs/{name}").json()
    assert shown["entry"]["accuracy"] == run.metrics["accuracy"]
    assert shown["history"]["loss"] == run.history["loss"]
    assert client.post(f"/api/runs/{name}/resume", json={}).status_code == 409


def test_a_hundred_watchers_of_whom_most_are_slow_or_rude_do_no_harm(
    settings, listening, expected, workspace
):
    """Some read, some never read, some leave in the middle of it; the result is the same."""
    import httpx

    address = listening(settings, ws_max_size=4096)
    name = httpx.post(
        f"{address}/api/runs", json={"data": "digits", **SETTINGS}, timeout=60
    ).json()["name"]
    url = f"{address.replace('http', 'ws')}/api/runs/{name}/live"

    async def watch(number):
        async with websockets.connect(url, max_queue=1, open_timeout=60) as socket:
            if number % 4 == 0:
                socket.transport.abort()  # a connection that breaks
                return None
            if number % 4 == 1:
                await asyncio.sleep(5)  # one that does not read
                return None
            if number % 4 == 2:
                await socket.send("x" * 100)  # one that talks
            last = None
            async for text in socket:
                last = json.loads(text)
            return last

    async def everybody():
        return await asyncio.gather(*(watch(number) for number in range(100)))

    # Browser tests of the same process keep an event loop running in this thread.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        seen = thread.submit(lambda: asyncio.run(everybody())).result()
    final = [update for update in seen if update is not None]
    assert len(final) == 50
    assert all(not update["live"] for update in final)
    run = Run(workspace / "runs" / name)
    assert run.status == "complete"
    same_result(run, expected)


def test_a_training_that_cannot_begin_says_why(client):
    name = start(client, recipe="perceptron", positive_class="eleven")
    update = ended(client, name)
    assert update["phase"] == "failed"
    assert "eleven" in update["detail"]
    assert client.get(f"/api/runs/{name}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"recipe": "none"},
        {"recipe": "cnn", "epochs": 0},
        {"recipe": "cnn", "epochs": 10**6},
        {"recipe": "cnn", "optimizer": "best"},
        {"recipe": "cnn", "engine": "keras"},
        {"recipe": "cnn", "learning_rate": 0},
        {"recipe": "cnn", "out": "/tmp"},
    ],
)
def test_settings_that_make_no_sense_start_nothing(client, workspace, body):
    answer = client.post("/api/runs", json={"data": "digits", **body})
    assert answer.status_code in (400, 422)
    assert isinstance(answer.json()["detail"], str)
    assert client.get("/api/state").json()["training"] is None
    assert [path.name for path in (workspace / "runs").iterdir()] == ["tiny"]


def test_a_training_outlives_a_studio_that_was_killed_and_the_next_one_finds_and_stops_it(
    workspace, client
):
    """Also where the first one ignores Ctrl-C, as a program in a shell's background does."""
    code = (
        "import signal, sys; from pathlib import Path\n"
        "from penmark.studio.jobs import Jobs; from penmark.studio.workspace import Workspace\n"
        "from penmark.runs import TrainingSettings\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"jobs = Jobs(Workspace(Path({str(workspace)!r})))\n"
        f"settings = TrainingSettings(data='digits', **{SETTINGS | {'epochs': 900}!r})\n"
        "print(jobs.start(settings), flush=True)\n"
        "sys.stdin.read()\n"
    )
    studio = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    name = studio.stdout.readline().strip()
    jobs = Jobs(Workspace(workspace))
    wait(lambda: jobs.is_live(name), "the training")
    studio.send_signal(signal.SIGKILL)
    studio.wait()
    studio.stdin.close()
    studio.stdout.close()
    assert jobs.current() == name
    assert client.get("/api/state").json()["training"] == name
    wait(lambda: client.get(f"/api/runs/{name}/live").json()["rows"], "the first epoch")
    client.post(f"/api/runs/{name}/stop")
    ended(client, name)
    assert jobs.current() is None
    stopped = Run(workspace / "runs" / name)
    assert stopped.status == "interrupted"
    assert 0 < stopped.epochs_done < 900


def test_a_process_that_was_killed_before_it_began_is_a_failure_and_no_missing_run(client):
    jobs = client.app.state.context.jobs
    name = start(client, recipe="softmax", epochs=1)
    jobs._process[1].kill()
    update = ended(client, name)
    assert update["phase"] == "failed"
    assert "before the training began" in update["detail"]


def test_a_note_left_by_a_dead_training_is_no_training(workspace):
    jobs = Jobs(Workspace(workspace))
    files = jobs.files("tiny")
    files.job.parent.mkdir()
    # The number of a process that lives, but is no training.
    files.job.write_text(json.dumps({"pid": os.getpid()}))
    files.lock.touch()
    assert not jobs.is_live("tiny")
    assert jobs.current() is None


def test_a_color_data_set_of_ones_own_is_trained_on(client, workspace):
    """From upload to a finished run."""
    from tests.studio.test_uploads import archive, picture

    ticket = client.post("/api/uploads", json={"name": "mine"}).json()["ticket"]
    members = [(f"{c}/{n}.png", picture(n + 20 * (c == "b"))) for c in "ab" for n in range(10)]
    client.put(f"/api/uploads/{ticket}/archive", content=archive(members))
    assert client.post(f"/api/uploads/{ticket}/finish").status_code == 200
    name = start(client, recipe="softmax", data="upload:mine", epochs=1)
    assert ended(client, name)["phase"] == "ended"
    view = client.get("/api/data/view", params={"data": f"run:{name}"}).json()
    assert view["class_names"] == ["a", "b"]
    digits = load_data("digits")
    assert digits.num_classes == 10
