"""Dead letters: what is left of a job that failed for good, in a queue of their own."""

from __future__ import annotations

import itertools
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.outcomes import Completed, Failed, WaitingChildren
from nextmq_handler.rules.dead_letters import read_dead_letter
from nextmq_handler.rules.views import JobView
from nextmq_server.engine.queues.dead_letters import dead_letter_of
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.queues.jobs import decoded
from nextmq_server.engine.queues.snapshots import result_of, snapshot_key
from nextmq_server.engine.scripts.scripts import QueueScripts
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker.finalize import Finalizer, LostJob
from nextmq_server.engine.worker.options import RunnerOptions

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

DLQ = "emails-dlq"
FAILED = Failed("ValueError", "no such address", stack="Traceback …", status=200)
GONE = Failed("UnrecoverableJobError", "gone", unrecoverable=True)

KEEPS: dict[str, t.Any] = {
    "true": True,
    "false": False,
    "0": 0,
    "a count": 5,
    "a count of 0": {"count": 0},
    "an age": {"age": 3600},
}


async def dead_letters(engine: Engine, queue: str = DLQ) -> list[JobView]:
    """Return the jobs of the dead-letter queue in every state."""
    return await engine.jobs.page(queue, ["waiting", "completed", "failed"], 0, 99, ascending=True)


async def has_dead_letter(engine: Engine) -> bool:
    return bool(await dead_letters(engine))


async def only_dead_letter(engine: Engine) -> JobView:
    [dead_letter] = await dead_letters(engine)
    return dead_letter


async def test_a_job_out_of_attempts_leaves_a_dead_letter(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    await engine.run(processor(FAILED), dead_letter=DLQ)
    job_id = await engine.add({"to": ["ä", 2**60, 0.1]}, attempts=2, stackTraceLimit=5, jobId="order-1")
    job = await engine.until_state(job_id, "failed")
    assert (await only_dead_letter(engine))["data"] == {
        "queue": "emails",
        "id": "order-1",
        "name": "welcome",
        "data": {"to": ["ä", 2**60, 0.1]},
        "opts": job["opts"],
        "attemptsMade": 2,
        "reason": "ValueError: no such address",
        "stacktrace": ["Traceback …", "Traceback …"],
        "status": 200,
        "failedAt": job["finishedOn"],
    }


async def test_a_dead_letter_is_named_as_its_job(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor(FAILED), dead_letter=DLQ)
    await engine.until_state(await engine.add(), "failed")
    assert (await only_dead_letter(engine))["name"] == "welcome"


async def test_a_dead_letter_has_one_attempt_and_no_option(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor(FAILED), dead_letter=DLQ)
    await engine.until_state(await engine.add(attempts=3, priority=5), "failed")
    dead_letter = await only_dead_letter(engine)
    assert (dead_letter["state"], {name for name, value in dead_letter["opts"].items() if value}) == (
        "waiting",
        set(),
    )


async def test_the_parent_in_a_dead_letter_is_shown_as_the_api_shows_it(
    engine: Engine, processor: type[Processor]
) -> None:
    now = 1_700_000_000_000
    parent = engine.jobs.new("orders", "order", None, {"jobId": "p"}, now=now, is_parent=True)
    child = engine.jobs.new("emails", "welcome", None, {"parent": {"id": "p", "queue": "orders"}}, now=now)
    job_id = (await engine.jobs.add([parent, child]))[1].id
    await engine.run(processor(FAILED), dead_letter=DLQ)
    await engine.until_state(job_id, "failed")
    assert (await only_dead_letter(engine))["data"]["opts"]["parent"] == {"id": "p", "queue": "orders"}


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS)
async def test_a_job_leaves_a_dead_letter_whether_or_not_it_stays(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, keep: object
) -> None:
    await engine.run(processor(FAILED), dead_letter=DLQ)
    await engine.add(removeOnFail=keep)
    await wait_until(lambda: has_dead_letter(engine))
    assert (await only_dead_letter(engine))["data"]["reason"] == "ValueError: no such address"


