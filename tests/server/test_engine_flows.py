"""Parents and children as BullMQ's own FlowProducer adds them."""

from __future__ import annotations

import typing as t

import pytest
import redis.asyncio
from bullmq import flow_producer

from nextmq_server.engine.verdicts import Complete, Fail, WaitForChildren

if t.TYPE_CHECKING:
    from .conftest import Engine, Processor, Until

pytestmark = pytest.mark.anyio

AddFlow = t.Callable[..., t.Awaitable[tuple[str, str]]]


@pytest.fixture
async def add_flow(engine: Engine) -> t.AsyncIterator[AddFlow]:
    """Adds a parent to queue emails with one child in queue reports; their ids."""
    client = redis.asyncio.Redis(unix_socket_path=engine.address.path, decode_responses=True)
    producer: t.Any = t.cast("t.Any", flow_producer).FlowProducer({"connection": client, "prefix": engine.prefix})

    async def add(**child_opts: t.Any) -> tuple[str, str]:
        child = {"name": "child", "queueName": "reports", "data": {}, "opts": child_opts}
        flow = await producer.add({"name": "parent", "queueName": "emails", "data": {}, "children": [child]})
        return flow["job"].id, flow["children"][0]["job"].id

    yield add
    await producer.close()
    await client.aclose()


async def test_a_parent_runs_after_its_child(
    engine: Engine, processor: type[Processor], add_flow: AddFlow
) -> None:
    process = processor()
    parent, child = await add_flow()
    await engine.run(process)
    await engine.run(process, queue="reports")
    await engine.until_state(parent, "completed")
    assert [job.id for job in process.started] == [child, parent]


async def test_a_child_knows_its_parent(
    engine: Engine, processor: type[Processor], add_flow: AddFlow, until: Until
) -> None:
    process = processor()
    parent, _ = await add_flow()
    await engine.run(process, queue="reports")
    await until(lambda: process.started)
    assert process.started[0].parent == {"id": parent, "queue": "emails"}


async def test_a_parent_has_no_parent(
    engine: Engine, processor: type[Processor], add_flow: AddFlow, until: Until
) -> None:
    process = processor()
    await add_flow()
    await engine.run(processor(), queue="reports")
    await engine.run(process)
    await until(lambda: process.started)
    assert process.started[0].parent is None


async def start_child(engine: Engine, parent: str) -> None:
    """What a processor of the parent does that adds a child while it runs: the dependency is open."""
    await engine.redis.execute("SADD", engine.key(parent, "dependencies"), engine.key("open", queue="reports"))


async def test_a_parent_with_an_open_child_waits_for_it(engine: Engine, processor: type[Processor]) -> None:
    parent = await engine.add()
    await start_child(engine, parent)
    await engine.run(processor(WaitForChildren()))
    assert (await engine.until_state(parent, "waiting-children"))["attemptsMade"] == 0


async def test_a_parent_with_an_open_child_cannot_complete(engine: Engine, processor: type[Processor]) -> None:
    parent = await engine.add()
    await start_child(engine, parent)
    await engine.run(processor(Complete(None)))
    job = await engine.until_state(parent, "failed")
    assert job["failedReason"] == "PendingDependencies: the job cannot complete: it has open children"


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (WaitForChildren(), "ChildFailed: the job cannot wait: it has a child that failed"),
        (Complete(None), "PendingDependencies: the job cannot complete: it has a child that failed"),
    ],
)
async def test_a_parent_whose_child_failed_fails(
    engine: Engine, processor: type[Processor], verdict: WaitForChildren | Complete, reason: str
) -> None:
    parent = await engine.add()
    await engine.redis.execute(
        "ZADD", engine.key(parent, "unsuccessful"), 1, engine.key("failed", queue="reports")
    )
    await engine.run(processor(verdict))
    assert (await engine.until_state(parent, "failed"))["failedReason"] == reason


async def test_a_child_may_fail_its_parent(engine: Engine, processor: type[Processor], add_flow: AddFlow) -> None:
    parent, child = await add_flow(failParentOnFailure=True)
    process = processor()
    await engine.run(process)
    await engine.run(processor(Fail("Error", "no")), queue="reports")
    job = await engine.until_state(parent, "failed")
    assert (process.started, job["failedReason"]) == (
        [],
        f"UnrecoverableError: child {engine.key(child, queue='reports')} failed",
    )
