"""The runs of triggers: attempts, schedules, pauses, and what remains of them."""

from __future__ import annotations

import asyncio
import json
import logging
import typing as t

import httpx
import pytest

from nextmq_server.dispatch.reports import Report
from nextmq_server.projects.projects import Project
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.service import Service
from nextmq_server.triggers import schedules as trigger_schedules
from nextmq_server.triggers.schedules import QUEUE
from tests.support.triggering import Triggering, add_due_job, is_done, redis

if t.TYPE_CHECKING:
    from ..conftest import Serve, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture
async def triggers(api: httpx.AsyncClient, serve: Serve, wait_until: WaitUntil) -> Triggering:
    return await Triggering.open(api, serve, wait_until)


async def test_attempts_go_on_until_one_succeeds(triggers: Triggering) -> None:
    triggers.receiver.statuses = [500, 503, 200]
    created = await triggers.fired(attempts=5, backoff={"type": "fixed", "delay": 5})
    await triggers.last_run(created["id"], count=3)
    assert [(run["attempt"], run["status"]) for run in await triggers.runs(created["id"])] == [
        (3, 200),
        (2, 503),
        (1, 500),
    ]


async def test_all_attempts_of_a_run_have_one_id(triggers: Triggering, wait_until: WaitUntil) -> None:
    triggers.receiver.statuses = [500, 200]
    await triggers.fired(attempts=2)
    await wait_until(lambda: len(triggers.receiver.received) == 2)
    assert len({received.headers["webhook-id"] for received in triggers.receiver.received}) == 1


async def test_each_run_has_an_id_of_its_own(triggers: Triggering, wait_until: WaitUntil) -> None:
    created = await triggers.fired()
    await triggers.post(created["id"], "fire")
    await wait_until(lambda: len(triggers.receiver.received) == 2)
    assert len({received.headers["webhook-id"] for received in triggers.receiver.received}) == 2


async def test_without_attempts_a_failure_is_final(
    triggers: Triggering, wait_until: WaitUntil, service: Service
) -> None:
    triggers.receiver.statuses = [500]
    created = await triggers.fired()
    await triggers.last_run(created["id"])
    await wait_until(lambda: is_done(service))
    assert len(triggers.receiver.received) == 1


async def test_a_final_failure_is_one_line_in_the_log(
    triggers: Triggering, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    triggers.receiver.statuses = [500]
    await triggers.fired(name="nightly", attempts=2)

    def lines() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]

    await wait_until(lines)
    assert [line.partition(" job ")[2].partition(" ")[2] for line in lines()] == [
        "(nightly) failed for good on attempt 2: TriggerFailed: the receiver answered 500"
    ]


async def test_an_attempt_is_reported_as_a_delivery_is(
    triggers: Triggering, wait_until: WaitUntil, reports: list[Report]
) -> None:
    await triggers.fired(name="nightly")
    await wait_until(lambda: reports)
    (report,) = reports
    assert (report.queue, report.job_name, report.status, report.is_final) == (QUEUE, "nightly", 204, False)


async def test_the_schedule_runs_a_trigger_again_and_again(triggers: Triggering, wait_until: WaitUntil) -> None:
    await triggers.create(repeat={"every": 1000})
    await wait_until(lambda: len(triggers.receiver.received) == 2)


async def test_a_pattern_runs_a_trigger(triggers: Triggering, wait_until: WaitUntil) -> None:
    await triggers.create(repeat={"pattern": "* * * * * *", "tz": "Europe/Berlin"})
    await wait_until(lambda: triggers.receiver.received)


async def test_what_a_paused_trigger_still_has_to_do_is_dropped(
    triggers: Triggering, wait_until: WaitUntil, service: Service
) -> None:
    created = await triggers.create()
    await service.queues.pause(QUEUE)
    await add_due_job(service, created["id"])
    await triggers.post(created["id"], "pause")
    await service.queues.resume(QUEUE)
    await wait_until(lambda: is_done(service))
    assert triggers.receiver.received == []


async def test_a_paused_trigger_can_be_fired(triggers: Triggering, wait_until: WaitUntil) -> None:
    created = await triggers.create()
    await triggers.post(created["id"], "pause")
    await triggers.post(created["id"], "fire")
    await wait_until(lambda: triggers.receiver.received)


