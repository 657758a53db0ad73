"""When a queue is looked at again: markers, delays, pauses, many queues on few connections."""

from __future__ import annotations

import json
import logging
import time
import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Completed, RateLimited
from nextmq_handler.rules.limits import UNLIMITED
from nextmq_server.engine.verdicts import Hold
from nextmq_server.engine.worker import gate as gate_module
from nextmq_server.engine.worker import upkeep
from nextmq_server.engine.worker.markers import QUEUES_PER_WATCHER
from nextmq_server.engine.worker.options import RunnerOptions

if t.TYPE_CHECKING:
    from nextmq_server.engine.worker.hub import Hub

    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the sweep off: it must not find what a wake-up misses."""
    monkeypatch.setattr(upkeep, "SWEEP_INTERVAL", 3600.0)


async def until_cold(hub: Hub, wait_until: WaitUntil, *, queue: str = "emails") -> None:
    await wait_until(lambda: hub.queues[queue].is_cold)


async def test_a_job_added_to_a_cold_queue_is_picked_up(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    hub = await engine.run(processor())
    await until_cold(hub, wait_until)
    assert await engine.until_state(await engine.add(), "completed")


async def test_jobs_added_one_by_one_to_a_cold_queue_are_all_picked_up(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    hub = await engine.run(process)
    for _ in range(20):
        await until_cold(hub, wait_until)
        await engine.until_state(await engine.add(), "completed")
    assert len(process.started) == 20


async def test_a_queue_added_later_wakes_up_too(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    hub = await engine.run(processor())
    await until_cold(hub, wait_until)
    await hub.add("reports", RunnerOptions(), processor())
    await until_cold(hub, wait_until, queue="reports")
    assert await engine.until_state(await engine.add(queue="reports"), "completed", queue="reports")


async def test_three_hundred_queues_complete_all_their_jobs(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    hub = await engine.start_hub()
    queues = [f"queue-{number}" for number in range(300)]
    for queue in queues:
        await hub.add(queue, RunnerOptions(), process)
    await wait_until(lambda: all(hub.queues[queue].is_cold for queue in queues))
    for queue in queues * 2:
        await engine.add(queue, queue=queue)
    await wait_until(lambda: len(process.started) == 600 and not process.running)
    assert sorted(json.loads(job.data) for job in process.started) == sorted(queues * 2)


async def test_three_hundred_queues_take_few_connections(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    hub = await engine.start_hub(instance_id=f"few-{engine.prefix}")
    for number in range(300):
        await hub.add(f"queue-{number}", RunnerOptions(), processor())
    clients: str = await engine.redis.execute("CLIENT", "LIST")
    assert clients.count(f" name=nextmq-few-{engine.prefix}") == 1 + -(-300 // QUEUES_PER_WATCHER)


async def test_a_delayed_job_runs_when_its_time_has_come(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    hub = await engine.run(process)
    await until_cold(hub, wait_until)
    added_at = time.time() * 1000
    job = await engine.until_state(await engine.add(delay=30), "completed")
    assert job["processedOn"] is not None
    assert job["processedOn"] >= int(added_at) + 30


async def test_a_delayed_job_does_not_run_before_its_time(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    hub = await engine.run(process)
    await until_cold(hub, wait_until)
    job_id = await engine.add(delay=3_600_000)
    await engine.settle(hub)
    assert (process.started, (await engine.job(job_id))["state"]) == ([], "delayed")


async def test_a_job_that_is_due_sooner_overtakes_the_delayed_one(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    hub = await engine.run(process)
    await engine.add(delay=3_600_000)
    await until_cold(hub, wait_until)
    sooner = await engine.add(delay=20)
    await wait_until(lambda: process.started)
    assert [job.id for job in process.started] == [sooner]


async def test_a_delayed_job_whose_marker_another_server_took_runs_when_its_time_has_come(
    engine: Engine, processor: type[Processor]
) -> None:
    job_id = await engine.add(delay=30)
    await engine.redis.execute("DEL", engine.key("marker"))
    await engine.run(processor())
    assert await engine.until_state(job_id, "completed")


async def test_a_server_that_meets_the_rate_limit_of_another_goes_on_when_it_ends(
    engine: Engine, processor: type[Processor]
) -> None:
    job_id = await engine.add()
    await engine.redis.execute("SET", engine.key("limiter"), UNLIMITED, "PX", 50)
    await engine.run(processor())
    assert await engine.until_state(job_id, "completed")


async def test_a_rate_limited_queue_goes_on_when_the_limit_ends(
    engine: Engine, processor: type[Processor]
) -> None:
    await engine.run(processor(RateLimited(20), Completed(None)))
    ids = [await engine.add() for _ in range(3)]
    states = [(await engine.until_state(job_id, "completed"))["state"] for job_id in ids]
    assert states == ["completed"] * 3


async def test_a_rate_limit_that_another_client_lifts_is_over(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "LOOK_INTERVAL", 0.05)
    hub = await engine.run(processor(RateLimited(3_600_000), Completed(None)))
    job_id = await engine.add()
    await wait_until(lambda: hub.queues["emails"].gate.rest_left)
    await engine.redis.execute("DEL", engine.key("limiter"))
    assert await engine.until_state(job_id, "completed")


async def has_marker(engine: Engine) -> bool:
    return bool(await engine.redis.execute("EXISTS", engine.key("marker")))


async def test_a_queue_that_rests_leaves_the_marker_to_servers_that_can_use_it(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Hold(3600, "the app answered 404"))
    hub = await engine.run(process)
    await engine.add()
    await wait_until(lambda: process.started and not hub.queues["emails"].active)
    await engine.settle(hub)
    await engine.add()
    await engine.settle(hub)
    assert await has_marker(engine)


async def test_a_queue_without_a_slot_leaves_the_marker_to_servers_that_can_use_it(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process)
    await engine.add()
    await wait_until(lambda: process.running)
    await engine.redis.execute("HSET", engine.key("meta"), "concurrency", 2)  # another server may take more
    await engine.settle(hub)
    await engine.add()
    await engine.settle(hub)
    assert await has_marker(engine)


async def test_a_paused_queue_starts_no_job(engine: Engine, processor: type[Processor]) -> None:
    process = processor()
    hub = await engine.run(process)
    hub.pause("emails")
    job_id = await engine.add()
    await engine.settle(hub)
    assert (process.started, (await engine.job(job_id))["state"]) == ([], "waiting")


async def test_a_paused_queue_finishes_what_runs(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process)
    first, second = await engine.add(), await engine.add()
    await wait_until(lambda: process.running)
    hub.pause("emails")
    process.gate.set()
    await engine.until_state(first, "completed")
    await engine.settle(hub)
    assert (await engine.job(second))["state"] == "waiting"


async def test_a_paused_queue_goes_on_when_it_is_added_again(engine: Engine, processor: type[Processor]) -> None:
    hub = await engine.run(processor())
    hub.pause("emails")
    job_id = await engine.add()
    await engine.settle(hub)  # its marker is gone
    await hub.add("emails", RunnerOptions(), processor())
    assert await engine.until_state(job_id, "completed")


async def test_pausing_a_queue_that_does_not_run_is_harmless(engine: Engine, processor: type[Processor]) -> None:
    hub = await engine.run(processor())
    hub.pause("reports")
    assert await engine.until_state(await engine.add(), "completed")


async def test_the_sweep_finds_a_job_whose_marker_was_lost(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "SWEEP_INTERVAL", 0.0)
    monkeypatch.setattr(upkeep, "TICK", 0.02)
    hub = await engine.run(processor())
    await until_cold(hub, wait_until)
    fields = ("name", "welcome", "data", "{}", "opts", "{}", "timestamp", 1)
    await engine.redis.execute("HSET", engine.key("lost"), *fields)
    await engine.redis.execute("LPUSH", engine.key("wait"), "lost")
    assert await engine.until_state("lost", "completed")


async def test_a_key_of_the_wrong_type_is_logged_and_the_queue_goes_on_once_it_is_gone(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await engine.add()
    await engine.redis.execute("SET", engine.key("delayed"), "not a sorted set")
    await engine.run(processor())
    await wait_until(lambda: [record for record in caplog.records if record.levelno == logging.ERROR])
    await engine.redis.execute("DEL", engine.key("delayed"))
    assert await engine.until_state(job_id, "completed")


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"])
async def test_a_queue_told_twice_to_look_again_at_once_picks_its_jobs_up(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    hub = await engine.run(processor())
    await until_cold(hub, wait_until)
    for _ in range(2):
        hub.queues["emails"]._timer.set_in(0)
    assert await engine.until_state(await engine.add(), "completed")


async def test_a_job_that_cannot_be_read_does_not_keep_the_next_one_waiting(
    engine: Engine, processor: type[Processor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "SWEEP_INTERVAL", 3600)
    monkeypatch.setattr(upkeep, "HEARTBEAT_LIFE", 3600)
    await engine.redis.execute("HSET", engine.key("bad"), "name", "welcome", "data", "1", "opts", "{")
    await engine.redis.execute("LPUSH", engine.key("wait"), "bad")
    next_one = await engine.add()
    await engine.run(processor(), concurrency=2)
    assert await engine.until_state(next_one, "completed")
