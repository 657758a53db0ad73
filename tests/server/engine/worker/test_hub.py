"""What the engine does with each verdict: real Valkey, a fake dispatcher."""

from __future__ import annotations

import json
import logging
import time
import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Completed, Delayed, Failed, RateLimited, WaitingChildren
from nextmq_server.engine.verdicts import Hold, Verdict

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

FAILED = Failed("ValueError", "no such address")


async def limiter_is_gone(engine: Engine) -> bool:
    return not await engine.redis.execute("EXISTS", engine.key("limiter"))


async def test_a_completed_job_has_its_return_value(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor(Completed({"sent": True, "to": "ä"})))
    job = await engine.until_state(await engine.add(), "completed")
    assert job["returnValue"] == {"sent": True, "to": "ä"}


async def test_a_completed_job_has_used_one_attempt(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor(Completed(None)))
    job = await engine.until_state(await engine.add(), "completed")
    assert (job["attemptsMade"], job["attemptsStarted"]) == (1, 1)


async def test_the_processor_sees_the_job_as_it_was_added(engine: Engine, processor: type[Processor]) -> None:
    process = processor()
    await engine.run(process)
    job_id = await engine.add({"to": "ä"}, attempts=3)
    await engine.until_state(job_id, "completed")
    job = process.started[0]
    assert (job.id, job.name, json.loads(job.data), job.attempts) == (job_id, "welcome", {"to": "ä"}, 3)


async def test_a_failed_job_has_its_reason(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor(FAILED))
    job = await engine.until_state(await engine.add(), "failed")
    assert job["failedReason"] == "ValueError: no such address"


async def test_a_failed_attempt_keeps_its_stack(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor(Failed("ValueError", "no", stack="Traceback …")))
    job_id = await engine.add()
    await engine.until_state(job_id, "failed")
    assert json.loads(await engine.field(job_id, "stacktrace") or "") == ["Traceback …"]


async def test_a_final_failure_is_one_error_line(
    engine: Engine, processor: type[Processor], caplog: pytest.LogCaptureFixture
) -> None:
    await engine.run(processor(FAILED))
    await engine.until_state(await engine.add(attempts=3), "failed")
    lines = [record.getMessage() for record in caplog.records if record.name == "nextmq_server.failures"]
    assert lines == ["queue emails job 1 (welcome) failed for good on attempt 3: ValueError: no such address"]


async def test_a_failed_attempt_is_tried_again(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor(FAILED, FAILED, Completed("third time")))
    job = await engine.until_state(await engine.add(attempts=3), "completed")
    assert (job["returnValue"], job["attemptsMade"]) == ("third time", 3)


async def test_attempts_are_not_exceeded(engine: Engine, processor: type[Processor]) -> None:
    process = processor(FAILED)
    await engine.run(process)
    await engine.until_state(await engine.add(attempts=3), "failed")
    assert [job.attempts_made for job in process.started] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["fixed", "exponential"])
async def test_a_backoff_delays_the_next_attempt(engine: Engine, processor: type[Processor], kind: str) -> None:
    await engine.run(processor(FAILED))
    job_id = await engine.add(attempts=2, backoff={"type": kind, "delay": 3_600_000})
    job = await engine.until_state(job_id, "delayed")
    assert (job["attemptsMade"], await engine.field(job_id, "delay")) == (1, "3600000")


async def test_a_job_runs_again_after_its_backoff(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor(FAILED, FAILED, Completed("third time")))
    job_id = await engine.add(attempts=3, backoff={"type": "exponential", "delay": 5})
    assert (await engine.until_state(job_id, "completed"))["attemptsMade"] == 3


async def test_an_unknown_backoff_fails_the_job_with_the_reason(
    engine: Engine, processor: type[Processor]
) -> None:
    await engine.run(processor(FAILED))
    job = await engine.until_state(
        await engine.add(attempts=5, backoff={"type": "fibonacci", "delay": 5}), "failed"
    )
    assert job["failedReason"] == (
        "ValueError: no such address (backoff type 'fibonacci' is not known: use fixed or exponential)"
    )


