"""How much is in flight: never more than the limits say, and every queue gets its turn."""

from __future__ import annotations

import asyncio
import collections
import time
import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Completed
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker.hub import Hub
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.engine.worker.slots import Slots

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

StartHub = t.Callable[[Slots], t.Awaitable[Hub]]


@pytest.fixture
async def start_hub(engine: Engine) -> t.AsyncIterator[StartHub]:
    """Give a function that starts hubs with their own slots, and stop them after the test."""
    hubs: list[Hub] = []

    async def start(slots: Slots) -> Hub:
        instance_id = f"slots-{engine.prefix}-{len(hubs)}"
        hub = Hub(
            engine.address, engine.keys, prefix=engine.prefix, instance_id=instance_id, alone=False, slots=slots
        )
        await hub.start()
        hubs.append(hub)
        return hub

    yield start
    for hub in hubs:
        await hub.stop(grace=0)


class Starts:
    """A dispatcher that notes the queue of each job it starts."""

    def __init__(self, processor: Processor) -> None:
        self.queues: list[str] = []
        self._processor = processor

    def of(self, queue: str) -> t.Callable[[EngineJob], t.Awaitable[Verdict]]:
        async def process(job: EngineJob) -> Verdict:
            self.queues.append(queue)
            return await self._processor(job)

        return process


async def fill(engine: Engine, queues: t.Iterable[str], *, jobs: int) -> None:
    """Add so many jobs to each queue."""
    now = round(time.time() * 1000)
    for queue in queues:
        await engine.jobs.add([engine.jobs.new(queue, "welcome", None, {}, now=now) for _ in range(jobs)])


def is_empty(slots: Slots, count: int) -> bool:
    """Return whether that many slots are free."""
    return slots.total._free == count


def in_line(slots: Slots) -> int:
    """Return how many queues wait for a slot."""
    return sum(len(share.line) for share in slots.total._waiting)


async def test_200_hot_queues_share_50_slots_and_each_has_its_turn(
    engine: Engine, start_hub: StartHub, processor: type[Processor], wait_until: WaitUntil
) -> None:
    slots, process = Slots(50), processor()
    starts = Starts(process)
    hub = await start_hub(slots)
    queues = [f"queue-{number}" for number in range(200)]
    await fill(engine, queues, jobs=6)
    process.gate.clear()
    for queue in queues:
        await hub.add(queue, RunnerOptions(concurrency=100), starts.of(queue))
    await wait_until(lambda: process.running == 50)
    await wait_until(lambda: in_line(slots) == sum(not queue.is_cold for queue in hub.queues.values()))
    before = len(starts.queues)
    process.gate.set()
    await wait_until(lambda: len(starts.queues) == 1200)
    assert process.most_running == 50
    # The first round is over when each of those in line had one: nobody has two before.
    first_round = collections.Counter(starts.queues[before : before + 150])
    assert max(first_round.values()) <= 2
    assert set(starts.queues[: before + 300]) == set(queues)
    await wait_until(lambda: is_empty(slots, 50))


