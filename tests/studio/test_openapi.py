"""The interface keeps its schema, whatever it is sent."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path

import pytest

from penmark.studio.app import bare_app, create_app
from penmark.studio.settings import StudioSettings
from tests.studio.conftest import ADDRESS

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")


@pytest.fixture(scope="module")
def schema():
    with tempfile.TemporaryDirectory() as folder:
        return bare_app(StudioSettings(workspace=Path(folder))).openapi()


openapi_checks = importlib.import_module("schemathesis.specs.openapi.checks")
CHECKS = [
    importlib.import_module("schemathesis.checks").not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]


def operations(schema):
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_answer_has_a_type_and_every_error_is_a_problem(schema):
    for name, operation in operations(schema):
        good = [answer for status, answer in operation["responses"].items() if status < "300"]
        content = {kind: body for answer in good for kind, body in answer["content"].items()}
        json_schema = content.get("application/json", {}).get("schema")
        binary = set(content) - {"application/json"}
        assert json_schema or binary, name
        for status in ("400", "404", "422"):
            problem = operation["responses"][status]["content"]["application/json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/Problem"}, (name, status)


def test_every_operation_says_what_it_does(schema):
    for name, operation in operations(schema):
        assert operation.get("description"), name


def test_every_object_of_the_schema_is_closed(schema):
    """Fields are named: no answer is a bag of anything."""
    for name, entry in schema["components"]["schemas"].items():
        if entry.get("type") == "object" and "HTTP" not in name and "Validation" not in name:
            assert entry.get("properties"), name
            assert entry.get("additionalProperties") is False, name


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """The operations of a studio on an empty workspace, by name."""
    app = bare_app(StudioSettings(workspace=tmp_path_factory.mktemp("fuzzed")))
    # Trainings are tested by themselves; here they would only take time.
    app.state.context.jobs.start = lambda settings: "never"
    loaded = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    return {found.ok().label: found.ok() for found in loaded.get_all_operations()}


def test_whatever_is_sent_the_answers_keep_the_schema(fuzzed, schema):
    assert set(fuzzed) == {name for name, _ in operations(schema)}
    for operation in fuzzed.values():

        @hypothesis.settings(
            max_examples=4,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def try_it(case):
            case.call_and_validate(checks=CHECKS)

        try_it()


def test_the_guard_changes_nothing_of_the_schema(schema, settings):
    from starlette.testclient import TestClient

    with TestClient(create_app(settings), base_url=ADDRESS) as client:
        assert client.get("/api/openapi.json").json() == schema
