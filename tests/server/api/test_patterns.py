"""Checking cron patterns takes bounded time, beside the event loop, and only for what is new."""

from __future__ import annotations

import asyncio
import datetime
import threading
import typing as t

import httpx
import pytest
from croniter import croniter

from nextmq_handler.rules import cron
from nextmq_handler.rules.cron import InvalidSchedule, first_problem, next_run
from nextmq_server import patterns
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.workers.registration import Registration
from nextmq_server.workers.registry import Registry
from tests.support.api import WORKER, problem_paths, registration, send

pytestmark = pytest.mark.anyio

NOW = 1_790_000_000_000
NEVER = "0 0-23 1-14 * 6#3,0#3,4#3"
"""A pattern that never comes, which takes long to find out."""

NO_PATTERNS = [
    *("", " ", "*", "* *", "* * *", "* * * *", "* * * * * * *", "* * * * * * * *", "every day"),
    *("24 23 13 30 11 * 2026", "0 0 0 1 1 * 2099", "0 0 1 1 * * *", "60 * * * *", "* 24 * * *", "* * 32 * *"),
    *("* * * 13 *", "* * * * 8", "0 0 30 2 *", "0 0 31 4,6,9,11 *", NEVER, "@nightly", "H * * * *", "*/0 * * * *"),
]


def schedules(*patterns: str) -> list[dict[str, t.Any]]:
    return [{"id": f"s{index}", "pattern": pattern} for index, pattern in enumerate(patterns)]


@pytest.mark.parametrize("pattern", NO_PATTERNS)
def test_what_has_another_number_of_fields_or_never_comes_is_no_pattern(pattern: str) -> None:
    with pytest.raises(InvalidSchedule, match=r"^pattern: "):
        next_run(pattern, None, NOW)


@pytest.mark.parametrize("pattern", [" ", "*", "* * * *", "* * * * * * *", "24 23 13 30 11 * 2026"])
def test_the_fields_are_counted_here_whatever_croniter_takes(pattern: str) -> None:
    with pytest.raises(InvalidSchedule, match=f"it has {len(pattern.split())} fields"):
        next_run(pattern, None, NOW)


def test_no_pattern_is_looked_for_more_than_eight_years_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    years: list[object] = []

    def made(*args: t.Any, **options: t.Any) -> croniter:
        years.append(options["max_years_between_matches"])
        return croniter(*args, **options)

    monkeypatch.setattr("croniter.croniter", made)
    next_run("0 0 29 2 *", None, NOW)
    assert set(years) == {8}


@pytest.mark.parametrize(
    "pattern", ["0 0 29 2 *", "0 0 1 1 *", "0 0 1 1 1#1", "@yearly", "@hourly", "0 0 0 1 * *"]
)
def test_what_comes_within_eight_years_is_found(pattern: str) -> None:
    before_1900 = round(datetime.datetime(2096, 3, 1, tzinfo=datetime.UTC).timestamp() * 1000)
    assert next_run(pattern, None, before_1900) > before_1900


def test_the_first_bad_pattern_ends_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def seen(pattern: str, tz: str | None, after: int) -> int:
        checked.append(pattern)
        return next_run(pattern, tz, after)

    monkeypatch.setattr(cron, "next_run", seen)
    wanted = {str(index): (pattern, None) for index, pattern in enumerate(["* * * * *", NEVER, "* * * * *"])}
    problem = first_problem(wanted, NOW)
    assert (problem and problem[0], checked) == ("1", ["* * * * *", NEVER])


def test_a_check_ends_when_its_time_is_used_up() -> None:
    wanted = {str(index): ("* * * * *", None) for index in range(3)}
    problem = first_problem(wanted, NOW, budget=-1)
    assert (problem or ("", ""))[1].startswith("checking the patterns takes too long")


DOORS = {
    "a registration": ("PUT", WORKER, "schedules.1"),
    "a scheduler": ("PUT", "/v1/queues/emails/schedulers/s", "repeat"),
    "a trigger": ("POST", "/v1/triggers", "repeat"),
}


def body_of(door: str, project: Project, pattern: str) -> object:
    if door == "a registration":
        return registration(project, schedules=schedules("* * * * *", pattern))
    url = {"url": "https://example.com/", "payload": 1} if door == "a trigger" else {}
    return {**url, "repeat": {"pattern": pattern}}


@pytest.mark.parametrize("door", DOORS)
async def test_each_door_refuses_and_names_the_place(api: httpx.AsyncClient, project: Project, door: str) -> None:
    method, path, place = DOORS[door]
    for pattern in NO_PATTERNS[1:]:
        answer = await send(api, method, path, body_of(door, project, pattern))
        assert problem_paths(answer) == {place}, pattern


@pytest.mark.parametrize("door", DOORS)
async def test_each_door_checks_in_another_thread(
    api: httpx.AsyncClient, project: Project, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def seen(*_: object) -> tuple[str, str]:
        threads.append(threading.current_thread())
        return "there", "is not"

    monkeypatch.setattr(patterns, "first_problem", seen)
    method, path, _ = DOORS[door]
    assert problem_paths(await send(api, method, path, body_of(door, project, "* * * * *"))) == {"there"}
    assert [thread is threading.main_thread() for thread in threads] == [False]


async def test_a_check_takes_turns_with_others_of_the_loop(
    api: httpx.AsyncClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def waits(*_: object) -> None:
        loop.call_soon_threadsafe(began.set)
        end.wait()

    monkeypatch.setattr(patterns, "first_problem", waits)
    registering = asyncio.create_task(
        send(api, "PUT", WORKER, registration(project, schedules=schedules("* * * * *")))
    )
    await began.wait()
    assert (await api.get("/v1/queues/emails")).status_code == 200
    end.set()
    assert (await registering).status_code == 200


async def test_stored_registrations_are_read_whatever_their_patterns_are(
    service: Service, project: Project
) -> None:
    connection, key = service.registry._connection, service.registry._key
    for number, pattern in enumerate(NO_PATTERNS[1:]):
        stored = Registration.model_validate(registration(project, schedules=schedules(pattern)))
        await connection.execute("HSET", key, f"emails-{number}", stored.text())
    again = Registry(connection, service.jobs.scripts("emails")._runner.keys)
    read = {queue: held.schedules[0].pattern for queue, held in (await again.load()).items()}
    assert read == {f"emails-{number}": pattern for number, pattern in enumerate(NO_PATTERNS[1:])}
