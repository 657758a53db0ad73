"""Causes that lie in the server, its Redis, or its slots."""

from __future__ import annotations

import asyncio
import typing as t

import httpx
import pytest

from nextmq_server.api.app import create_app
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.worker.slots import Slots
from nextmq_server.projects.projects import Project
from nextmq_server.quota import QuotaLimits
from nextmq_server.service import Service
from tests.support.injections import QUEUE, Stage

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

BUSY = "reports"
NO_WORKER = "no_worker"


class Slotted(Stage):
    """A stage whose service has few slots."""

    @classmethod
    async def start(
        cls,
        slots: Slots,
        project: Project,
        app: App,
        valkey: EmbeddedValkey,
        wait_until: WaitUntil,
        **options: t.Any,
    ) -> t.Self:
        service = Service(project, valkey.url, egress=EgressRules.for_development(), slots=slots, **options)
        await service.start()
        api = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(service)),
            base_url="http://server.example",
            headers={"authorization": f"Bearer {project.api_key}"},
        )
        return cls(api, service, project, app, valkey.url, wait_until)

    async def stop(self) -> None:
        self.app.gate.set()
        await self.service.stop(grace=0)
        await self.api.aclose()


async def busy(stage: Stage) -> str:
    """Let a job of another queue run, and add one that waits for its slot. Return its id."""
    stage.app.gate.clear()
    await stage.register(BUSY)
    await stage.until(await stage.add(BUSY), "active", BUSY)
    await stage.register()
    return await stage.add()


@pytest.mark.parametrize(
    ("code", "slots", "others"),
    [
        ("process_full", Slots(1), False),
        ("project_full", Slots(2), True),
        ("origin_full", Slots(5, per_origin=1), False),
    ],
)
async def test_a_queue_that_waits_for_a_slot_names_what_is_full_and_runs_once_a_delivery_ends(
    code: str,
    slots: Slots,
    others: bool,
    project: Project,
    app: App,
    valkey: EmbeddedValkey,
    wait_until: WaitUntil,
) -> None:
    another = slots.for_project() if others else None
    stage = await Slotted.start(slots, project, app, valkey, wait_until)
    try:
        job = await busy(stage)
        await stage.wait(lambda: stage.service._hub.queues[QUEUE].shortage)
        [cause] = await stage.why(job)
        assert (cause["code"], cause["age"], cause["details"]["inFlight"]) == (code, 0, 1)
        app.gate.set()
        await stage.until(job, "completed")
    finally:
        await stage.stop()
        del another


async def test_while_all_processes_shut_down_a_job_waits_for_another_one(stage: Stage) -> None:
    stage.app.gate.clear()
    await stage.register()
    await stage.until(await stage.add(), "active")
    job = await stage.add()
    stopping = asyncio.create_task(stage.service.stop(grace=30))
    try:
        await stage.wait(lambda: stage.service._hub.described().is_draining)
        causes = await stage.why(job)
        assert [cause["code"] for cause in causes] == ["draining", "worker_concurrency"]
        assert "1 server process" in causes[0]["sentence"]
    finally:
        stage.app.gate.set()
        await stopping


async def test_a_full_redis_is_named_before_all_else(stage: Stage) -> None:
    job = await stage.add()
    await stage.redis("CONFIG", "SET", "maxmemory", 500_000)
    try:
        assert [cause["code"] for cause in await stage.why(job)] == ["redis_full", NO_WORKER]
    finally:
        await stage.redis("CONFIG", "SET", "maxmemory", 0)
    assert [cause["code"] for cause in await stage.why(job)] == [NO_WORKER]


async def test_a_redis_that_is_gone_is_the_answer_not_an_error(
    own_valkey: EmbeddedValkey, project: Project, app: App, wait_until: WaitUntil
) -> None:
    stage = await Slotted.start(Slots(), project, app, own_valkey, wait_until)
    try:
        own_valkey.stop()
        assert [cause["code"] for cause in await stage.why()] == ["redis_down"]
        own_valkey.start()
        await stage.wait(lambda: _answers(stage))
    finally:
        await stage.stop()


async def _answers(stage: Stage) -> bool:
    return [cause["code"] for cause in await stage.why()] == [NO_WORKER]


async def test_a_job_that_was_refused_for_the_quota_is_not_found_for_that(
    project: Project, app: App, valkey: EmbeddedValkey, wait_until: WaitUntil
) -> None:
    stage = await Slotted.start(Slots(), project, app, valkey, wait_until, quota=QuotaLimits(jobs=1))
    try:
        await stage.add()
        assert [cause["code"] for cause in await stage.why("2")] == ["project_quota", "not_found"]
    finally:
        await stage.stop()


async def test_an_id_that_was_never_added_names_the_job_that_holds_it_for_deduplication(stage: Stage) -> None:
    job = await stage.add(deduplication={"id": "order-7"})
    [cause] = await stage.why("order-7")
    assert (cause["code"], cause["details"], cause["remedy"]["command"]) == (
        "not_found",
        {"deduplicatedBy": job},
        f"nextmq why {QUEUE} {job}",
    )


async def test_a_job_that_never_was_is_not_found_and_no_key_of_the_queue_is_taken_for_one(stage: Stage) -> None:
    await stage.add()
    for name in ("404", "meta", "events", "wait"):
        [cause] = await stage.why(name)
        assert (cause["code"], cause["remedy"]["command"]) == ("not_found", f"nextmq jobs {QUEUE}")


async def test_a_command_quotes_what_a_shell_would_read(stage: Stage) -> None:
    job = await stage.add(jobId="-rf $(x)", delay=3_600_000)
    causes = {cause["code"]: cause for cause in await stage.why("-rf%20$(x)")}
    assert job
    assert causes["delayed"]["remedy"]["command"] == f"nextmq promote -- {QUEUE} '-rf $(x)'"
