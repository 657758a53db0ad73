"""Triggers and the server processes that run them: started, stopped, killed, several at once."""

from __future__ import annotations

import asyncio
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.reports import Report
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.service import Service
from nextmq_server.testing.processes import start_dev_server
from nextmq_server.triggers import triggers as trigger_queue
from nextmq_server.triggers.schedules import QUEUE
from tests.support.triggering import Triggering, add_due_job, redis

if t.TYPE_CHECKING:
    from ..conftest import Serve, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture
async def triggers(api: httpx.AsyncClient, serve: Serve, wait_until: WaitUntil) -> Triggering:
    return await Triggering.open(api, serve, wait_until)


async def test_a_server_that_starts_again_goes_on_with_its_triggers(
    valkey: EmbeddedValkey, service: Service, triggers: Triggering, wait_until: WaitUntil, project: Project
) -> None:
    await triggers.create(repeat={"every": 1000})
    await service.stop(grace=0)
    other = Service(project, valkey.url, egress=EgressRules.for_development())
    await other.start()
    await wait_until(lambda: triggers.receiver.received)
    await other.stop(grace=0)


async def test_a_run_that_a_stop_interrupts_is_done_by_the_next_server(
    valkey: EmbeddedValkey, service: Service, triggers: Triggering, wait_until: WaitUntil, project: Project
) -> None:
    triggers.receiver.gate.clear()
    await triggers.fired()
    await service.stop(grace=0)
    other = Service(project, valkey.url, egress=EgressRules.for_development())
    await other.start()
    await wait_until(lambda: len(triggers.receiver.received) == 2)
    triggers.receiver.gate.set()
    await other.stop(grace=1)


async def test_a_starting_server_makes_the_scheduler_that_a_killed_one_could_not(
    valkey: EmbeddedValkey, service: Service, triggers: Triggering, project: Project
) -> None:
    created = await triggers.create()
    assert await service.schedulers.remove(QUEUE, created["id"])
    other = Service(project, valkey.url, egress=EgressRules.for_development())
    await other.start()
    shown = await other.triggers.get(created["id"])
    await other.stop(grace=0)
    assert shown.next == created["next"]


async def test_a_starting_server_removes_the_scheduler_of_a_trigger_that_is_gone(
    valkey: EmbeddedValkey, service: Service, triggers: Triggering, project: Project
) -> None:
    await triggers.create()
    gone = await triggers.create()
    await redis(service, "HDEL", ProjectKeys(project.name)("triggers"), gone["id"])
    other = Service(project, valkey.url, egress=EgressRules.for_development())
    await other.start()
    count = await other.schedulers.count(QUEUE)
    await other.stop(grace=0)
    assert count == 1


async def test_a_server_without_triggers_runs_those_that_another_one_makes(
    valkey: EmbeddedValkey,
    service: Service,
    triggers: Triggering,
    wait_until: WaitUntil,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trigger_queue, "LOOK_INTERVAL", 0.01)
    reports: list[Report] = []
    other = Service(project, valkey.url, egress=EgressRules.for_development(), report=reports.append)
    await other.start()
    created = await triggers.create()
    await service.stop(grace=0)
    await add_due_job(other, created["id"])
    await wait_until(lambda: reports)
    await other.stop(grace=0)


async def test_a_server_without_triggers_keeps_no_queue_for_them(service: Service) -> None:
    scripts = service.jobs.scripts(QUEUE)
    assert await scripts.connection.execute("KEYS", scripts.key("*")) == []


async def test_pauses_and_resumes_at_the_same_moment_end_in_what_the_record_says(
    valkey: EmbeddedValkey, service: Service, triggers: Triggering, project: Project
) -> None:
    created = await triggers.create()
    other = Service(project, valkey.url, egress=EgressRules.for_development())
    await other.start()
    calls = [
        one.triggers.set_paused(created["id"], paused) for one in (service, other) for paused in (True, False)
    ]
    await asyncio.gather(*calls)
    shown = await service.triggers.get(created["id"])
    await other.stop(grace=0)
    assert (shown.next is None) == shown.trigger.is_paused


async def test_a_trigger_that_is_deleted_while_it_is_resumed_has_no_scheduler(
    service: Service, triggers: Triggering
) -> None:
    created = await triggers.create()
    await triggers.post(created["id"], "pause")
    resumed = service.triggers.set_paused(created["id"], False)
    await asyncio.gather(resumed, service.triggers.remove(created["id"]), return_exceptions=True)
    assert await service.schedulers.count(QUEUE) == 0


async def test_triggers_run_on_after_the_server_process_was_killed(
    tmp_path: Path, serve: Serve, wait_until: WaitUntil
) -> None:
    server, url = await asyncio.to_thread(start_dev_server, tmp_path)
    parts = urlsplit(url)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{parts.port}", headers={"authorization": f"Bearer {parts.username}"}
    ) as client:
        triggers = await Triggering.open(client, serve, wait_until)
        await triggers.create(repeat={"every": 1000})
        await wait_until(lambda: triggers.receiver.received)
    await asyncio.to_thread(server.kill)
    triggers.receiver.received.clear()
    server, _ = await asyncio.to_thread(start_dev_server, tmp_path)
    try:
        await wait_until(lambda: triggers.receiver.received)
    finally:
        await asyncio.to_thread(server.stop)
