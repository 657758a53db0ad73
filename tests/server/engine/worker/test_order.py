"""How many jobs at once, how many in a time, and in which order: one hub and two."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Completed, Failed
from nextmq_server.engine.worker.options import RunnerOptions

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio


async def counts(engine: Engine, *states: str) -> list[int]:
    numbers = await engine.queues.counts("emails")
    return [numbers[state] for state in states]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_as_many_jobs_run_at_once_as_allowed(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, concurrency: int
) -> None:
    process = processor()
    process.gate.clear()
    for _ in range(concurrency + 2):
        await engine.add()
    hub = await engine.run(process, concurrency=concurrency)
    await wait_until(lambda: process.running == concurrency)
    await engine.settle(hub)
    assert process.running == concurrency


async def test_the_concurrency_bounds_two_servers_together(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hubs = [await engine.run(process, concurrency=3) for _ in range(2)]
    for _ in range(50):
        await engine.add()
    await wait_until(lambda: process.running == 3)
    for hub in hubs:
        await engine.settle(hub)
    process.gate.set()
    await wait_until(lambda: len(process.started) == 50 and not process.running)
    assert process.most_running == 3


async def test_two_servers_run_each_job_once(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    await engine.run(process, concurrency=20)
    await engine.run(process, concurrency=20)
    ids = [await engine.add() for _ in range(200)]
    await wait_until(lambda: len(process.started) >= 200 and not process.running)
    assert sorted(job.id for job in process.started) == sorted(ids)


async def test_a_higher_concurrency_takes_effect_at_once(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, concurrency=1)
    for _ in range(5):
        await engine.add()
    await wait_until(lambda: process.running == 1)
    await hub.add("emails", RunnerOptions(concurrency=4), process)
    await wait_until(lambda: process.running == 4)
    assert await counts(engine, "active", "waiting") == [4, 1]


async def test_a_lower_concurrency_takes_effect_when_jobs_end(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, concurrency=4)
    for _ in range(20):
        await engine.add()
    await wait_until(lambda: process.running == 4)
    await hub.add("emails", RunnerOptions(concurrency=1), process)
    process.gate.set()  # for those that wait at it now, not for those that come
    process.gate.clear()
    await wait_until(lambda: len(process.started) > 4)
    await engine.settle(hub)
    assert process.running == 1


async def test_the_limiter_bounds_the_starts_of_a_period(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    for _ in range(10):
        await engine.add()
    hub = await engine.run(process, limiter={"max": 3, "duration": 3_600_000})
    await wait_until(lambda: len(process.started) >= 3 and not process.running)
    hub.queues["emails"].poke()
    await engine.settle(hub)
    assert await counts(engine, "completed", "waiting") == [3, 7]


async def test_the_limiter_bounds_two_servers_together(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    for _ in range(10):
        await engine.add()
    limiter = {"max": 4, "duration": 3_600_000}
    hubs = [await engine.run(process, limiter=limiter, concurrency=2) for _ in range(2)]
    await wait_until(lambda: len(process.started) >= 4 and not process.running)
    for hub in hubs:
        await engine.settle(hub)
    assert await counts(engine, "completed", "waiting") == [4, 6]


async def test_the_next_period_starts_more(engine: Engine, processor: type[Processor]) -> None:
    ids = [await engine.add() for _ in range(9)]
    await engine.run(processor(), limiter={"max": 3, "duration": 20})
    states = [(await engine.until_state(job_id, "completed"))["state"] for job_id in ids]
    assert states == ["completed"] * 9


async def test_jobs_run_in_the_order_they_were_added(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    ids = [await engine.add() for _ in range(20)]
    await engine.run(process)
    await wait_until(lambda: len(process.started) == 20)
    assert [job.id for job in process.started] == ids


async def test_a_lower_priority_number_runs_first(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    for priority in (7, 3, 2**21 - 1, 1, 3):
        await engine.add(priority=priority)
    await engine.run(process)
    await wait_until(lambda: len(process.started) == 5)
    assert [job.priority for job in process.started] == [1, 3, 3, 7, 2**21 - 1]


async def test_jobs_of_one_priority_run_in_the_order_they_were_added(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    ids = [await engine.add(priority=5) for _ in range(10)]
    await engine.run(process)
    await wait_until(lambda: len(process.started) == 10)
    assert [job.id for job in process.started] == ids


async def test_jobs_without_a_priority_run_before_those_with_one(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    with_one, without = await engine.add(priority=1), await engine.add()
    await engine.run(process)
    await wait_until(lambda: len(process.started) == 2)
    assert [job.id for job in process.started] == [without, with_one]


async def test_a_lifo_job_runs_before_those_that_wait(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    first, second = await engine.add(), await engine.add(lifo=True)
    await engine.run(process)
    await wait_until(lambda: len(process.started) == 2)
    assert [job.id for job in process.started] == [second, first]


@pytest.mark.parametrize(("lifo", "order"), [(True, [0, 0, 1]), (False, [0, 1, 0])])
async def test_a_failed_job_is_tried_again_where_its_option_says(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, lifo: bool, order: list[int]
) -> None:
    process = processor(Failed("Error", "no"), Completed(None))
    ids = [await engine.add({"number": 0}, attempts=2), await engine.add({"number": 1})]
    if lifo:
        await engine.redis.execute("HSET", engine.key(ids[0]), "opts", '{"attempts": 2, "lifo": true}')
    await engine.run(process)
    await wait_until(lambda: len(process.started) == 3)
    assert [ids.index(job.id) for job in process.started] == order
