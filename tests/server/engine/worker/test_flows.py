"""Parents and children, as BullMQ's own FlowProducer adds them and as ours does."""

from __future__ import annotations

import typing as t

import pytest
import redis.asyncio
from bullmq import flow_producer

from nextmq_handler.protocol.outcomes import Completed, Failed, WaitingChildren
from nextmq_handler.rules.flows import FlowNode
from nextmq_server.engine.queues.adding import UnusableParent
from nextmq_server.engine.queues.children import ChildKey, Children
from nextmq_server.engine.queues.flows import Flows

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

AddFlow = t.Callable[..., t.Awaitable[tuple[str, str]]]
Add = t.Callable[[FlowNode], t.Awaitable[t.Any]]

NO = Failed("Error", "no")
CONTINUE: dict[str, t.Any] = {"continueParentOnFailure": True}
IGNORE: dict[str, t.Any] = {"ignoreDependencyOnFailure": True}
REMOVE: dict[str, t.Any] = {"removeDependencyOnFailure": True}


def node(job_id: str, *children: FlowNode, queue: str = "reports", **opts: t.Any) -> FlowNode:
    """Return a job of a flow, whose name is its id too."""
    return FlowNode(job_id, queue, None, {"jobId": job_id, **opts}, children)


@pytest.fixture
def add(engine: Engine) -> Add:
    """Give a function that adds a flow with this server's producer."""
    flows = Flows(engine.jobs, Children(engine.jobs, engine.prefix))

    async def add(root: FlowNode) -> t.Any:
        plan = flows.plan([root], now=1_700_000_000_000)
        shown = [view async for _, view in flows.show(plan, await engine.jobs.add(plan.jobs))]
        return shown[0]

    return add


@pytest.fixture
async def add_flow(engine: Engine) -> t.AsyncIterator[AddFlow]:
    """Add a parent to queue emails with one child in queue reports. Return their ids."""
    client = redis.asyncio.Redis(unix_socket_path=engine.address.places[0].path, decode_responses=True)
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
    engine: Engine, processor: type[Processor], add_flow: AddFlow, wait_until: WaitUntil
) -> None:
    process = processor()
    parent, _ = await add_flow()
    await engine.run(process, queue="reports")
    await wait_until(lambda: process.started)
    assert process.started[0].parent == {"id": parent, "queue": "emails"}


async def test_a_parent_has_no_parent(
    engine: Engine, processor: type[Processor], add_flow: AddFlow, wait_until: WaitUntil
) -> None:
    process = processor()
    await add_flow()
    await engine.run(processor(), queue="reports")
    await engine.run(process)
    await wait_until(lambda: process.started)
    assert process.started[0].parent is None


async def start_child(engine: Engine, parent: str) -> None:
    """Add an open dependency, as a processor of the parent does that adds a child while it runs."""
    await engine.redis.execute("SADD", engine.key(parent, "dependencies"), engine.key("open", queue="reports"))


async def test_a_parent_with_an_open_child_waits_for_it(engine: Engine, processor: type[Processor]) -> None:
    parent = await engine.add()
    await start_child(engine, parent)
    await engine.run(processor(WaitingChildren()))
    assert (await engine.until_state(parent, "waiting-children"))["attemptsMade"] == 0


