"""The gate of a held queue: no process fetches, then one job is a probe, then all go on."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Completed, Delayed, Failed
from nextmq_handler.rules.limits import UNLIMITED
from nextmq_server.engine.scripts.holds import LOOK_INTERVAL, Holds, Kind, Trouble
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker.hub import Hub
from tests.support.holding import let_pass

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


def trouble(kind: Kind = "unreachable", *, rest: int = HOUR) -> Trouble:
    """Return a failure that holds the queue for `rest` ms."""
    return Trouble(kind, "connection refused", first=1, longest=1, jitter=1.0, disable_after=HOUR, rest=rest)


@pytest.fixture
def holds(engine: Engine) -> Holds:
    """Return the queue's hold as another process sees it."""
    return Holds(engine.jobs.scripts("emails"))


async def waiting(engine: Engine) -> int:
    return (await engine.queues.counts("emails"))["waiting"]


async def limiter(engine: Engine) -> int:
    return int(await engine.redis.execute("GET", engine.key("limiter")) or 0)


async def settle(engine: Engine, hub: Hub) -> None:
    """Have the hub look for jobs, and wait until it has."""
    hub.queues["emails"].look_again()
    await engine.settle(hub)


async def test_what_one_process_holds_no_process_fetches(
    engine: Engine, processor: type[Processor], holds: Holds
) -> None:
    process = processor()
    hubs = [await engine.run(process) for _ in range(2)]
    await holds.fail(trouble())
    await engine.add()
    for hub in hubs:
        await settle(engine, hub)
    assert (process.started, await waiting(engine)) == ([], 1)


async def test_a_process_that_starts_finds_the_hold(
    engine: Engine, processor: type[Processor], holds: Holds
) -> None:
    await holds.fail(trouble())
    await engine.add()
    process = processor()
    await settle(engine, await engine.run(process))
    assert process.started == []


async def test_a_job_that_ends_in_a_held_queue_fetches_no_next_one(
    engine: Engine, processor: type[Processor], holds: Holds, wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process)
    first, _ = await engine.add(), await engine.add()
    await wait_until(lambda: process.started)
    await holds.fail(trouble())
    process.gate.set()
    await engine.until_state(first, "completed")
    await settle(engine, hub)
    assert [job.id for job in process.started] == [first]


