"""A workspace with a small trained run, and a studio on it, in the test's process or listening."""

from __future__ import annotations

import contextlib
import shutil

import pytest

from penmark.data import load_data
from penmark.runs import TrainingSettings, train
from penmark.studio.settings import Limits, StudioSettings
from tests.studio.serving import served

pytest.importorskip("uvicorn", reason="penmark[studio] is not installed")
testclient = pytest.importorskip("starlette.testclient")

ADDRESS = "http://127.0.0.1:8128"
# An upload one can exceed without sending megabytes.
SMALL = Limits(
    body_bytes=400_000,
    picture_bytes=300_000,
    archive_bytes=300_000,
    unpacked_bytes=600_000,
    upload_files=40,
    uploads_kept=3,
    uploads_open=2,
    receive_seconds=0.5,
    send_seconds=1.0,
)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Trainings that share a small machine with other tests; their processes inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENMARK_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def digits():
    return load_data("digits")


@pytest.fixture(scope="session")
def trained(tmp_path_factory, digits):
    """A run that tests must not change."""
    folder = tmp_path_factory.mktemp("trained") / "tiny"
    settings = TrainingSettings(
        recipe="mlp-dropout", data="digits", epochs=6, validation_split=0.1, seed=1
    )
    return train(settings, out=folder, dataset=digits, report=False, verbose=0)


@pytest.fixture
def workspace(tmp_path, trained):
    """A workspace with the run "tiny"."""
    folder = tmp_path / "workspace"
    shutil.copytree(trained.path, folder / "runs" / "tiny")
    return folder


@pytest.fixture
def settings(workspace):
    return StudioSettings(workspace=workspace, limits=SMALL)


@pytest.fixture
def client(settings):
    """Talks to a studio without a network in between."""
    from penmark.studio.app import bare_app, guarded

    app = bare_app(settings)
    with testclient.TestClient(guarded(app, settings), base_url=ADDRESS) as client:
        client.app = app
        yield client
    app.state.context.jobs.stop_own()


@pytest.fixture
def listening():
    """A function from settings to the address of a studio that listens there."""
    from penmark.studio.app import create_app

    with contextlib.ExitStack() as stack:

        def start(settings, **options):
            return stack.enter_context(served(create_app(settings), **options))

        yield start
