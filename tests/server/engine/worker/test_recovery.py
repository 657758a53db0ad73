"""Locks and their loss, jobs of dead servers, stalled jobs, jobs that somebody removed."""

from __future__ import annotations

import logging
import time
import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Completed
from nextmq_server.engine.scripts.scripts import pack
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker import upkeep
from nextmq_server.engine.worker.options import RunnerOptions

if t.TYPE_CHECKING:
    from nextmq_server.engine.queues.job import EngineJob

    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

FOREIGN_TOKEN = "3f1c2a44-6c1e-4a9b-8f0e-0f3b9d0f7a11:0"
"""A lock token as Node's worker makes them."""


@pytest.fixture(autouse=True)
def _quick_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "TICK", 0.02)
    monkeypatch.setattr(upkeep, "HEARTBEAT_LIFE", 3600.0)  # no regular look at dead servers but where asked for


async def move_to_active(engine: Engine, token: str) -> None:
    """Fetch the next job as a worker with this token does, and never come back to it."""
    scripts = engine.jobs.scripts("emails")
    names = ["wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "paused", "meta", "pc"]
    options = pack({"token": token, "lockDuration": 3_600_000})
    args = [scripts.keys[""], round(time.time() * 1000), options]
    await scripts.run("moveToActive", scripts.all_keys(*names, "marker"), args)


async def abandon(engine: Engine, *, heartbeat: bool) -> str:
    """Add a job that is locked by a dead server, whose heartbeat may still exist."""
    instance_id = f"dead-{engine.prefix}"
    job_id = await engine.add()
    await move_to_active(engine, f"nmq-{instance_id}:1")
    if heartbeat:
        await engine.redis.execute("SET", engine.keys("instance", instance_id), 1, "EX", 3600)
    return job_id


async def test_the_lock_of_a_running_job_is_renewed(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, lock_duration=300)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    run = hub.queues["emails"].active[job_id]
    since = run.renewed_at
    await wait_until(lambda: run.renewed_at > since)
    process.gate.set()
    assert await engine.until_state(job_id, "completed")


async def test_a_delivery_whose_lock_is_lost_is_aborted(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    await engine.run(process, lock_duration=200)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    await engine.redis.execute("SET", engine.key(job_id, "lock"), FOREIGN_TOKEN)
    await wait_until(lambda: process.aborted)
    assert process.aborted == [job_id]


async def test_a_delivery_that_follows_another_is_aborted_when_its_own_lock_is_lost(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    first, second = await engine.add(), await engine.add()
    holding = processor()
    holding.gate.clear()

    async def process(job: EngineJob) -> Verdict:
        return Completed(None) if job.id == first else await holding(job)

    hub = await engine.start_hub()
    await hub.add("emails", RunnerOptions(lock_duration=200), process)
    await wait_until(lambda: holding.running)
    await engine.redis.execute("SET", engine.key(second, "lock"), FOREIGN_TOKEN)
    await wait_until(lambda: holding.aborted)
    assert holding.aborted == [second]


async def test_a_job_whose_lock_is_lost_is_left_to_the_other_worker(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, lock_duration=200)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    await engine.redis.execute("SET", engine.key(job_id, "lock"), FOREIGN_TOKEN)
    await wait_until(lambda: not hub.queues["emails"].active)
    job = await engine.job(job_id)
    assert (job["state"], job["attemptsMade"]) == ("active", 0)


async def test_a_verdict_after_the_lock_was_lost_changes_nothing(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, lock_duration=3_600_000)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    await engine.redis.execute("SET", engine.key(job_id, "lock"), FOREIGN_TOKEN)
    process.gate.set()
    await wait_until(lambda: not hub.queues["emails"].active)
    job = await engine.job(job_id)
    assert (job["state"], job["attemptsMade"]) == ("active", 0)


async def test_a_lost_lock_is_an_error_line(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    process = processor()
    process.gate.clear()
    await engine.run(process, lock_duration=200)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    await engine.redis.execute("SET", engine.key(job_id, "lock"), FOREIGN_TOKEN)
    await wait_until(lambda: process.aborted)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert f"queue emails job {job_id}: lost its lock, aborting its delivery" in lines


async def test_a_queue_goes_on_after_a_lost_lock(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    await engine.run(process, lock_duration=200, concurrency=2)
    lost = await engine.add()
    await wait_until(lambda: process.running)
    await engine.redis.execute("SET", engine.key(lost, "lock"), FOREIGN_TOKEN)
    await wait_until(lambda: process.aborted)
    process.gate.set()
    assert await engine.until_state(await engine.add(), "completed")


async def test_a_server_that_is_alone_frees_the_jobs_of_a_dead_one_at_once(
    engine: Engine, processor: type[Processor]
) -> None:
    job_id = await abandon(engine, heartbeat=True)
    hub = await engine.start_hub(alone=True)
    await hub.add("emails", RunnerOptions(), processor())
    assert await engine.until_state(job_id, "completed")


async def test_a_dead_server_without_a_heartbeat_is_told_by_any_other(
    engine: Engine, processor: type[Processor]
) -> None:
    job_id = await abandon(engine, heartbeat=False)
    await engine.run(processor())
    assert await engine.until_state(job_id, "completed")


async def test_the_jobs_of_a_server_that_lives_are_left_alone(engine: Engine, processor: type[Processor]) -> None:
    job_id = await abandon(engine, heartbeat=True)
    process = processor()
    await engine.settle(await engine.run(process, concurrency=5))
    assert (process.started, (await engine.job(job_id))["state"]) == ([], "active")


async def test_the_job_of_another_kind_of_worker_is_left_alone(engine: Engine, processor: type[Processor]) -> None:
    job_id = await engine.add()
    await move_to_active(engine, FOREIGN_TOKEN)
    process = processor()
    hub = await engine.start_hub(alone=True)
    await hub.add("emails", RunnerOptions(concurrency=5), process)
    await engine.settle(hub)
    assert (process.started, (await engine.job(job_id))["state"]) == ([], "active")


async def test_a_server_that_dies_later_is_noticed(
    engine: Engine, processor: type[Processor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "HEARTBEAT_LIFE", 0.2)
    job_id = await abandon(engine, heartbeat=True)
    await engine.settle(await engine.run(processor(), concurrency=5))
    await engine.redis.execute("DEL", engine.keys("instance", f"dead-{engine.prefix}"))
    assert await engine.until_state(job_id, "completed")


async def test_a_server_does_not_free_what_it_runs_itself(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "HEARTBEAT_LIFE", 0.2)
    process = processor()
    process.gate.clear()
    other = await abandon(engine, heartbeat=True)
    await engine.run(process, concurrency=5)
    own = await engine.add()
    await wait_until(lambda: process.running)
    # The check that frees the other sees our own job too.
    await engine.redis.execute("DEL", engine.keys("instance", f"dead-{engine.prefix}"))
    await wait_until(lambda: len(process.started) > 1)
    assert [job.id for job in process.started] == [own, other]


async def test_a_look_for_dead_servers_leaves_alone_what_is_being_fetched(
    engine: Engine, processor: type[Processor]
) -> None:
    process = processor()
    process.gate.clear()
    ids = [await engine.add() for _ in range(200)]
    hub = await engine.start_hub(instance_id="looking")
    looking = upkeep.Upkeep(
        hub.queues, hub.connection, upkeep.Instance("looking", hub.connection, engine.keys, alone=False)
    )
    await hub.add("emails", RunnerOptions(concurrency=200), process)
    moved = 0
    while process.running < 200:
        moved += await looking.put_back_orphans(hub.queues["emails"])
    assert (moved, [job.id for job in process.started]) == (0, ids)


async def test_a_job_that_another_server_freed_and_took_first_is_left_to_it(
    engine: Engine, processor: type[Processor], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await abandon(engine, heartbeat=False)

    async def is_alive(instance: upkeep.Instance, id: str) -> bool:
        await engine.redis.execute("SET", engine.key(job_id, "lock"), "nmq-faster:1")
        return False

    monkeypatch.setattr(upkeep.Instance, "is_alive", is_alive)
    process = processor()
    await engine.settle(await engine.run(process))
    assert (process.started, await engine.redis.execute("GET", engine.key(job_id, "lock"))) == ([], "nmq-faster:1")


async def test_freeing_a_job_counts_as_a_stall_and_not_as_an_attempt(
    engine: Engine, processor: type[Processor]
) -> None:
    job_id = await abandon(engine, heartbeat=False)
    process = processor()
    await engine.run(process)
    await engine.until_state(job_id, "completed")
    assert [(job.stalled_counter, job.attempts_made) for job in process.started] == [(1, 0)]


async def test_freeing_a_job_leaves_alone_what_another_server_may_take_up_again(
    engine: Engine, processor: type[Processor]
) -> None:
    others = await engine.add()
    await move_to_active(engine, "nmq-other:1")
    await engine.redis.execute("DEL", engine.key(others, "lock"))
    await engine.redis.execute("SADD", engine.key("stalled"), others)
    await engine.redis.execute("SET", engine.key("stalled-check"), 1, "PX", 3_600_000)
    job_id = await abandon(engine, heartbeat=False)
    process = processor()
    await engine.run(process, concurrency=5, stalled_interval=3_600_000)
    await engine.until_state(job_id, "completed")
    assert ([job.id for job in process.started], (await engine.job(others))["state"]) == ([job_id], "active")


async def test_a_job_that_stalled_too_often_fails_without_a_delivery(
    engine: Engine, processor: type[Processor]
) -> None:
    job_id = await abandon(engine, heartbeat=False)
    process = processor()
    await engine.run(process, max_stalled_count=0)
    job = await engine.until_state(job_id, "failed")
    assert (process.started, job["failedReason"]) == (
        [],
        "UnrecoverableError: job stalled more than allowable limit",
    )


async def test_a_job_whose_lock_expired_runs_again(engine: Engine, processor: type[Processor]) -> None:
    job_id = await engine.add()
    await move_to_active(engine, FOREIGN_TOKEN)
    await engine.redis.execute("DEL", engine.key(job_id, "lock"))
    await engine.run(processor(), stalled_interval=30)
    assert await engine.until_state(job_id, "completed")


async def test_a_job_with_a_deferred_failure_fails_without_a_delivery(
    engine: Engine, processor: type[Processor]
) -> None:
    job_id = await engine.add(attempts=5)
    await engine.redis.execute("HSET", engine.key(job_id), "defa", "child 7 failed")
    process = processor()
    await engine.run(process)
    job = await engine.until_state(job_id, "failed")
    assert (process.started, job["failedReason"]) == ([], "UnrecoverableError: child 7 failed")


async def remove_running(engine: Engine, job_id: str) -> None:
    """Remove a running job, as `obliterate` does."""
    await engine.redis.execute("LREM", engine.key("active"), 0, job_id)
    await engine.redis.execute("DEL", engine.key(job_id), engine.key(job_id, "lock"))


async def test_a_queue_goes_on_when_its_running_job_was_removed(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    await engine.run(process)
    removed, following = await engine.add(), await engine.add()
    await wait_until(lambda: process.running)
    await remove_running(engine, removed)
    process.gate.set()
    assert await engine.until_state(following, "completed")


async def test_a_removed_job_does_not_come_back(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process)
    removed = await engine.add()
    await wait_until(lambda: process.running)
    await remove_running(engine, removed)
    process.gate.set()
    await wait_until(lambda: not hub.queues["emails"].active)
    assert await engine.redis.execute("EXISTS", engine.key(removed)) == 0