async def test_after_the_rest_one_job_of_all_processes_is_a_probe(
    engine: Engine, processor: type[Processor], holds: Holds, wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hubs = [await engine.run(process, concurrency=5) for _ in range(2)]
    await holds.fail(trouble(rest=0))
    for _ in range(5):
        await engine.add()
    await wait_until(lambda: process.started)
    for hub in hubs:
        await settle(engine, hub)
    assert (len(process.started), await waiting(engine)) == (1, 4)


async def test_a_job_that_is_added_to_an_empty_queue_after_the_rest_is_the_probe(
    engine: Engine, processor: type[Processor], holds: Holds, wait_until: WaitUntil
) -> None:
    process = processor()
    await holds.fail(trouble(rest=0))
    hub = await engine.run(process)
    await settle(engine, hub)
    await wait_until(lambda: hub.queues["emails"].is_cold)
    await engine.until_state(await engine.add(), "completed")
    assert await holds.read() is not None


async def test_the_end_of_a_hold_lets_other_processes_go_on(
    engine: Engine, processor: type[Processor], holds: Holds, wait_until: WaitUntil
) -> None:
    probing, other = processor(), processor()
    probing.gate.clear()
    await holds.fail(trouble(rest=0))
    prober = await engine.run(probing)
    jobs = [await engine.add() for _ in range(3)]
    await wait_until(lambda: probing.started)
    await settle(engine, await engine.run(other, concurrency=3))
    await prober.queues["emails"].gate.succeed("")
    for job_id in jobs[1:]:
        await engine.until_state(job_id, "completed")
    assert (len(probing.started), len(other.started)) == (1, 2)


async def test_a_probe_whose_process_died_is_followed_by_another(
    engine: Engine, processor: type[Processor], holds: Holds, wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    await holds.fail(trouble(rest=0))
    await engine.run(process, concurrency=2)
    await engine.add()
    await wait_until(lambda: process.started)
    await engine.redis.execute("DEL", engine.key(process.started[0].id, "lock"))  # as if it had expired
    second = await engine.add()
    await engine.run(process, concurrency=2)
    await wait_until(lambda: [job.id for job in process.started[1:]] == [second])


async def test_a_probe_that_fails_is_followed_by_a_rest(
    engine: Engine, processor: type[Processor], holds: Holds, wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    await holds.fail(trouble(rest=0))
    hub = await engine.run(process)
    first, _ = await engine.add(), await engine.add()
    await wait_until(lambda: process.started)
    await hub.queues["emails"].gate.fail(trouble(), "")
    process.gate.set()
    await engine.until_state(first, "completed")
    await settle(engine, hub)
    assert len(process.started) == 1


async def test_a_disabled_endpoint_is_not_probed(engine: Engine, processor: type[Processor], holds: Holds) -> None:
    await holds.fail(trouble("disabled"))
    await let_pass(engine.jobs.scripts("emails"), 30 * 86_400)
    process = processor()
    hub = await engine.run(process)
    await engine.add()
    await settle(engine, hub)
    assert process.started == []


async def test_a_rate_limit_goes_on_counting_after_a_hold(
    engine: Engine, processor: type[Processor], holds: Holds
) -> None:
    process = processor()
    hub = await engine.run(process, limiter={"max": 3, "duration": HOUR})
    for _ in range(2):
        await engine.until_state(await engine.add(), "completed")
    await holds.fail(trouble())
    await holds.succeed()
    for _ in range(2):
        await engine.add()
    await settle(engine, hub)
    assert (len(process.started), await waiting(engine)) == (3, 1)


async def test_a_rate_limit_holds_for_a_probe_too(
    engine: Engine, processor: type[Processor], holds: Holds
) -> None:
    process = processor()
    hub = await engine.run(process, limiter={"max": 1, "duration": HOUR})
    await engine.until_state(await engine.add(), "completed")
    await holds.fail(trouble(rest=0))
    await engine.add()
    await settle(engine, hub)
    assert len(process.started) == 1


async def test_a_rate_limit_that_is_asked_for_during_a_hold_begins_after_it(engine: Engine, holds: Holds) -> None:
    await holds.fail(trouble())
    await holds.limit(HOUR)
    await holds.succeed()
    assert await limiter(engine) == UNLIMITED


async def test_after_a_hold_nothing_is_left_of_it(engine: Engine, holds: Holds) -> None:
    await holds.fail(trouble())
    await holds.succeed()
    assert await engine.redis.execute("KEYS", engine.keys("*")) == []


async def test_a_hold_that_nobody_probes_lapses(engine: Engine, holds: Holds) -> None:
    await holds.fail(trouble())
    assert 24 * HOUR < await engine.redis.execute("PTTL", engine.keys("hold", "emails")) <= 25 * HOUR


RESTS = [5_000, 86_401, 60_000, HOUR, 24 * HOUR]
KINDS: list[Kind] = ["unreachable", "throttled", "breaker"]


@pytest.mark.parametrize("rest", RESTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_the_limiter_of_a_hold_lives_as_long_as_the_rest(
    engine: Engine, holds: Holds, kind: Kind, rest: int
) -> None:
    await holds.fail(trouble(kind, rest=rest))
    assert rest // 2 < await engine.redis.execute("PTTL", engine.key("limiter")) <= rest


@pytest.mark.parametrize("kind", KINDS)
async def test_the_limiter_of_a_hold_that_is_probed_lives_until_the_next_look(
    engine: Engine, processor: type[Processor], holds: Holds, wait_until: WaitUntil, kind: Kind
) -> None:
    process = processor()
    process.gate.clear()
    await engine.add()
    await holds.fail(trouble(kind, rest=0))
    await engine.run(process)
    await wait_until(lambda: process.started)
    assert 0 < await engine.redis.execute("PTTL", engine.key("limiter")) <= LOOK_INTERVAL * 1000


FAILED = Failed("ValueError", "no such address")
ENDS = [
    pytest.param(Completed(None), {}, id="completed"),
    pytest.param(Completed(None), {"removeOnComplete": True}, id="completed and removed"),
    pytest.param(FAILED, {}, id="failed for good"),
    pytest.param(FAILED, {"removeOnFail": True}, id="failed and removed"),
    pytest.param(FAILED, {"attempts": 2, "backoff": {"type": "fixed", "delay": HOUR}}, id="failed with a backoff"),
    pytest.param(FAILED, {"attempts": 2, "backoff": {"type": "slow"}}, id="failed with a strategy"),
    pytest.param(FAILED, {"attempts": 2}, id="failed, and waits again"),
    pytest.param(Failed("E", "x", unrecoverable=True), {"attempts": 2}, id="failed for good at once"),
    pytest.param(Delayed(4_000_000_000_000), {}, id="delayed"),
    pytest.param(Delayed(4_000_000_000_000), {"priority": 1}, id="delayed with a priority"),
]


@pytest.mark.parametrize("limiter", [None, {"max": 100, "duration": HOUR}], ids=repr)
@pytest.mark.parametrize(("verdict", "opts"), ENDS)
async def test_a_job_that_ends_after_the_rest_fetches_no_next_one_beside_the_probe(
    engine: Engine,
    processor: type[Processor],
    holds: Holds,
    wait_until: WaitUntil,
    verdict: Verdict,
    opts: dict[str, t.Any],
    limiter: dict[str, int] | None,
) -> None:
    running, probing = processor(verdict), processor()
    running.gate.clear()
    probing.gate.clear()
    hub = await engine.run(running, limiter=limiter, backoff_strategies={"slow": [HOUR]})
    first = await engine.add(**opts)
    await wait_until(lambda: running.started)
    await holds.fail(trouble(rest=0))
    await engine.redis.execute("DEL", engine.key("limiter"))  # as if it had lapsed
    await engine.run(probing, limiter=limiter, concurrency=5)
    for _ in range(3):
        await engine.add()
    await wait_until(lambda: probing.started)
    await engine.redis.execute("DEL", engine.key("limiter"))
    running.gate.set()
    await wait_until(lambda: first not in hub.queues["emails"].active)
    await settle(engine, hub)
    assert (len(running.started), len(probing.started)) == (1, 1)


async def test_a_queue_that_was_obliterated_is_shut_again_by_the_next_failure(
    engine: Engine, holds: Holds
) -> None:
    await holds.fail(trouble("disabled"))
    await engine.queues.obliterate("emails", force=True)
    await holds.fail(trouble())
    assert await limiter(engine) == UNLIMITED