async def test_a_parent_with_an_open_child_cannot_complete(engine: Engine, processor: type[Processor]) -> None:
    parent = await engine.add()
    await start_child(engine, parent)
    await engine.run(processor(Completed(None)))
    job = await engine.until_state(parent, "failed")
    assert job["failedReason"] == "PendingDependencies: the job cannot complete: it has open children"


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (WaitingChildren(), "ChildFailed: the job cannot wait: it has a child that failed"),
        (Completed(None), "ChildFailed: the job cannot complete: it has a child that failed"),
    ],
)
async def test_a_parent_whose_child_failed_fails(
    engine: Engine, processor: type[Processor], verdict: WaitingChildren | Completed, reason: str
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
    await engine.run(processor(Failed("Error", "no")), queue="reports")
    job = await engine.until_state(parent, "failed")
    assert (process.started, job["failedReason"]) == (
        [],
        f"UnrecoverableError: child {engine.key(child, queue='reports')} failed",
    )


async def test_a_failed_child_keeps_its_parent_waiting(
    engine: Engine, processor: type[Processor], add: Add
) -> None:
    await add(node("parent", node("child"), queue="emails"))
    await engine.run(processor(NO), queue="reports")
    hub = await engine.run(processor())
    await engine.until_state("child", "failed", queue="reports")
    await engine.settle(hub)
    assert (await engine.job("parent"))["state"] == "waiting-children"


@pytest.mark.parametrize("policy", [IGNORE, REMOVE], ids=["ignored", "removed"])
async def test_a_parent_may_run_after_a_child_that_failed(
    engine: Engine, processor: type[Processor], add: Add, policy: dict[str, t.Any]
) -> None:
    await add(node("parent", node("child", **policy), queue="emails"))
    await engine.run(processor())
    await engine.run(processor(NO), queue="reports")
    assert (await engine.until_state("parent", "completed"))["failedReason"] is None


@pytest.mark.parametrize("policy", [IGNORE, REMOVE], ids=["ignored", "removed"])
async def test_a_parent_waits_for_the_other_children_of_one_that_failed(
    engine: Engine, processor: type[Processor], add: Add, policy: dict[str, t.Any]
) -> None:
    await add(node("parent", node("child", **policy), node("other", queue="idle"), queue="emails"))
    await engine.run(processor(NO), queue="reports")
    hub = await engine.run(processor())
    await engine.until_state("child", "failed", queue="reports")
    await engine.settle(hub)
    assert (await engine.job("parent"))["state"] == "waiting-children"


async def test_a_parent_may_run_at_once_when_a_child_failed(
    engine: Engine, processor: type[Processor], add: Add, wait_until: WaitUntil
) -> None:
    process = processor()
    open_child = node("other", queue="idle")
    await add(node("parent", node("child", **CONTINUE), open_child, queue="emails"))
    await engine.run(process)
    await engine.run(processor(NO), queue="reports")
    await wait_until(lambda: process.started)
    assert (await engine.job("other", queue="idle"))["state"] == "waiting"


@pytest.mark.parametrize(
    ("policy", "failures"),
    [
        (CONTINUE, {ChildKey("reports", "child"): "Error: no"}),
        (IGNORE, {ChildKey("reports", "child"): "Error: no"}),
        (REMOVE, {}),
    ],
    ids=["the parent continued", "ignored", "removed"],
)
async def test_a_parent_that_runs_all_the_same_knows_of_the_failures_it_ignores(
    engine: Engine, processor: type[Processor], add: Add, policy: dict[str, t.Any], failures: dict[ChildKey, str]
) -> None:
    await add(node("parent", node("child", **policy), queue="emails"))
    await engine.run(processor())
    await engine.run(processor(NO), queue="reports")
    await engine.until_state("parent", "completed")
    found = await Children(engine.jobs, engine.prefix).ignored_failures("emails", "parent")
    assert found == (failures, None)


async def test_a_failure_goes_up_through_all_queues_that_let_it(
    engine: Engine, processor: type[Processor], add: Add
) -> None:
    child = node("child", node("grandchild", queue="parts", failParentOnFailure=True), failParentOnFailure=True)
    await add(node("parent", child, queue="emails"))
    await engine.run(processor())
    await engine.run(processor(), queue="reports")
    await engine.run(processor(NO), queue="parts")
    reason = f"UnrecoverableError: child {engine.key('child', queue='reports')} failed"
    assert (await engine.until_state("parent", "failed"))["failedReason"] == reason


async def test_a_failure_goes_no_further_than_the_parent_that_ignores_it(
    engine: Engine, processor: type[Processor], add: Add
) -> None:
    child = node(
        "child", node("grandchild", queue="parts", failParentOnFailure=True), ignoreDependencyOnFailure=True
    )
    await add(node("parent", child, queue="emails"))
    await engine.run(processor())
    await engine.run(processor(), queue="reports")
    await engine.run(processor(NO), queue="parts")
    await engine.until_state("parent", "completed")
    assert (await engine.job("child", queue="reports"))["state"] == "failed"


async def test_a_parent_whose_child_failed_fails_whatever_attempts_it_has(
    engine: Engine, processor: type[Processor], add: Add
) -> None:
    await add(node("parent", node("child", failParentOnFailure=True), queue="emails", attempts=3))
    await engine.run(processor())
    await engine.run(processor(NO), queue="reports")
    assert (await engine.until_state("parent", "failed"))["attemptsMade"] == 1


async def run_parent_while_its_child_fails(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> str:
    """Add a parent with three attempts, whose child is added and fails while it runs."""
    process = processor()
    process.gate.clear()
    parent = await engine.add(attempts=3, backoff={"type": "fixed", "delay": 3_600_000})
    await engine.run(process)
    await wait_until(lambda: process.started)
    opts = {"parent": {"id": parent, "queue": "emails"}, "failParentOnFailure": True}
    child = await engine.add(queue="reports", **opts)
    await engine.run(processor(NO), queue="reports")
    await engine.until_state(child, "failed", queue="reports")
    process.gate.set()
    return parent


async def test_a_parent_whose_child_fails_while_it_runs_is_not_tried_again(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    parent = await run_parent_while_its_child_fails(engine, processor, wait_until)
    assert (await engine.until_state(parent, "failed"))["attemptsMade"] == 1


async def test_a_parent_that_may_not_complete_is_one_error_line(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    parent = await run_parent_while_its_child_fails(engine, processor, wait_until)
    await engine.until_state(parent, "failed")
    lines = [line for line in caplog.messages if line.startswith(f"queue emails job {parent} ")]
    reason = "ChildFailed: the job cannot complete: it has a child that failed"
    assert lines == [f"queue emails job {parent} (welcome) failed for good on attempt 1: {reason}"]


async def test_a_flow_runs_in_one_queue_with_one_slot(
    engine: Engine, processor: type[Processor], add: Add
) -> None:
    process = processor()
    await add(node("parent", node("a"), node("b")))
    await engine.run(process, queue="reports")
    await engine.until_state("parent", "completed", queue="reports")
    assert [job.id for job in process.started] == ["a", "b", "parent"]


async def test_a_parent_waits_for_new_children_beside_one_that_was_done_before(
    engine: Engine, processor: type[Processor], add: Add
) -> None:
    await engine.add(queue="reports", jobId="done")
    await engine.run(processor(), queue="reports")
    await engine.until_state("done", "completed", queue="reports")
    job = await add(node("parent", node("done"), node("open", queue="idle"), queue="emails"))
    assert job["state"] == "waiting-children"


async def test_a_parent_whose_children_were_done_before_runs_at_once(
    engine: Engine, processor: type[Processor], add: Add
) -> None:
    await engine.add(queue="reports", jobId="done")
    await engine.run(processor(), queue="reports")
    await engine.until_state("done", "completed", queue="reports")
    job = await add(node("parent", node("done"), queue="emails"))
    assert job["state"] == "waiting"


async def test_a_flow_with_a_child_of_another_parent_adds_nothing(engine: Engine, add: Add) -> None:
    await add(node("first", node("child"), queue="emails"))
    with pytest.raises(UnusableParent):
        await add(node("second", node("new"), node("child"), queue="emails"))
    assert await engine.redis.execute("EXISTS", engine.key("second"), engine.key("new", queue="reports")) == 0


async def test_a_flow_with_one_job_under_two_parents_adds_nothing(engine: Engine, add: Add) -> None:
    left, right = (node(name, node("child"), queue="emails") for name in ("left", "right"))
    with pytest.raises(UnusableParent):
        await add(node("root", left, right, queue="emails"))
    assert await engine.redis.execute("EXISTS", engine.key("root"), engine.key("child", queue="reports")) == 0
