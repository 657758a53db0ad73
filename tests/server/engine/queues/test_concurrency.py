"""The global concurrency: the lower of it and the worker's holds, whichever client of BullMQ sets it."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_server.engine.queues.queues import Limits, apply_worker_concurrency

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

Act = tuple[str, int | None]


class Case(t.NamedTuple):
    """What is done, the global concurrency that callers are told, and the one that BullMQ's scripts enforce."""

    acts: tuple[Act, ...]
    told: int | None
    enforced: int | None


def case(*acts: Act | str, told: int | None, enforced: int | None) -> Case:
    return Case(tuple(act if isinstance(act, tuple) else (act, None) for act in acts), told, enforced)


# "node" is what Node's setGlobalConcurrency and removeGlobalConcurrency do, "worker" a registration (each server
# does the same again and again), "api" a call of the REST API, "old" what version 0.1 wrote for a worker, "start"
# what a server does first.
CASES = [
    case(("node", 2), told=2, enforced=2),
    case(("node", 2), ("worker", 3), told=2, enforced=2),
    case(("node", 3), ("worker", 3), told=3, enforced=3),
    case(("node", 10), ("worker", 3), told=10, enforced=3),
    case(("worker", 3), told=None, enforced=3),
    case(("worker", 3), ("node", 2), told=2, enforced=2),
    case(("worker", 3), ("node", 3), told=3, enforced=3),
    case(("worker", 3), ("node", 10), told=10, enforced=10),
    case(("worker", 3), ("node", 2), ("worker", 3), told=2, enforced=2),
    case(("worker", 3), ("node", 3), ("worker", 3), told=3, enforced=3),
    case(("worker", 3), ("node", 3), ("worker", 8), told=3, enforced=3),
    case(("worker", 3), ("node", 10), ("worker", 3), told=10, enforced=3),
    case(("worker", 3), ("node", 10), ("worker", 20), told=10, enforced=10),
    case(("worker", 3), ("node", 10), ("worker", 3), ("worker", 20), told=10, enforced=10),
    case(("worker", 3), ("worker", 8), told=None, enforced=8),
    case(("worker", 8), ("worker", 3), told=None, enforced=3),
    case(("worker", 3), ("node", 2), "node", told=None, enforced=None),
    case(("worker", 3), ("node", 2), "node", ("worker", 3), told=None, enforced=3),
    case(("worker", 3), "node", ("worker", 3), told=None, enforced=3),
    case(("node", 10), ("worker", 3), "node", ("worker", 3), told=None, enforced=3),
    case(("api", 2), ("worker", 3), told=2, enforced=2),
    case(("api", 10), ("worker", 3), told=10, enforced=3),
    case(("worker", 3), ("api", 2), ("node", 1), ("worker", 3), told=1, enforced=1),
    case(("worker", 3), ("api", 10), ("node", 2), ("worker", 3), told=2, enforced=2),
    case(("worker", 3), ("node", 2), ("api", 10), told=10, enforced=3),
    case(("worker", 3), ("node", 2), "api", told=None, enforced=3),
    case(("worker", 10), ("node", 100), ("worker", 10), told=100, enforced=10),
    case(("old", 3), ("start", 3), ("worker", 3), told=None, enforced=3),
    case(("old", 3), ("start", 3), ("worker", 8), told=None, enforced=8),
    case(("old", 2), ("start", 3), ("worker", 3), told=2, enforced=2),
    case(("worker", 3), ("node", 3), ("worker", 3), ("start", 3), told=3, enforced=3),
]


@pytest.mark.parametrize("one", CASES, ids=lambda one: " ".join(f"{who}-{value}" for who, value in one.acts))
async def test_what_was_set_is_told_and_the_lower_is_enforced(engine: Engine, one: Case) -> None:
    limits, scripts, worker = Limits(engine.jobs), engine.jobs.scripts("emails"), None
    for who, value in one.acts:
        match who:
            case "node" if value is None:
                await scripts.execute("HDEL", "meta", "concurrency")
            case "node" | "old":
                await scripts.execute("HSET", "meta", "concurrency", value or 0)
            case "start":
                await limits.take_over_concurrency("emails", value or 0)
            case "api":
                await limits.set_global_concurrency("emails", value, worker=worker)
            case _:
                assert value is not None
                worker = value
                await apply_worker_concurrency(scripts, value)
    held = await scripts.execute("HGET", "meta", "concurrency")
    assert (await limits.global_concurrency("emails"), None if held is None else int(held)) == one[1:]


async def test_no_more_jobs_run_than_node_allowed_before_the_worker_came(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    await engine.jobs.scripts("emails").execute("HSET", "meta", "concurrency", 2)
    for _ in range(9):
        await engine.add()
    hub = await engine.run(process, concurrency=3)
    await wait_until(lambda: len(process.started) >= 2)
    await engine.settle(hub)
    process.gate.set()
    await wait_until(lambda: len(process.started) >= 9)
    assert process.most_running == 2
