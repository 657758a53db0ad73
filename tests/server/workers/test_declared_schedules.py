"""The schedules that registrations declare: created once, changed and removed with the app's code."""

from __future__ import annotations

import asyncio
import time
import typing as t

import httpx
import pytest

from nextmq_handler.rules.views import JobView
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.workers.registration import Registration
from tests.support.api import WORKER, problem_paths, registration, send

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

HOUR = 3_600_000
HOURLY = {"id": "hourly", "every": HOUR}
MONDAYS = {"id": "mondays", "pattern": "0 8 * * 1", "tz": "Europe/Berlin"}


@pytest.fixture
async def second(valkey: EmbeddedValkey, project: Project) -> t.AsyncIterator[Service]:
    """Another server process of the project."""
    service = Service(project, valkey.url, egress=EgressRules.for_development())
    await service.start()
    yield service
    await service.stop(grace=0)


async def register(service: Service, *schedules: dict[str, t.Any]) -> None:
    body = registration(service.project, schedules=list(schedules))
    await service.workers.register("emails", Registration.model_validate(body), replace=None)


async def ids(service: Service) -> list[str]:
    found = await service.schedulers.page("emails", 0, 999, ascending=True)
    return sorted(scheduler.view["id"] for scheduler in found)


async def delayed_jobs(service: Service) -> list[JobView]:
    states = ("waiting", "delayed")
    return await service.jobs.page("emails", states, 0, 99, ascending=True)


async def test_a_declared_schedule_has_a_scheduler(service: Service) -> None:
    await register(service, HOURLY, MONDAYS)
    assert await ids(service) == ["hourly", "mondays"]


async def test_a_declared_schedule_makes_jobs_as_it_says(service: Service) -> None:
    await register(service, {**HOURLY, "name": "report", "data": {"n": 1}, "opts": {"attempts": 3}})
    [job] = await delayed_jobs(service)
    assert (job["name"], job["data"], job["opts"]["attempts"]) == ("report", {"n": 1}, 3)


async def test_the_jobs_of_one_without_a_name_are_called_by_its_id(service: Service) -> None:
    await register(service, HOURLY)
    [job] = await delayed_jobs(service)
    assert job["name"] == "hourly"


@pytest.mark.parametrize(
    ("schedule", "offset"), [(HOURLY, 0), ({**HOURLY, "offset": 5}, 5)], ids=["without an offset", "with one"]
)
async def test_every_has_its_times_since_the_epoch_so_that_registering_is_none(
    service: Service, schedule: dict[str, t.Any], offset: int
) -> None:
    before = time.time() * 1000
    await register(service, schedule)
    moment = (await service.schedulers.get("emails", "hourly")).view["next"]
    assert (moment % HOUR, moment > before) == (offset, True)


async def test_registering_the_same_again_leaves_the_next_job_as_it_is(service: Service) -> None:
    await register(service, HOURLY, MONDAYS)
    before = await delayed_jobs(service)
    await register(service, HOURLY, MONDAYS)
    assert await delayed_jobs(service) == before


async def test_what_the_code_changes_is_changed(service: Service) -> None:
    await register(service, HOURLY)
    await register(service, {**HOURLY, "every": 2 * HOUR, "data": "new"})
    [job] = await delayed_jobs(service)
    assert (job["data"], (await service.schedulers.get("emails", "hourly")).view["every"]) == ("new", 2 * HOUR)


async def test_what_the_code_has_no_more_is_removed(service: Service) -> None:
    await register(service, HOURLY, MONDAYS)
    await register(service, MONDAYS)
    assert await ids(service) == ["mondays"]


async def test_what_the_code_has_no_more_is_removed_by_a_server_that_never_knew_it(
    service: Service, second: Service
) -> None:
    await register(service, HOURLY, MONDAYS)
    await register(second, MONDAYS)
    assert await ids(service) == ["mondays"]


async def test_unregistering_the_worker_removes_its_schedules(service: Service) -> None:
    await register(service, HOURLY)
    await service.workers.unregister("emails")
    assert (await ids(service), await delayed_jobs(service)) == ([], [])


async def test_a_schedule_that_was_removed_by_hand_comes_back_with_the_next_registration(service: Service) -> None:
    await register(service, HOURLY)
    await service.schedulers.remove("emails", "hourly")
    await register(service, HOURLY)
    assert await ids(service) == ["hourly"]


