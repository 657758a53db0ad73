"""The terminal snapshot: what became of a job that may be gone as soon as it has finished."""

from __future__ import annotations

import json
import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Completed, Failed
from nextmq_handler.rules.results import RESULT_LIFE, JobResult
from nextmq_server.engine.queues.jobs import NoSuchJob
from nextmq_server.engine.queues.snapshots import snapshot_key
from nextmq_server.engine.verdicts import Verdict

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

Finish = t.Callable[..., t.Awaitable[str]]

FAILED = Failed("ValueError", "no such address", stack="Traceback …")

MAY_VANISH: dict[str, t.Any] = {
    "true": True,
    "0": 0,
    "a count": 5,
    "a count of 0": {"count": 0},
    "an age": {"age": 3600},
    "an age of 0": {"age": 0},
    "both": {"age": 3600, "count": 5},
}
STAYS = {"false": False, "null": None}

# In one step, so that nothing can come between the two looks.
_IS_ANYWHERE = "return redis.call('EXISTS', KEYS[1], KEYS[2])"


@pytest.fixture
def finish(engine: Engine, processor: type[Processor], wait_until: WaitUntil) -> Finish:
    """Give a function that runs a job to its end and returns its id."""

    async def finish(*verdicts: Verdict, **opts: t.Any) -> str:
        process = processor(*verdicts)
        hub = await engine.run(process)
        job_id = await engine.add(**opts)
        await wait_until(lambda: len(process.started) == len(verdicts) and not hub.queues["emails"].active)
        return job_id

    return finish


async def snapshot(engine: Engine, job_id: str) -> JobResult | None:
    text = await engine.redis.execute("GET", snapshot_key(engine.jobs.scripts("emails"), job_id))
    return None if text is None else t.cast("JobResult", json.loads(text))


@pytest.mark.parametrize("keep", MAY_VANISH.values(), ids=MAY_VANISH)
async def test_a_completed_job_that_may_vanish_leaves_its_result(
    engine: Engine, finish: Finish, keep: object
) -> None:
    seen = await snapshot(engine, await finish(Completed({"to": ["ä", None, 1.5]}), removeOnComplete=keep))
    assert seen is not None
    assert (seen["state"], seen["returnValue"]) == ("completed", {"to": ["ä", None, 1.5]})


@pytest.mark.parametrize("keep", MAY_VANISH.values(), ids=MAY_VANISH)
async def test_a_failed_job_that_may_vanish_leaves_its_reason(
    engine: Engine, finish: Finish, keep: object
) -> None:
    seen = await snapshot(engine, await finish(FAILED, removeOnFail=keep))
    assert seen is not None
    assert (seen["state"], seen["returnValue"], seen["failedReason"], seen["stacktrace"]) == (
        "failed",
        None,
        "ValueError: no such address",
        ["Traceback …"],
    )


@pytest.mark.parametrize("keep", STAYS.values(), ids=STAYS)
async def test_a_completed_job_that_stays_leaves_no_snapshot(engine: Engine, finish: Finish, keep: object) -> None:
    assert await snapshot(engine, await finish(Completed(1), removeOnComplete=keep, removeOnFail=True)) is None


@pytest.mark.parametrize("keep", STAYS.values(), ids=STAYS)
async def test_a_failed_job_that_stays_leaves_no_snapshot(engine: Engine, finish: Finish, keep: object) -> None:
    assert await snapshot(engine, await finish(FAILED, removeOnComplete=True, removeOnFail=keep)) is None


@pytest.mark.parametrize("verdict", [Completed(1), FAILED], ids=["completed", "failed"])
async def test_a_job_that_says_nothing_of_it_leaves_no_snapshot(
    engine: Engine, finish: Finish, verdict: Verdict
) -> None:
    assert await snapshot(engine, await finish(verdict)) is None


@pytest.mark.parametrize("verdicts", [[Completed("done")], [FAILED, Completed("done")], [FAILED, FAILED]])
async def test_the_snapshot_says_what_the_job_would_show(
    engine: Engine, finish: Finish, verdicts: list[Verdict]
) -> None:
    job_id = await finish(*verdicts, attempts=2, removeOnComplete=5, removeOnFail=5)
    job, seen = await engine.job(job_id), await snapshot(engine, job_id)
    assert seen == {
        name: job[name] for name in ("state", "returnValue", "failedReason", "stacktrace", "finishedOn")
    }


async def test_the_snapshot_is_kept_for_a_minute(engine: Engine, finish: Finish) -> None:
    key = snapshot_key(engine.jobs.scripts("emails"), await finish(Completed(1), removeOnComplete=True))
    left = await engine.redis.execute("PTTL", key)
    assert RESULT_LIFE - 30_000 < left <= RESULT_LIFE == 60_000


