"""`nextmq conformance`: the integrations, served for real, pass the table; each hole of another app is listed."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from nextmq_handler.cli.typed import app
from nextmq_handler.protocol.messages import Response
from nextmq_handler.protocol.signing import parse_secret
from nextmq_server.conformance.cases import Case
from nextmq_server.conformance.judge import Silence
from nextmq_server.conformance.limits import Integration, obstacle
from nextmq_server.conformance.report import summary
from nextmq_server.conformance.requests import Sender, Wire
from nextmq_server.conformance.scoring import GroupScore, Hole
from nextmq_server.conformance.table import GROUPS
from nextmq_server.testing.processes import free_port
from tests.conformance.bridge import FunctionURL
from tests.conformance.integrations.processes import ServerIntegration, start_function, start_server
from tests.conformance.runtime_api import RuntimeAPI
from tests.support.conformance_apps import BODY_TIMEOUT, MAX_BODY_SIZE, MOUNT

APPS = "tests.support.conformance_apps"
SECRET = "whsec_pZ4tVw9Qx2mKc7RjY1nLs8HdGb3Fq0Ue"
LIMITS = ["--max-body-size", str(MAX_BODY_SIZE), "--body-timeout", str(BODY_TIMEOUT)]
ENVIRONMENT = {"NEXTMQ_WEBHOOK_SECRETS": SECRET}
SENDER = Sender(parse_secret(SECRET), 1_790_000_000, max_body_size=MAX_BODY_SIZE)
NAMES = {
    group.title: {case.name for case in group.make(SENDER) if obstacle(Integration.STREAM, case.traits) is None}
    for group in GROUPS
}
ALL = set[str]().union(*NAMES.values())
PROBED = set[str]().union(*(NAMES[group.title] for group in GROUPS if group.needs_probe))

Serve = t.Callable[[str], t.ContextManager[str]]


def run(url: str, *options: str) -> Result:
    """Run the command with the options that the apps of these tests need."""
    return CliRunner().invoke(app, ["conformance", url, "--secret", SECRET, *LIMITS, *options])


def holes(result: Result) -> set[str]:
    return set(re.findall(r"^hole: (.*)$", result.output, re.MULTILINE))


def uvicorn(name: str) -> ServerIntegration:
    arguments = ["uvicorn", "--factory", f"{APPS}:{name}", "--port", "0", "--lifespan", "off", "--no-access-log"]
    return start_server(arguments, "running on http://", ENVIRONMENT)


def gunicorn(name: str) -> ServerIntegration:
    arguments = ["gunicorn", f"{APPS}:{name}()", "--bind", "127.0.0.1:0", "--log-level", "info"]
    return start_server(arguments, "Listening at: http://", ENVIRONMENT)


INTEGRATIONS: dict[str, tuple[t.Callable[[str], ServerIntegration], str, Integration]] = {
    "asgi_alone": (uvicorn, "", Integration.STREAM),
    "fastapi_mount": (uvicorn, MOUNT, Integration.STREAM),
    "fastapi_router": (uvicorn, MOUNT, Integration.STREAM),
    "wsgi_alone": (gunicorn, "", Integration.WSGI),
    "flask_blueprint": (gunicorn, MOUNT, Integration.WSGI),
    "django_view": (gunicorn, MOUNT, Integration.WSGI),
}


@pytest.mark.parametrize("name", INTEGRATIONS)
def test_an_integration_passes_the_whole_table(name: str) -> None:
    start, mount, integration = INTEGRATIONS[name]
    server = start(name)
    try:
        result = run(
            f"http://127.0.0.1:{server.port}{mount}", "--queue", "conformance", "--integration", integration
        )
    finally:
        server.stop()
    assert (result.exit_code, holes(result), _share(result)) == (0, set(), "100 %"), result.output


def test_a_function_in_the_lambda_runtime_passes_the_whole_table() -> None:
    api = RuntimeAPI()
    bridge = FunctionURL(api)
    app_url = f"{bridge.url}{MOUNT}"
    child = start_function(f"{APPS}.function", api, {**ENVIRONMENT, "NEXTMQ_APP_URL": app_url})
    try:
        result = run(app_url, "--queue", "conformance", "--integration", "lambda")
    finally:
        child.kill()
        bridge.stop()
        api.stop()
    assert (result.exit_code, holes(result), _share(result)) == (0, set(), "100 %"), result.output


def _share(result: Result) -> str:
    return result.output.splitlines()[-1].partition("passed: ")[2]


@pytest.fixture(scope="module")
def flawed() -> Iterator[ServerIntegration]:
    server = uvicorn("flawed")
    yield server
    server.stop()


def try_flawed(server: ServerIntegration, name: str, *options: str) -> Result:
    return run(f"http://127.0.0.1:{server.port}/{name}", "--queue", "conformance", *options)


def test_an_app_that_verifies_nothing_has_each_hole_listed(flawed: ServerIntegration) -> None:
    result = try_flawed(flawed, "open")
    assert (result.exit_code, holes(result)) == (1, ALL - {"health: HEAD"} - NAMES["broken bodies"])


ONE_HOLE: dict[str, set[str]] = {
    "timeless": NAMES["timestamps"],
    "unlimited": NAMES["sizes"] - {"size: declared alone"},
    "patient": NAMES["slow bodies"],
    "unverified": NAMES["signatures"] | {"order: a signature before JSON", "order: a signature before a queue"},
    "last-header": {
        "type: JSON twice",
        "type: br in a second header",
        "header: the id twice",
        "header: two ids",
        "header: the timestamp twice",
    },
    "unsigned": PROBED,
    "faulty": NAMES["JSON"] | NAMES["members"] | {"order: JSON before a queue"},
}


@pytest.mark.parametrize("name", ONE_HOLE)
def test_a_handler_with_one_hole_has_that_one_listed(flawed: ServerIntegration, name: str) -> None:
    assert holes(try_flawed(flawed, name, "--timeout", "3")) == ONE_HOLE[name]


_COMPLETED = r'{"outcome":"completed","returnValue":{"to":"\u00e4@example.com"}}'


def test_a_hole_tells_what_was_sent_what_was_expected_and_what_came(flawed: ServerIntegration) -> None:
    lines = try_flawed(flawed, "timeless").output.splitlines()
    start = lines.index("hole: time: 1970")
    sent, expected, came = lines[start + 1 : start + 4]
    assert "POST /queues/conformance with content-type: application/json" in sent
    assert "x-nextmq-timestamp: 0" in sent
    assert expected == '  expected  401 {"error": "unauthorized"} (section 2: timestamp within tolerance)'
    assert came == f"  came      200 {_COMPLETED} (another status)"


def test_a_score_below_all_is_never_100_percent() -> None:
    hole = Hole(Case("a case", Wire(), 404), "section 2", Silence("nothing"), "nothing")
    assert summary([GroupScore("paths", passed=9999, holes=[hole])])[-1] == "9999 of 10000 cases passed: 99 %"


def test_what_came_cannot_steer_the_terminal() -> None:
    hole = Hole(Case("a case", Wire(), 404), "section 2", Response(200, [], b"\x1b[2J"), "another status")
    assert r"  came      200 \x1b[2J (another status)" in summary([GroupScore("paths", holes=[hole])])


def test_without_a_queue_no_outcome_is_scored(flawed: ServerIntegration) -> None:
    result = run(f"http://127.0.0.1:{flawed.port}/unsigned")
    assert (result.exit_code, holes(result)) == (0, set())
    assert f"{len(PROBED)}  --queue with the probe was not given" in result.output


HINT = "is the handler mounted at this URL, with a worker for the queue?"


def test_a_wrong_mount_is_hinted_at(flawed: ServerIntegration) -> None:
    assert HINT in run(f"http://127.0.0.1:{flawed.port}/nothing/here").output


def test_a_handler_with_holes_is_not_hinted_to_be_elsewhere(flawed: ServerIntegration) -> None:
    assert HINT not in try_flawed(flawed, "open").output


def test_a_wordy_refusal_is_a_hole(flawed: ServerIntegration) -> None:
    found = holes(run(f"http://127.0.0.1:{flawed.port}/wordy"))
    assert NAMES["headers"] | NAMES["timestamps"] | NAMES["signatures"] <= found


def test_what_does_not_apply_to_an_integration_is_told_with_the_reason(flawed: ServerIntegration) -> None:
    result = run(f"http://127.0.0.1:{flawed.port}/patient", "--integration", "lambda")
    assert (result.exit_code, "  an event holds a whole body" in result.output) == (0, True)


def test_the_secret_is_never_printed(flawed: ServerIntegration) -> None:
    assert SECRET.removeprefix("whsec_") not in try_flawed(flawed, "open").output


def test_the_secret_comes_from_the_environment(flawed: ServerIntegration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_WEBHOOK_SECRETS", SECRET)
    url = f"http://127.0.0.1:{flawed.port}/patient"
    result = CliRunner().invoke(app, ["conformance", url, "--home", "lambda", *LIMITS])
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["http://127.0.0.1:1"], "no webhook secret"),
        (["http://127.0.0.1:1", "--secret", "short"], "--secret is too short"),
        (["ftp://127.0.0.1", "--secret", SECRET], "is not the URL of a handler"),
        (["http://127.0.0.1:x", "--secret", SECRET], "is not the URL of a handler"),
        (["http://127.0.0.1:1", "--secret", SECRET, "--queue", "a b"], "queue name"),
    ],
)
def test_what_cannot_be_scored_is_told(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["conformance", *arguments])
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_a_url_that_nothing_answers_at_is_told() -> None:
    result = run(f"http://127.0.0.1:{free_port()}")
    assert (result.exit_code, "nothing answers at" in result.output) == (2, True)