async def test_schedules_are_no_conflict(service: Service) -> None:
    await register(service, HOURLY)
    await register(service, MONDAYS)
    held = service.registry.get("emails")
    assert held is not None
    assert [schedule.id for schedule in held.schedules] == ["mondays"]


async def test_twenty_registrations_at_once_with_two_servers_make_each_schedule_once(
    service: Service, second: Service
) -> None:
    await asyncio.gather(*(register(one, HOURLY, MONDAYS) for one in [service, second] * 10))
    assert (await ids(service), len(await delayed_jobs(service))) == (["hourly", "mondays"], 2)


async def test_of_two_versions_that_register_at_once_the_last_has_its_schedules(
    service: Service, second: Service
) -> None:
    old, new = (HOURLY, MONDAYS), ({**HOURLY, "every": 2 * HOUR}, {**MONDAYS, "id": "other"})
    await asyncio.gather(*(register(one, *version) for one, version in [(service, old), (second, new)] * 10))
    declared = await service.registry.declared("emails")
    assert await ids(service) == sorted(schedule.id for schedule in declared)
    assert len(await delayed_jobs(service)) == 2


async def test_two_versions_that_register_in_turn_run_nothing_by_that(service: Service) -> None:
    for _ in range(5):
        await register(service, HOURLY)
        await register(service, {**HOURLY, "every": 2 * HOUR})
        await register(service)
    await register(service, HOURLY)
    assert [job["state"] for job in await delayed_jobs(service)] == ["delayed"]


async def test_a_declared_schedule_is_delivered_to_its_app_again_and_again(
    service: Service, app: App, wait_until: WaitUntil
) -> None:
    schedules = [{"id": "often", "every": 20, "name": "report", "data": {"n": 1}}]
    await service.workers.register(
        "emails", Registration.model_validate(app.registration(schedules=schedules)), replace=None
    )
    await wait_until(lambda: len(app.deliveries) >= 3)
    jobs = [delivery["job"] for delivery in app.deliveries]
    assert {(job["name"], json_of(job)) for job in jobs} == {("report", (("n", 1),))}
    assert len({job["id"] for job in jobs}) == len(jobs)


def json_of(job: dict[str, t.Any]) -> tuple[tuple[str, t.Any], ...]:
    return tuple(job["data"].items())


async def test_the_registration_shows_its_schedules_as_the_app_said_them(
    api: httpx.AsyncClient, project: Project
) -> None:
    schedules = [HOURLY, {**MONDAYS, "opts": {"attempts": 3}}]
    await api.put(WORKER, json=registration(project, schedules=schedules))
    assert (await api.get(WORKER)).json()["schedules"] == schedules


@pytest.mark.parametrize(
    ("schedules", "path"),
    [
        ([{**MONDAYS, "pattern": "every day"}], "schedules.0"),
        ([HOURLY, {**MONDAYS, "tz": "Berlin"}], "schedules.1"),
        ([{"id": "x"}], "schedules.0"),
        ([{**HOURLY, "id": "a:b"}], "schedules.0.id"),
        ([{**HOURLY, "every": "1h"}], "schedules.0.every"),
        ([{**HOURLY, "opts": {"jobId": "x"}}], "schedules.0.opts"),
        ([{**HOURLY, "startDate": 1}], "schedules.0.startDate"),
        ([HOURLY, HOURLY], "schedules"),
        ([{**HOURLY, "id": str(number)} for number in range(201)], "schedules"),
        (HOURLY, "schedules"),
    ],
    ids=["pattern", "tz", "no time", "id", "every", "opts", "unknown", "twice", "too many", "no list"],
)
async def test_a_schedule_that_cannot_be_is_refused(
    api: httpx.AsyncClient, project: Project, schedules: object, path: str
) -> None:
    answer = await send(api, "PUT", WORKER, registration(project, schedules=schedules))
    assert problem_paths(answer) == {path}


async def test_a_pattern_that_cannot_be_is_named(api: httpx.AsyncClient, project: Project) -> None:
    body = registration(project, schedules=[{**MONDAYS, "pattern": "every day"}])
    assert '"every day" is not a cron pattern' in (await send(api, "PUT", WORKER, body)).json()["message"]
