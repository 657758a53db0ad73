"""Django: jobs beside the ORM, in its servers and its tests; bodies that middleware has read; registration.

Django has one configuration for each process, so each of these runs in a process of its own.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Runs = dict[str, dict[str, t.Any]]

OUTCOMES = {
    "return": "completed",
    "raise": "ValueError",
    "give up": "UnrecoverableJobError",
    "exit": "SystemExit",
    "rate limit": "rateLimited",
    "delay": "delayed",
    "wait for children": "waitingChildren",
    "return bytes": "ReturnValueError",
    "savepoint": "completed",
    "not atomic": "ValueError",
    "lose the connection": "ProgrammingError",
    "write twice": "IntegrityError",
    "violate at commit": "IntegrityError",
}
"""What the server is told of each job."""

ROLLED_BACK = {
    *("raise", "give up", "exit", "rate limit"),
    *("lose the connection", "write twice", "violate at commit"),
}
"""The `def` processors that raise: with ATOMIC_REQUESTS nothing of their work stays."""

ONLY_DEF = ("savepoint", "not atomic")
BREAKING = ("lose the connection", "violate at commit", "write twice")
"""Jobs after which a transaction around the whole request cannot go on: they are not run in one."""


def run(tmp_path: Path, *arguments: str, atomic: str = "no", apps: str = "") -> t.Any:
    """Run the program in a new process, and return what it prints."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.adapters.django_runs", *arguments],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}",
            "DJANGO_DATABASE": str(tmp_path / "database"),
            "DJANGO_ATOMIC": atomic,
            "DJANGO_APPS": apps,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


PLACES = [
    *((kind, atomic) for kind in ("wsgi", "asgi") for atomic in ("yes", "no")),
    *(("test-case", "no"), ("atomic-block", "yes")),
]
"""Each is a process of its own. A transaction around the request leaves ATOMIC_REQUESTS little to do."""


class Place(t.NamedTuple):
    kind: str
    atomic: bool
    runs: Runs


Ran = t.Callable[[str, str], Runs]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Return what came of the jobs in a kind of place with ATOMIC_REQUESTS or without: each is run once."""

    @functools.cache
    def runs(kind: str, atomic: str) -> Runs:
        return t.cast("Runs", run(tmp_path_factory.mktemp("django"), kind, atomic=atomic))

    return runs


@pytest.fixture(params=PLACES, ids=lambda place: f"{place[0]}, ATOMIC_REQUESTS {place[1]}")
def place(request: pytest.FixtureRequest, ran: Ran) -> Place:
    kind, atomic = request.param
    return Place(kind, atomic == "yes", ran(kind, atomic))


def _names(place: Place, queue: str) -> list[str]:
    without = BREAKING if place.kind in ("test-case", "atomic-block") else ()
    return [name for name in OUTCOMES if name not in without and (queue == "notes" or name not in ONLY_DEF)]


@pytest.mark.parametrize("queue", ["notes", "async-notes"])
def test_each_job_has_its_outcome(place: Place, queue: str) -> None:
    found = {name: place.runs[f"{queue}: {name}"] for name in _names(place, queue)}
    assert {name: run["error"] or run["outcome"] for name, run in found.items()} == {
        name: OUTCOMES[name] for name in found
    }


def test_a_def_that_raises_rolls_its_work_back_if_requests_are_atomic(place: Place) -> None:
    found = {name: place.runs[f"notes: {name}"]["kept"] for name in _names(place, "notes")}
    assert found == {name: not (place.atomic and name in ROLLED_BACK) for name in found}


def test_an_async_def_is_in_no_transaction(place: Place) -> None:
    assert all(place.runs[f"async-notes: {name}"]["kept"] for name in _names(place, "async-notes"))


@pytest.mark.parametrize("queue", ["notes", "async-notes"])
def test_after_each_job_the_next_one_works(place: Place, queue: str) -> None:
    found = {name: place.runs[f"{queue}: {name}, the next"] for name in _names(place, queue)}
    good = {"status": 200, "outcome": "completed", "error": None, "kept": True}
    assert found == dict.fromkeys(found, good)


@pytest.mark.parametrize("atomic", ["yes", "no"])
@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_an_async_def_works_after_another_has_lost_the_connection(ran: Ran, kind: str, atomic: str) -> None:
    runs = ran(kind, atomic)
    lost, after = (runs[f"async-notes: lose the connection{which}"] for which in ("", ", the next"))
    assert (lost["error"], after["outcome"], after["kept"]) == ("ProgrammingError", "completed", True)


KEEPING = ("body", "body, twice", "body, then read", "POST", "FILES")
EATING = ("read", "read a part", "readline", "readlines", "iterate")


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
@pytest.mark.parametrize("reader", KEEPING)
def test_a_job_runs_behind_middleware_that_reads_the_body(ran: Ran, kind: str, reader: str) -> None:
    assert ran(kind, "no")[f"middleware: {reader}"]["outcome"] == "completed"


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
@pytest.mark.parametrize("reader", EATING)
def test_a_body_that_middleware_keeps_for_itself_is_named(ran: Ran, kind: str, reader: str) -> None:
    found = ran(kind, "no")[f"middleware: {reader}"]
    assert (found["status"], found["outcome"]) == (408, "body_missing")


PATHS = ["/page", "/nowhere", "/api/nextmq/health", "/api/nextmq/queues/notes", "/healthz"]
FirstRequests = dict[str, list[str]]


@pytest.fixture(scope="module")
def first_requests(tmp_path_factory: pytest.TempPathFactory) -> FirstRequests:
    """Return which queues a process registers with its first request: by the server's kind and the path."""
    return t.cast("FirstRequests", run(tmp_path_factory.mktemp("django"), "first-requests", *PATHS))


@pytest.mark.parametrize("path", PATHS[:-1])
@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_the_first_request_of_any_kind_registers_the_workers(
    first_requests: FirstRequests, kind: str, path: str
) -> None:
    assert first_requests[f"{kind} {path}"] == ["async-notes", "notes"]


def test_a_request_that_middleware_answers_does_not_load_the_urlconf(first_requests: FirstRequests) -> None:
    assert first_requests["wsgi /healthz"] == []


def test_with_the_app_installed_a_request_that_middleware_answers_registers_them_too(tmp_path: Path) -> None:
    found = run(tmp_path, "first-requests", "/healthz", apps="nextmq_adapters.django.NextMQConfig")
    assert list(found.values()) == 2 * [["async-notes", "notes"]]