async def test_deleting_a_trigger_removes_all_its_jobs(triggers: Triggering, service: Service) -> None:
    created, other = await triggers.create(), await triggers.create()
    await service.queues.pause(QUEUE)
    for trigger in (created, other):
        await triggers.post(trigger["id"], "fire")
    await triggers.delete(created["id"])
    left = await service.jobs.page(QUEUE, ["waiting", "paused", "delayed"], 0, -1, ascending=True)
    assert {job["data"]["trigger"] for job in left} == {other["id"]}


async def test_deleting_a_trigger_with_more_jobs_than_a_page_removes_them_all(
    triggers: Triggering, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger_schedules, "_PAGE", 2)
    created = await triggers.create()
    await service.queues.pause(QUEUE)
    for _ in range(7):
        await triggers.post(created["id"], "fire")
    await triggers.delete(created["id"])
    assert await service.jobs.page(QUEUE, ["waiting", "paused", "delayed"], 0, -1, ascending=True) == []


async def test_deleting_a_trigger_leaves_nothing_of_it_in_redis(
    triggers: Triggering, wait_until: WaitUntil, service: Service, project: Project
) -> None:
    triggers.receiver.gate.clear()
    created = await triggers.fired()
    await triggers.delete(created["id"])
    triggers.receiver.gate.set()
    await wait_until(lambda: is_done(service))
    assert [key for key in await redis(service, "KEYS", "*") if created["id"] in key] == []
    assert await redis(service, "HGETALL", ProjectKeys(project.name)("triggers")) == []


async def test_a_job_of_a_trigger_that_is_gone_sends_nothing(
    triggers: Triggering, wait_until: WaitUntil, service: Service
) -> None:
    await triggers.create()
    await add_due_job(service, "trg_gone")
    await wait_until(lambda: is_done(service))
    assert triggers.receiver.received == []


@pytest.mark.parametrize("data", [None, 5, "x", [], {}, {"trigger": 5}, {"trigger": ["x"]}], ids=json.dumps)
async def test_a_job_that_somebody_else_put_there_sends_nothing(
    triggers: Triggering, wait_until: WaitUntil, service: Service, caplog: pytest.LogCaptureFixture, data: t.Any
) -> None:
    await triggers.create()
    await service.jobs.add([service.jobs.new(QUEUE, "odd", data, {"removeOnComplete": True}, now=1)])
    await wait_until(lambda: is_done(service))
    assert (triggers.receiver.received, caplog.records) == ([], [])


async def test_rotations_at_the_same_moment_lose_no_secret(triggers: Triggering, service: Service) -> None:
    created = await triggers.create()
    answers = await asyncio.gather(*(triggers.post(created["id"], "rotate-secret") for _ in range(2)))
    records = await redis(service, "HVALS", ProjectKeys(service.project.name)("triggers"))
    record = json.loads(records[0])
    assert {record["secret"], record["previousSecret"]} == {answer["secret"] for answer in answers}


async def test_neither_the_log_nor_a_repr_shows_the_secret(
    triggers: Triggering, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    triggers.receiver.statuses = [500]
    created = await triggers.fired()
    rotated = await triggers.post(created["id"], "rotate-secret")
    await triggers.last_run(created["id"])
    await redis(service, "HSET", ProjectKeys(service.project.name)("triggers"), "trg_broken", created["secret"])
    shown = [caplog.text, repr(await service.triggers.get(created["id"])), repr(await service.triggers.all())]
    for secret in (created["secret"], rotated["secret"]):
        assert secret.removeprefix("whsec_") not in "".join(shown)


async def test_a_record_that_cannot_be_read_is_said_and_hides_no_other(
    triggers: Triggering, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    created = await triggers.create()
    await redis(service, "HSET", ProjectKeys(service.project.name)("triggers"), "trg_broken", "{}")
    assert [shown.trigger.id for shown in await service.triggers.all()] == [created["id"]]
    assert "trg_broken" in caplog.text


async def test_only_the_last_fifty_runs_are_kept(triggers: Triggering, wait_until: WaitUntil) -> None:
    created = await triggers.create()
    for _ in range(52):
        await triggers.post(created["id"], "fire")

    async def are_all_done() -> bool:
        return len(triggers.receiver.received) == 52

    await wait_until(are_all_done)

    async def are_noted() -> bool:
        return len(await triggers.runs(created["id"])) == 50

    await wait_until(are_noted)
