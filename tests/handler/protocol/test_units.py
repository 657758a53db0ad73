"""Times in the wrong unit: what was meant as ms, s or a duration is refused, with the right spelling."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler import (
    AsyncQueue,
    AsyncTriggers,
    ConfigurationError,
    DelayedError,
    Every,
    NextMQ,
    Queue,
    RateLimitError,
    Triggers,
    Worker,
    create_nextmq_wsgi_handler,
)
from nextmq_handler.idempotency import MemoryStore, idempotent
from nextmq_handler.protocol.arguments import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS, timeout_seconds, timestamp_ms
from nextmq_handler.rules.options import JobOptions, Repeat, job_options, to_wire
from nextmq_handler.testing import LocalNextMQ, VirtualClock, make_async_job, make_job, run
from tests.support.handler import SECRET, URL

emails = Worker("emails", lambda job: None)
JOB: t.Any = make_job(None)


def handler(**options: t.Any) -> object:
    return create_nextmq_wsgi_handler([emails], webhook_secrets=SECRET, **options)


IN_S: dict[str, t.Callable[[t.Any], object]] = {
    "Worker(timeout)": lambda value: Worker("emails", timeout=value),
    "tolerance": lambda value: handler(tolerance=value),
    "body_timeout": lambda value: handler(body_timeout=value),
    "Queue(timeout)": lambda value: Queue("emails", url=URL, timeout=value),
    "AsyncQueue(timeout)": lambda value: AsyncQueue("emails", url=URL, timeout=value),
    "NextMQ(timeout)": lambda value: NextMQ(URL, timeout=value),
    "Triggers(timeout)": lambda value: Triggers(url=URL, timeout=value),
    "AsyncTriggers(timeout)": lambda value: AsyncTriggers(url=URL, timeout=value),
    "idempotent(lease)": lambda value: idempotent(MemoryStore(), lease=value),
}


@pytest.mark.parametrize(("value", "meant"), [(30_000, "30.0"), (10_000.0, "10.0"), (300_000, "300.0")])
@pytest.mark.parametrize("take", IN_S.values(), ids=IN_S)
def test_a_number_of_s_that_was_meant_as_ms_is_refused(
    take: t.Callable[[t.Any], object], value: float, meant: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"is in s, and .* did you mean {meant}\?"):
        take(value)


@pytest.mark.parametrize("take", IN_S.values(), ids=IN_S)
def test_a_long_time_that_says_its_unit_is_taken(take: t.Callable[[t.Any], object]) -> None:
    take(timedelta(hours=2))


@pytest.mark.parametrize("take", IN_S.values(), ids=IN_S)
def test_a_time_of_minutes_is_taken(take: t.Callable[[t.Any], object]) -> None:
    take(900)


def test_waiting_8_hours_for_a_job_by_a_bare_number_is_refused() -> None:
    with LocalNextMQ(workers=[]):
        job = Queue("emails").add("welcome")
        with pytest.raises(ConfigurationError, match=r"timeout is in s.* did you mean 30\.0\?"):
            job.wait_until_finished(30_000)


IN_MS: dict[str, t.Callable[[t.Any], object]] = {
    "RateLimitError": RateLimitError,
    "retry_in": JOB.retry_in,
    "delay": lambda value: job_options({"delay": value}),
    "backoff": lambda value: job_options({"backoff": value}),
    "backoff.delay": lambda value: job_options({"backoff": {"type": "fixed", "delay": value}}),
    "deduplication.ttl": lambda value: job_options({"deduplication": {"id": "a", "ttl": value}}),
    "limiter.duration": lambda value: Worker("emails", limiter={"max": 1, "duration": value}),
    "lock_duration": lambda value: Worker("emails", lock_duration=value),
    "stalled_interval": lambda value: Worker("emails", stalled_interval=value),
    "backoff_strategies": lambda value: Worker("emails", backoff_strategies={"slow": [value]}),
    "Every": lambda value: Every("report", value),
    "Every(offset)": lambda value: Every("report", 1000, offset=value),
    "worker.every": lambda value: Worker("emails").every(value, name="a")(lambda job: None),
    "repeat.every": lambda value: to_wire(Repeat, {"every": value}, kind="member of repeat"),
}


@pytest.mark.parametrize("value", [0.5, 1.5, 30.0])
@pytest.mark.parametrize("take", IN_MS.values(), ids=IN_MS)
def test_a_number_of_ms_that_was_meant_as_s_is_refused(take: t.Callable[[t.Any], object], value: float) -> None:
    with pytest.raises(ConfigurationError, match=rf"if these are s, write timedelta\(seconds={value}\)"):
        take(value)


@pytest.mark.parametrize("value", [0, 1, 5000, 86_400_000, MIN_TIMESTAMP_MS - 1, datetime(1999, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("wait", [JOB.move_to_delayed, make_async_job(None).move_to_delayed, DelayedError])
def test_a_moment_before_2001_is_a_duration_by_mistake(wait: t.Callable[[t.Any], t.Any], value: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=r"is before 2001: to wait for a while, call job\.retry_in\("):
        wait(value)


def test_a_processor_with_such_a_moment_fails_its_attempt() -> None:
    outcome = run(Worker("emails", lambda job: job.move_to_delayed(5000)), make_job(None))
    assert outcome.error is not None
    assert (outcome.delayed, outcome.error.name) == (None, "ConfigurationError")


AT: dict[str, t.Callable[[t.Any], object]] = {
    "move_to_delayed": JOB.move_to_delayed,
    "timestamp": lambda value: to_wire(JobOptions, {"timestamp": value}, kind="job option"),
    "start_date": lambda value: to_wire(Repeat, {"every": 1, "start_date": value}, kind="member of repeat"),
    "end_date": lambda value: to_wire(Repeat, {"every": 1, "end_date": value}, kind="member of repeat"),
}


@pytest.mark.parametrize("s", [978_307_200, 1_790_000_000, 2_099_999_999])
@pytest.mark.parametrize("take", AT.values(), ids=AT)
def test_a_moment_in_s_since_the_epoch_is_refused(take: t.Callable[[t.Any], object], s: int) -> None:
    with pytest.raises(ConfigurationError, match=f"and {s} are s: did you mean {s}000"):
        take(s)


@given(ms=st.integers(MIN_TIMESTAMP_MS, MAX_TIMESTAMP_MS - 1))
def test_every_moment_since_2001_is_taken(ms: int) -> None:
    assert (timestamp_ms("at", ms), DelayedError(ms).timestamp) == (ms, ms)


@given(s=st.floats(0.001, 3600) | st.integers(1, 3600))
def test_every_time_up_to_an_hour_is_taken(s: float) -> None:
    assert timeout_seconds("timeout", s) == s


def test_a_virtual_clock_may_be_before_2001() -> None:
    def process(job: t.Any) -> None:
        if job.attempts_started == 1:
            job.retry_in(5000)

    with LocalNextMQ(
        workers=[Worker("emails", process)], clock=VirtualClock(datetime(1999, 1, 1, tzinfo=UTC))
    ) as mq:
        job = Queue("emails").add("welcome")
        mq.run_all()
        mq.advance(5)
        assert job.get_state() == "completed"