async def test_a_backoff_strategy_of_the_worker_delays_each_attempt_by_its_own_time(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    await engine.run(processor(FAILED), backoff_strategies={"slow": [1, 3_600_000]})
    job_id = await engine.add(attempts=5, backoff={"type": "slow"})

    async def has_failed_twice() -> bool:
        return bool((await engine.job(job_id))["attemptsMade"] == 2)

    await wait_until(has_failed_twice)
    await engine.until_state(job_id, "delayed")
    assert await engine.field(job_id, "delay") == "3600000"


async def test_an_unrecoverable_failure_leaves_the_attempts_unused(
    engine: Engine, processor: type[Processor]
) -> None:
    await engine.run(processor(Failed("UnrecoverableJobError", "gone", unrecoverable=True)))
    assert (await engine.until_state(await engine.add(attempts=5), "failed"))["attemptsMade"] == 1


@pytest.mark.parametrize(
    "verdict", [RateLimited(20), Hold(0.01, "the app answered 404"), Delayed(0), WaitingChildren()]
)
async def test_a_job_that_comes_back_has_used_no_attempt(
    engine: Engine, processor: type[Processor], verdict: Verdict
) -> None:
    process = processor(verdict, Completed(None))
    await engine.run(process)
    await engine.until_state(await engine.add(), "completed")
    assert [job.attempts_made for job in process.started] == [0, 0]


@pytest.mark.parametrize("verdict", [RateLimited(20), Delayed(0), WaitingChildren()])
async def test_a_job_that_comes_back_has_one_more_start(
    engine: Engine, processor: type[Processor], verdict: Verdict
) -> None:
    process = processor(verdict, Completed(None))
    await engine.run(process)
    await engine.until_state(await engine.add(), "completed")
    assert [job.attempts_started for job in process.started] == [1, 2]


async def test_a_held_job_has_no_start_counted(engine: Engine, processor: type[Processor]) -> None:
    hold = Hold(0.01, "the app answered 404")
    process = processor(hold, hold, Completed(None))
    await engine.run(process)
    await engine.until_state(await engine.add(), "completed")
    assert [job.attempts_started for job in process.started] == [1, 1, 1]


async def test_a_held_queue_leaves_its_jobs_waiting(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Hold(3600, "the app answered 404"))
    hub = await engine.run(process, limiter={"max": 1000, "duration": 20})
    for _ in range(2):
        await engine.add()
    await wait_until(lambda: process.started and not hub.queues["emails"].active)
    await wait_until(lambda: limiter_is_gone(engine))  # its life is no reason to try again sooner
    hub.queues["emails"].poke()
    await engine.settle(hub)
    assert (len(process.started), (await engine.queues.counts("emails"))["waiting"]) == (1, 2)


async def test_a_hold_ends_when_it_is_released(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Hold(3600, "the app answered 404"), Completed(None))
    hub = await engine.run(process)
    job_id = await engine.add()
    await wait_until(lambda: process.started and not hub.queues["emails"].active)
    hub.queues["emails"].look_again()
    assert (await engine.until_state(job_id, "completed"))["attemptsStarted"] == 1


async def test_a_rate_limit_rests_the_queue(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(RateLimited(3_600_000))
    hub = await engine.run(process)
    for _ in range(2):
        await engine.add()
    await wait_until(lambda: process.started and not hub.queues["emails"].active)
    hub.queues["emails"].poke()
    await engine.settle(hub)
    assert (len(process.started), (await engine.queues.counts("emails"))["waiting"]) == (1, 2)


async def test_another_server_sees_the_rate_limit(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    limited, other = processor(RateLimited(3_600_000)), processor()
    hub = await engine.run(limited)
    await engine.add()
    await wait_until(lambda: limited.started and not hub.queues["emails"].active)
    await engine.settle(await engine.run(other))
    assert (other.started, (await engine.queues.counts("emails"))["waiting"]) == ([], 1)


async def test_a_job_delayed_by_its_processor_waits_until_then(engine: Engine, processor: type[Processor]) -> None:
    until_ms = round(time.time() * 1000) + 3_600_000
    await engine.run(processor(Delayed(until_ms)))
    job_id = await engine.add()
    await engine.until_state(job_id, "delayed")
    score = float(await engine.redis.execute("ZSCORE", engine.key("delayed"), job_id))
    assert abs(score / 0x1000 - until_ms) <= 1


async def test_a_server_bug_fails_the_attempt_and_names_the_exception(engine: Engine) -> None:
    async def broken(job: object) -> Verdict:
        raise KeyError("secret detail")

    await engine.run(t.cast("t.Any", broken))
    job = await engine.until_state(await engine.add(), "failed")
    assert job["failedReason"] == "InternalError: the queue server failed to deliver: KeyError"


async def test_a_rate_limit_does_not_shorten_a_hold(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Hold(3600, "the app answered 404"), RateLimited(1), Completed(None))
    hub = await engine.run(process, concurrency=2)
    process.gate.clear()
    for _ in range(2):
        await engine.add()
    await wait_until(lambda: process.running == 2)
    process.gate.set()
    await wait_until(lambda: not hub.queues["emails"].active)
    await wait_until(lambda: limiter_is_gone(engine))
    hub.queues["emails"].poke()
    await engine.settle(hub)
    assert len(process.started) == 2


@pytest.mark.parametrize("keep", [True, {"count": 0}])
async def test_remove_on_complete_removes_the_job(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, keep: object
) -> None:
    process = processor()
    hub = await engine.run(process)
    job_id = await engine.add(removeOnComplete=keep)
    await wait_until(lambda: process.started and not hub.queues["emails"].active)
    assert await engine.redis.execute("EXISTS", engine.key(job_id)) == 0


async def test_remove_on_complete_keeps_as_many_as_it_says(engine: Engine, processor: type[Processor]) -> None:
    await engine.run(processor())
    last = [await engine.add(removeOnComplete=2) for _ in range(4)][-1]
    await engine.until_state(last, "completed")
    assert (await engine.queues.counts("emails"))["completed"] == 2


async def test_remove_on_fail_removes_the_job(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(FAILED)
    hub = await engine.run(process)
    job_id = await engine.add(removeOnFail=True)
    await wait_until(lambda: process.started and not hub.queues["emails"].active)
    assert await engine.redis.execute("EXISTS", engine.key(job_id)) == 0


@pytest.mark.parametrize(("limit", "kept"), [(0, []), (1, ["second"]), (5, ["first", "second"])])
async def test_the_stack_trace_limit_keeps_the_last_ones(
    engine: Engine, processor: type[Processor], limit: int, kept: list[str]
) -> None:
    await engine.run(processor(Failed("Error", "", stack="first"), Failed("Error", "", stack="second")))
    job_id = await engine.add(attempts=2, stackTraceLimit=limit)
    await engine.until_state(job_id, "failed")
    assert json.loads(await engine.field(job_id, "stacktrace") or "") == kept


async def test_a_job_that_recovered_logs_no_error(
    engine: Engine, processor: type[Processor], caplog: pytest.LogCaptureFixture
) -> None:
    await engine.run(processor(FAILED, Completed(None)))
    await engine.until_state(await engine.add(attempts=2), "completed")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