async def test_a_job_that_vanishes_leaves_a_dead_letter_and_a_snapshot(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    await engine.run(processor(FAILED), dead_letter=DLQ)
    job_id = await engine.add(removeOnFail=True)
    await wait_until(lambda: has_dead_letter(engine))
    assert await engine.redis.execute("EXISTS", snapshot_key(engine.jobs.scripts("emails"), job_id))


async def test_an_unrecoverable_failure_leaves_a_dead_letter(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor(GONE), dead_letter=DLQ)
    await engine.until_state(await engine.add(attempts=5), "failed")
    assert (await only_dead_letter(engine))["data"]["attemptsMade"] == 1


async def test_a_deferred_failure_leaves_a_dead_letter(engine: Engine, processor: type[Processor]) -> None:
    job_id = await engine.add()
    await engine.redis.execute("HSET", engine.key(job_id), "defa", "a child failed")
    await engine.run(processor(), dead_letter=DLQ)
    await engine.until_state(job_id, "failed")
    assert (await only_dead_letter(engine))["data"]["reason"] == "UnrecoverableError: a child failed"


@pytest.mark.parametrize("verdict", [Completed(1), WaitingChildren()], ids=["completed", "waits for its children"])
async def test_a_job_that_its_children_fail_leaves_a_dead_letter(
    engine: Engine, processor: type[Processor], verdict: Verdict
) -> None:
    job_id = await engine.add()
    await engine.redis.execute("ZADD", engine.key(job_id, "unsuccessful"), 1, engine.key("9", queue="reports"))
    await engine.run(processor(verdict), dead_letter=DLQ)
    await engine.until_state(job_id, "failed")
    assert "has a child that failed" in (await only_dead_letter(engine))["data"]["reason"]


async def test_a_failed_attempt_leaves_no_dead_letter(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor(FAILED, Completed(1)), dead_letter=DLQ)
    await engine.until_state(await engine.add(attempts=2), "completed")
    assert await dead_letters(engine) == []


async def test_without_a_dead_letter_queue_there_is_no_dead_letter(
    engine: Engine, processor: type[Processor]
) -> None:
    await engine.run(processor(FAILED))
    await engine.until_state(await engine.add(), "failed")
    assert await engine.redis.execute("KEYS", f"{engine.prefix}:*dlq*") == []


@pytest.mark.parametrize("opts", [{}, {"removeOnFail": True}], ids=["stays", "vanishes"])
async def test_a_job_whose_lock_was_lost_leaves_no_dead_letter(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, opts: dict[str, t.Any]
) -> None:
    process = processor(GONE)
    process.gate.clear()
    hub = await engine.run(process, dead_letter=DLQ)
    job_id = await engine.add(**opts)
    await wait_until(lambda: process.running)
    await engine.redis.execute("SET", engine.key(job_id, "lock"), "another worker")
    process.gate.set()
    await wait_until(lambda: not hub.queues["emails"].active)
    assert (await dead_letters(engine), (await engine.job(job_id))["state"]) == ([], "active")


async def test_a_failure_that_is_carried_out_again_leaves_one_dead_letter(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(GONE)
    process.gate.clear()
    hub = await engine.run(process)
    await engine.add()
    await wait_until(lambda: process.running)
    [run] = hub.queues["emails"].active.values()
    scripts = hub.queues["emails"].scripts
    finalizer = Finalizer(scripts, lambda: RunnerOptions(dead_letter=DLQ))
    await finalizer.apply(run.job, GONE, fetch_next=False)
    with pytest.raises(LostJob):
        await finalizer.apply(run.job, GONE, fetch_next=False)
    assert len(await dead_letters(engine)) == 1


async def test_a_job_that_fails_again_leaves_the_dead_letter_of_its_last_failure(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    await engine.run(processor(FAILED, GONE), dead_letter=DLQ)
    job_id = await engine.add()
    await engine.until_state(job_id, "failed")
    await engine.jobs.retry("emails", job_id, "failed", reset_attempts_made=True, reset_attempts_started=True)
    await wait_until(lambda: has_dead_letter(engine))
    assert (await only_dead_letter(engine))["data"]["reason"] == "UnrecoverableJobError: gone"


@pytest.mark.parametrize("job_id", ["repeat:3f2a:1700000000000", "a/b?c#d%25", "ä 😀", "x" * 256])
async def test_a_job_of_any_id_leaves_a_dead_letter(
    engine: Engine, processor: type[Processor], job_id: str
) -> None:
    await engine.run(processor(FAILED), dead_letter=DLQ)
    await engine.until_state(await engine.add(jobId=job_id), "failed")
    assert (await only_dead_letter(engine))["data"]["id"] == job_id


async def test_a_job_that_is_no_utf_8_leaves_a_dead_letter(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    job_id = await engine.add(jobId="order-1")
    await engine.redis.execute("HSET", engine.key(job_id), "name", b"\xff", "data", b'{"a":"\xff"}')
    await engine.run(processor(FAILED), dead_letter=DLQ)
    await wait_until(lambda: has_dead_letter(engine))
    assert (await only_dead_letter(engine))["data"]["id"] == "order-1"


PARTS = ("1", "-1", "@", ":", "%", "%3A", "3A", "25")
IDS = {"".join(parts) for parts in itertools.product(PARTS, ("", *PARTS))}
FAILURES = list(itertools.product(["a", "a-1"], sorted(IDS), [1, 11]))


def is_custom_id(job_id: str) -> bool:
    return ":" not in job_id and not job_id.isdecimal()


def id_of_dead_letter(failure: tuple[str, str, int]) -> str:
    queue, job_id, failed_at = failure
    scripts = t.cast("QueueScripts", t.cast("t.Any", _Scripts)(queue))
    job = EngineJob(job_id, {}, "token")
    dead_letter = dead_letter_of(job, scripts, DLQ, result_of(job, "failed", failed_at, reason=""), None)
    return dead_letter.job_id or ""


class _Scripts:
    """What a dead letter is told of the queue."""

    prefix = "bull"

    def __init__(self, queue: str) -> None:
        self.queue = queue


def test_no_two_failures_share_a_dead_letter() -> None:
    assert len({id_of_dead_letter(failure) for failure in FAILURES}) == len(FAILURES)


def test_the_id_of_a_dead_letter_is_one_that_bullmq_takes() -> None:
    assert [
        id_of_dead_letter(failure) for failure in FAILURES if not is_custom_id(id_of_dead_letter(failure))
    ] == []


async def test_a_worker_takes_the_dead_letters(engine: Engine, processor: type[Processor]) -> None:
    process = processor(Completed("read"))
    hub = await engine.run(processor(FAILED), dead_letter=DLQ)
    await hub.add(DLQ, RunnerOptions(), process)
    job_id = await engine.add()
    await engine.until_state(job_id, "failed")
    dead_letter = await engine.until_state((await only_dead_letter(engine))["id"], "completed", queue=DLQ)
    assert (dead_letter["returnValue"], json.loads(process.started[0].data)["id"]) == ("read", job_id)


async def test_a_dead_letter_that_fails_leaves_none_unless_its_worker_says_so(
    engine: Engine, processor: type[Processor]
) -> None:
    hub = await engine.run(processor(FAILED), dead_letter=DLQ)
    await hub.add(DLQ, RunnerOptions(), processor(FAILED))
    await engine.until_state(await engine.add(), "failed")
    await engine.until_state((await only_dead_letter(engine))["id"], "failed", queue=DLQ)
    assert len(await dead_letters(engine)) == 1


async def test_a_dead_letter_that_fails_leaves_one_where_its_worker_says_so(
    engine: Engine, processor: type[Processor]
) -> None:
    hub = await engine.run(processor(FAILED), dead_letter=DLQ)
    await hub.add(DLQ, RunnerOptions(dead_letter="lost"), processor(FAILED))
    await engine.until_state(await engine.add({"to": 1}), "failed")
    dead_letter = await engine.until_state((await only_dead_letter(engine))["id"], "failed", queue=DLQ)
    [second] = await dead_letters(engine, "lost")
    assert (second["data"]["queue"], second["data"]["data"]) == (DLQ, dead_letter["data"])


LETTER: dict[str, t.Any] = {
    "queue": "emails",
    "id": "1",
    "name": "welcome",
    "data": None,
    "opts": {},
    "attemptsMade": 1,
    "reason": "",
    "stacktrace": [],
    "status": None,
    "failedAt": 1,
}


def test_a_dead_letter_is_read_as_it_was_written() -> None:
    assert read_dead_letter(LETTER) == LETTER


@pytest.mark.parametrize("member", LETTER)
def test_what_lacks_a_member_is_no_dead_letter(member: str) -> None:
    assert read_dead_letter({name: value for name, value in LETTER.items() if name != member}) is None


@pytest.mark.parametrize("queue", ["", "bull:emails", "a b", "..", "x" * 101])
def test_what_came_from_no_queue_is_no_dead_letter(queue: str) -> None:
    assert read_dead_letter({**LETTER, "queue": queue}) is None


@given(st.none() | st.text())
def test_any_text_is_read(text: str | None) -> None:
    assert read_dead_letter(decoded(text)) is None or text


async def test_a_dead_letter_of_a_job_that_no_app_answered_has_no_status(
    engine: Engine, processor: type[Processor]
) -> None:
    await engine.run(processor(GONE), dead_letter=DLQ)
    await engine.until_state(await engine.add(), "failed")
    assert (await only_dead_letter(engine))["data"]["status"] is None
