"""Node's BullMQ on a queue that is held: its workers go on, it hears of a disabled endpoint, it reads the jobs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Failed
from nextmq_handler.rules.delivery_log import DeliveryEntry
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.scripts.holds import Holds, Kind, Trouble
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker.options import RunnerOptions
from tests.interop.node import FOLDER, NODE, install_packages

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("_packages")]

DAY = 86_400_000
DELIVERY: DeliveryEntry = {
    "deliveryId": "dlv_1",
    "at": 1,
    "status": 500,
    "ms": 5,
    "outcome": "failed",
    "detail": "the app answered 500",
}


@pytest.fixture(scope="session")
def _packages() -> None:
    install_packages()


async def node(engine: Engine, command: str, argument: str) -> t.Any:
    socket = engine.address.places[0].path
    assert socket is not None
    arguments = [str(NODE), "holds.js", socket, engine.prefix, command, "emails", argument]
    done = await asyncio.to_thread(
        subprocess.run, arguments, cwd=FOLDER, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


async def hold(engine: Engine, kind: Kind) -> None:
    trouble = Trouble(kind, "the app answered 410", first=DAY, longest=DAY, jitter=1.0, disable_after=DAY)
    await Holds(engine.jobs.scripts("emails")).fail(trouble)


async def test_a_worker_of_node_goes_on_while_our_endpoint_is_held(
    engine: Engine, processor: type[Processor]
) -> None:
    process = processor()
    await hold(engine, "unreachable")
    await engine.run(process, concurrency=2)
    added = [await engine.add() for _ in range(2)]
    assert (await node(engine, "work", "2"), process.started) == (added, [])


async def test_node_hears_of_a_disabled_endpoint(engine: Engine) -> None:
    await hold(engine, "disabled")
    assert await node(engine, "event", "endpoint-disabled") == {"detail": "the app answered 410"}


async def test_node_reads_a_job_that_has_deliveries(engine: Engine) -> None:
    async def process(job: EngineJob) -> Verdict:
        job.note_delivery(DELIVERY)
        return Failed("EndpointUnavailable", "the app answered 500")

    hub = await engine.start_hub()
    await hub.add("emails", RunnerOptions(), process)
    job_id = await engine.add()
    assert (await engine.until_state(job_id, "failed"))["deliveries"] == [DELIVERY]
    assert await node(engine, "get", job_id) == {
        "state": "failed",
        "failedReason": "EndpointUnavailable: the app answered 500",
        "attemptsMade": 1,
    }
