"""Stopping a server: what runs may finish, what does not is handed back as if it had never started."""

from __future__ import annotations

import asyncio
import typing as t

import pytest

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.worker import upkeep

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "SWEEP_INTERVAL", 3600.0)


async def test_a_job_that_runs_at_the_stop_is_aborted_when_the_grace_is_over(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    await engine.stop_hub(hub, grace=0)
    assert process.aborted == [job_id]


async def test_a_job_handed_back_waits_uncounted(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    await engine.stop_hub(hub, grace=0)
    job = await engine.job(job_id)
    assert (job["state"], job["attemptsMade"], await engine.field(job_id, "stc")) == ("waiting", 0, None)


async def test_a_job_handed_back_is_the_next_one_to_run(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process, after = processor(), processor()
    process.gate.clear()
    hub = await engine.run(process)
    ids = [await engine.add() for _ in range(3)]
    await wait_until(lambda: process.running)
    await engine.stop_hub(hub, grace=0)
    await engine.run(after)
    await wait_until(lambda: len(after.started) == 3)
    assert [job.id for job in after.started] == ids


async def test_a_new_server_finishes_all_that_was_handed_back(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, concurrency=10)
    ids = [await engine.add() for _ in range(10)]
    await wait_until(lambda: process.running == 10)
    await engine.stop_hub(hub, grace=0)
    await engine.run(processor())
    jobs = [await engine.until_state(job_id, "completed") for job_id in ids]
    assert [job["attemptsMade"] for job in jobs] == [1] * 10


async def test_a_running_server_takes_over_at_once(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    other = await engine.run(processor())
    await wait_until(lambda: other.queues["emails"].is_cold)
    await engine.stop_hub(hub, grace=0)
    assert await engine.until_state(job_id, "completed")


async def test_a_job_that_ends_within_the_grace_is_finished(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, concurrency=2)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    stopping = asyncio.create_task(engine.stop_hub(hub, grace=60))
    await wait_until(lambda: not hub.queues["emails"].has_slot)
    process.gate.set()
    await stopping
    assert (await engine.job(job_id))["state"] == "completed"


async def test_no_job_is_started_within_the_grace(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, concurrency=2)
    first = await engine.add()
    await wait_until(lambda: process.running)
    stopping = asyncio.create_task(engine.stop_hub(hub, grace=60))
    await wait_until(lambda: not hub.queues["emails"].has_slot)
    second = await engine.add()
    process.gate.set()
    await stopping
    assert [(await engine.job(job_id))["state"] for job_id in (first, second)] == ["completed", "waiting"]


async def test_hurry_ends_the_grace(engine: Engine, processor: type[Processor], wait_until: WaitUntil) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, concurrency=2)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    stopping = asyncio.create_task(engine.stop_hub(hub, grace=3600))
    await wait_until(lambda: not hub.queues["emails"].has_slot)
    hub.hurry()
    await asyncio.wait_for(stopping, 30)
    assert (await engine.job(job_id))["state"] == "waiting"


async def test_hurry_is_heeded_as_soon_as_the_stop_has_begun(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process)
    await engine.add()
    await wait_until(lambda: process.running)
    stopping = asyncio.create_task(engine.stop_hub(hub, grace=3600))
    await asyncio.sleep(0)  # its first step
    hub.hurry()
    await asyncio.wait_for(stopping, 30)
    assert len(process.started) == 1


async def test_a_queue_that_cannot_fetch_without_redis_keeps_nobody_waiting(
    own_engine: Engine, own_valkey: EmbeddedValkey, processor: type[Processor], wait_until: WaitUntil
) -> None:
    hub = await own_engine.run(processor())
    queue = hub.queues["emails"]
    await wait_until(lambda: queue.is_cold)
    own_valkey.stop()
    fetched_at = queue.fetched_at
    queue.poke()
    await wait_until(lambda: queue.fetched_at > fetched_at)
    await asyncio.wait_for(own_engine.stop_hub(hub, grace=600), 60)
    assert not queue.active


async def test_a_fetch_that_fails_after_the_stop_began_keeps_nobody_waiting(
    own_engine: Engine, own_valkey: EmbeddedValkey, processor: type[Processor], wait_until: WaitUntil
) -> None:
    hub = await own_engine.run(processor())
    await wait_until(lambda: hub.queues["emails"].is_cold)
    own_valkey.stop()
    hub.queues["emails"].poke()
    await asyncio.wait_for(hub.queues["emails"].stop(600), 60)
    assert not hub.queues["emails"].active


async def test_a_stopped_server_has_no_heartbeat(engine: Engine, processor: type[Processor]) -> None:
    hub = await engine.start_hub(instance_id=f"gone-{engine.prefix}")
    await engine.stop_hub(hub, grace=0)
    assert await engine.redis.execute("EXISTS", engine.keys("instance", f"gone-{engine.prefix}")) == 0


async def test_a_stopped_server_has_no_connection(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    hub = await engine.run(processor())
    await engine.stop_hub(hub, grace=0)

    async def only_ours() -> bool:
        clients: str = await engine.redis.execute("CLIENT", "LIST")
        return " name=nextmq-" not in clients

    await wait_until(only_ours)
    assert await only_ours()