async def test_there_is_no_moment_without_the_job_and_its_snapshot(
    engine: Engine, processor: type[Processor]
) -> None:
    scripts = engine.jobs.scripts("emails")
    await engine.run(processor(Completed(1)), concurrency=5)
    for _ in range(50):
        job_id = await engine.add(removeOnComplete=True)
        keys = scripts.key(job_id), snapshot_key(scripts, job_id)
        while await engine.redis.execute("EXISTS", keys[0]):
            assert await engine.redis.execute("EVAL", _IS_ANYWHERE, 2, *keys)
        assert await engine.redis.execute("EXISTS", keys[1])


@pytest.mark.parametrize("verdict", [Completed(1), FAILED], ids=["completed", "failed"])
async def test_a_job_whose_lock_was_lost_leaves_no_snapshot(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, verdict: Verdict
) -> None:
    process = processor(verdict)
    process.gate.clear()
    hub = await engine.run(process)
    job_id = await engine.add(removeOnComplete=True, removeOnFail=True)
    await wait_until(lambda: process.running)
    await engine.redis.execute("SET", engine.key(job_id, "lock"), "another worker")
    process.gate.set()
    await wait_until(lambda: not hub.queues["emails"].active)
    assert (await snapshot(engine, job_id), await engine.field(job_id, "atm")) == (None, None)


async def test_a_job_that_was_removed_while_it_ran_leaves_no_snapshot(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Completed(1))
    process.gate.clear()
    hub = await engine.run(process)
    job_id = await engine.add(removeOnComplete=True)
    await wait_until(lambda: process.running)
    await engine.redis.execute("DEL", engine.key(job_id), engine.key(job_id, "lock"))
    process.gate.set()
    await wait_until(lambda: not hub.queues["emails"].active)
    assert await snapshot(engine, job_id) is None


async def test_the_snapshot_is_of_how_the_job_ended_not_of_what_was_refused(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Completed(1))
    process.gate.clear()
    hub = await engine.run(process)
    job_id = await engine.add(removeOnComplete=True, removeOnFail=True)
    await wait_until(lambda: process.running)
    await engine.redis.execute("SADD", engine.key(job_id, "dependencies"), engine.key("9", queue="reports"))
    process.gate.set()
    await wait_until(lambda: not hub.queues["emails"].active)
    seen = await snapshot(engine, job_id)
    assert seen is not None
    assert (seen["state"], seen["failedReason"]) == (
        "failed",
        "PendingDependencies: the job cannot complete: it has open children",
    )


async def test_the_next_job_is_fetched_with_the_snapshot(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Completed(1))
    process.gate.clear()
    hub = await engine.run(process)
    for _ in range(3):
        await engine.add(removeOnComplete=True)
    await wait_until(lambda: process.running)
    [token] = [run.job.token for run in hub.queues["emails"].active.values()]
    process.gate.set()
    await wait_until(lambda: len(process.started) == 3 and not hub.queues["emails"].active)
    assert [job.token for job in process.started] == [token, f"{token}.1", f"{token}.2"]


async def test_a_snapshot_that_redis_has_no_script_for_is_kept_all_the_same(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Completed(1))
    hub = await engine.run(process)
    await engine.add(removeOnComplete=True)
    await wait_until(lambda: len(process.started) == 1 and not hub.queues["emails"].active)
    await engine.redis.execute("SCRIPT", "FLUSH", "SYNC")
    job_id = await engine.add(removeOnComplete=True)
    await wait_until(lambda: len(process.started) == 2 and not hub.queues["emails"].active)
    assert await snapshot(engine, job_id)


async def test_a_job_removed_by_hand_leaves_no_snapshot(engine: Engine, finish: Finish) -> None:
    job_id = await finish(Completed(1), removeOnComplete=5)
    await engine.jobs.remove("emails", job_id, with_children=True)
    assert await snapshot(engine, job_id) is None


async def test_a_snapshot_is_no_job(engine: Engine, finish: Finish) -> None:
    job_id = await finish(Completed(1), removeOnComplete=True)
    with pytest.raises(NoSuchJob):
        await engine.job(job_id)


@pytest.mark.parametrize("job_id", ["1", "", "meta", "a:b", "ä/😀"])
async def test_a_job_that_never_was_has_no_snapshot(engine: Engine, job_id: str) -> None:
    assert await snapshot(engine, job_id) is None


async def test_a_reason_may_hold_what_utf_8_cannot(engine: Engine, finish: Finish) -> None:
    job_id = await finish(Completed("\ud800"), removeOnComplete=True)
    text = await engine.redis.execute("GET", snapshot_key(engine.jobs.scripts("emails"), job_id))
    assert json.loads(text)["returnValue"] == "\ud800"