async def test_a_hot_queue_lets_one_that_waits_in_between(
    engine: Engine, start_hub: StartHub, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    starts, slots = Starts(process), Slots(1)
    hub = await start_hub(slots)
    await fill(engine, ["a", "b"], jobs=5)
    process.gate.clear()
    for queue in ("a", "b"):
        await hub.add(queue, RunnerOptions(), starts.of(queue))
    await wait_until(lambda: in_line(slots) == 1)
    process.gate.set()
    await wait_until(lambda: len(starts.queues) == 10)
    assert starts.queues == ["a", "b"] * 5


async def test_a_hot_queue_alone_goes_on_without_waiting_in_line(
    engine: Engine, start_hub: StartHub, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    hub = await start_hub(Slots(2))
    await fill(engine, ["a"], jobs=20)
    process.gate.clear()
    await hub.add("a", RunnerOptions(concurrency=10), process)
    await wait_until(lambda: process.running == 2)
    first = {job.token for job in process.started}
    process.gate.set()
    await wait_until(lambda: len(process.started) == 20)
    # A token tells of which fetch the job is, or which one's end fetched it.
    assert {job.token.partition(".")[0] for job in process.started} == first


async def test_a_slow_origin_does_not_take_all_slots(
    engine: Engine, start_hub: StartHub, processor: type[Processor], wait_until: WaitUntil
) -> None:
    slow, quick = processor(), processor()
    slow.gate.clear()
    quick.gate.clear()
    hub = await start_hub(Slots(4, per_origin=2))
    await fill(engine, ["slow-1", "slow-2", "quick"], jobs=5)
    for queue in ("slow-1", "slow-2"):
        await hub.add(queue, RunnerOptions(concurrency=10, origin="https://slow.example"), slow)
    await wait_until(lambda: slow.running == 2)
    await hub.add("quick", RunnerOptions(concurrency=10, origin="https://quick.example"), quick)
    await wait_until(lambda: quick.running == 2)
    quick.gate.set()
    await wait_until(lambda: len(quick.started) == 5)
    assert (slow.running, quick.most_running) == (2, 2)


async def test_a_queue_that_moves_to_another_origin_waits_there(
    engine: Engine, start_hub: StartHub, processor: type[Processor], wait_until: WaitUntil
) -> None:
    slow, quick = processor(), processor()
    slow.gate.clear()
    hub = await start_hub(Slots(4, per_origin=1))
    await fill(engine, ["slow", "moving"], jobs=1)
    await hub.add("slow", RunnerOptions(origin="https://slow.example"), slow)
    await wait_until(lambda: slow.running)
    await hub.add("moving", RunnerOptions(origin="https://slow.example"), quick)
    await hub.add("moving", RunnerOptions(origin="https://quick.example"), quick)
    await wait_until(lambda: len(quick.started) == 1)
    assert slow.running == 1


async def test_hubs_share_the_slots_of_a_process(
    engine: Engine, start_hub: StartHub, processor: type[Processor], wait_until: WaitUntil
) -> None:
    slots, process = Slots(3), processor()
    process.gate.clear()
    await fill(engine, ["a", "b"], jobs=5)
    for queue in ("a", "b"):
        await (await start_hub(slots)).add(queue, RunnerOptions(concurrency=5), process)
    await wait_until(lambda: process.running == 3)
    process.gate.set()
    await wait_until(lambda: len(process.started) == 10)
    assert process.most_running == 3


@pytest.mark.parametrize("in_flight", [2, 3, 20, 64])
async def test_a_project_whose_deliveries_do_not_end_does_not_keep_another_from_starting(
    engine: Engine, start_hub: StartHub, processor: type[Processor], wait_until: WaitUntil, in_flight: int
) -> None:
    slots, endless, process = Slots(in_flight), processor(), processor()
    endless.gate.clear()
    greedy, other = await start_hub(slots), await start_hub(slots)
    await fill(engine, ["greedy-1", "greedy-2"], jobs=in_flight)
    for queue in ("greedy-1", "greedy-2"):
        await greedy.add(queue, RunnerOptions(concurrency=10_000), endless)
    await wait_until(lambda: in_line(slots) == 2)
    await fill(engine, ["other"], jobs=3)
    await other.add("other", RunnerOptions(), process)
    await wait_until(lambda: len(process.started) == 3)
    assert endless.running == in_flight - max(1, in_flight // 8)


async def test_a_queue_that_waits_in_line_does_not_hold_up_a_stop(
    engine: Engine, start_hub: StartHub, processor: type[Processor], wait_until: WaitUntil
) -> None:
    slots, process = Slots(1), processor()
    process.gate.clear()
    await fill(engine, ["a", "b"], jobs=1)
    await (await start_hub(slots)).add("a", RunnerOptions(), process)
    await wait_until(lambda: process.running)
    waiting = await start_hub(slots)
    await waiting.add("b", RunnerOptions(), process)
    await asyncio.wait_for(waiting.stop(grace=3600), 30)
    assert len(process.started) == 1


async def test_a_fetch_that_finds_nothing_gives_its_slots_back(
    engine: Engine, start_hub: StartHub, processor: type[Processor], wait_until: WaitUntil
) -> None:
    slots = Slots(5)
    hub = await start_hub(slots)
    await hub.add("a", RunnerOptions(concurrency=10), processor(Completed(None)))
    await engine.until_state(await engine.add(queue="a"), "completed", queue="a")
    await wait_until(lambda: hub.queues["a"].is_cold)
    assert is_empty(slots, 5)


async def test_a_job_that_is_put_back_gives_its_slot_back(
    engine: Engine, start_hub: StartHub, processor: type[Processor], wait_until: WaitUntil
) -> None:
    slots, process = Slots(5), processor()
    process.gate.clear()
    hub = await start_hub(slots)
    await fill(engine, ["a"], jobs=3)
    await hub.add("a", RunnerOptions(concurrency=3), process)
    await wait_until(lambda: process.running == 3)
    await hub.stop(grace=0)
    assert is_empty(slots, 5)
