"""Which delivery owns a job: delivery ids, and what becomes of them once the job has moved on."""

from __future__ import annotations

import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.outcomes import Completed, Failed
from nextmq_server.dispatch.delivery_ids import delivery_id, owns
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker.options import RunnerOptions
from tests.support.dispatching import make_job

if t.TYPE_CHECKING:
    from ..conftest import Engine, Processor, WaitUntil


@given(job_id=st.text(min_size=1), name=st.text(), ats=st.integers(0, 2**31))
def test_an_id_is_what_the_protocol_allows(job_id: str, name: str, ats: int) -> None:
    job = make_job(name=name, ats=str(ats))
    job.id = job_id
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", delivery_id("emails", job))


def test_another_start_makes_another_id() -> None:
    jobs = [make_job(ats="1"), make_job(ats="2")]
    assert len({delivery_id("emails", job) for job in jobs}) == 2


@pytest.mark.anyio
async def test_a_delivery_owns_its_job_until_that_has_ended(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Completed(None))
    process.gate.clear()
    job_id = await engine.add()
    await engine.run(process)
    await wait_until(lambda: process.started)
    scripts, id = engine.jobs.scripts("emails"), delivery_id("emails", process.started[0])
    owned = await owns(scripts, job_id, id)
    process.gate.set()
    await wait_until(lambda: not process.running)

    async def is_lost() -> bool:
        return not await owns(scripts, job_id, id)

    await wait_until(is_lost)
    assert owned


@pytest.mark.anyio
async def test_the_delivery_of_an_earlier_attempt_owns_nothing(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Failed("Error", "once"), Completed(None))
    job_id = await engine.add(attempts=2)
    await engine.run(process)
    await wait_until(lambda: len(process.started) == 2)
    first, second = (delivery_id("emails", job) for job in process.started)
    assert first != second
    assert not await owns(engine.jobs.scripts("emails"), job_id, first)


@pytest.mark.anyio
async def test_a_job_that_is_added_again_under_its_id_gets_another_delivery_id(
    engine: Engine, wait_until: WaitUntil
) -> None:
    started: list[EngineJob] = []

    async def process(job: EngineJob) -> Verdict:
        started.append(job)
        if len(started) == 2:
            await engine.add(jobId="again", removeOnComplete=True)
        return Completed(None)

    await engine.add(jobId="again", removeOnComplete=True)
    await engine.add()
    hub = await engine.start_hub()
    await hub.add("emails", RunnerOptions(), process)
    await wait_until(lambda: len(started) == 3)
    first, _, second = started
    assert (first.id, first.token) == (second.id, second.token)
    assert delivery_id("emails", first) != delivery_id("emails", second)
