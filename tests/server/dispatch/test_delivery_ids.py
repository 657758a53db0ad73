"""Which delivery owns a job: delivery ids, and what becomes of them once the job has moved on."""

from __future__ import annotations

import re
import time
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.outcomes import Completed, Delayed, Failed, RateLimited, WaitingChildren
from nextmq_server.dispatch.delivery_ids import delivery_id, owns
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.verdicts import Hold, Verdict
from nextmq_server.engine.worker import finalize, gate
from nextmq_server.engine.worker.options import RunnerOptions
from tests.support.dispatching import make_job

if t.TYPE_CHECKING:
    from ..conftest import Engine, Processor, WaitUntil

NOW = round(time.time() * 1000)


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


VERDICTS: dict[str, Verdict] = {
    "completed": Completed(None),
    "failed": Failed("Error", "no", unrecoverable=True),
    "delayed": Delayed(NOW + 600_000),
    "delayed until now": Delayed(NOW),
    "rate limited": RateLimited(1),
    "put back": WaitingChildren(),
    "held": Hold(0, "no"),
}
Again = t.Callable[["Engine"], t.Awaitable[object]]


async def _not_kept(engine: Engine) -> None:
    pass


async def _removed(engine: Engine) -> None:
    await engine.jobs.remove("emails", "again", with_children=True)


async def _cleaned(engine: Engine) -> None:
    await engine.queues.clean("emails", "completed", -1, 0)


AGAIN: dict[str, tuple[dict[str, t.Any], Again]] = {
    "not kept": ({"removeOnComplete": True}, _not_kept),
    "removed": ({}, _removed),
    "cleaned": ({}, _cleaned),
}


@pytest.mark.anyio
@pytest.mark.parametrize("verdict", VERDICTS.values(), ids=VERDICTS)
@pytest.mark.parametrize(("opts", "remove"), AGAIN.values(), ids=AGAIN)
async def test_a_job_that_is_added_again_in_the_same_ms_gets_another_delivery_id(
    engine: Engine,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
    verdict: Verdict,
    opts: dict[str, t.Any],
    remove: Again,
) -> None:
    for module in (gate, finalize):
        monkeypatch.setattr(module, "now_ms", lambda: NOW)
    started: list[EngineJob] = []

    async def process(job: EngineJob) -> Verdict:
        started.append(job)
        ids = [one.id for one in started]
        if job.id == "again" or ids.count(job.id) > 1:
            return Completed(None)
        if ids.count("again") < 3:  # while no other job runs
            await remove(engine)
            await engine.add(jobId="again", **opts)
            await engine.add()
        return verdict

    await engine.add(jobId="again", **opts)
    await engine.add()
    hub = await engine.start_hub()
    await hub.add("emails", RunnerOptions(), process)
    await wait_until(lambda: [job.id for job in started].count("again") == 3)
    ids = [delivery_id("emails", job) for job in started]
    assert len(set(ids)) == len(ids)


@pytest.mark.anyio
async def test_no_two_starts_have_the_same_lock(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Failed("Error", "once"), Delayed(0), Completed(None))
    for _ in range(30):
        await engine.add(attempts=2)
    await engine.run(process, concurrency=3)
    await wait_until(lambda: len(process.started) == 32 and not process.running)
    assert len({job.token for job in process.started}) == 32
