"""Virtual time: what runs when, without waiting."""

from __future__ import annotations

import sys
import typing as t
from datetime import UTC, datetime, timedelta

import pytest

from nextmq_handler import ConfigurationError, Cron, Every, Job, Queue, RateLimitError, Worker
from nextmq_handler.testing import LocalNextMQ, NeverFinishedError, NotIdleError, VirtualClock

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)


def broken(job: t.Any) -> None:
    raise ConnectionError("smtp down")


def done(job: t.Any) -> None:
    return None


def test_a_retry_schedule_is_asserted_without_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalNextMQ(workers=[Worker("emails", broken)]) as mq:
        Queue("emails").add("welcome", attempts=5, backoff={"type": "exponential", "delay": 1000})
        mq.run_until_idle()
        print(mq.job("emails").waits)
    assert capsys.readouterr().out == "[1000, 2000, 4000, 8000]\n"


def test_run_all_runs_what_may_run_now_and_time_stands_still() -> None:
    with LocalNextMQ(workers=[Worker("emails", done)], clock=VirtualClock(NOON)) as mq:
        Queue("emails").add("now")
        Queue("emails").add("later", delay=1)
        assert mq.run_all() == 1
        assert [job.name for job in mq.jobs(state="completed")] == ["now"]
        assert mq.now == NOON


def test_drain_is_the_old_name_of_run_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextmq_handler._deprecated._warned", set())
    with LocalNextMQ(workers=[Worker("emails", done)]) as mq:
        Queue("emails").add("welcome")
        with pytest.warns(DeprecationWarning, match=r"LocalNextMQ\.drain\(\) is now LocalNextMQ\.run_all\(\)"):
            assert mq.drain() == 1


def test_advance_runs_what_falls_due_each_at_its_time() -> None:
    seen: list[tuple[str, datetime]] = []
    clock = VirtualClock(NOON)
    worker = Worker("emails", lambda job: seen.append((job.name, clock.now)))
    with LocalNextMQ(workers=[worker], clock=clock) as mq:
        Queue("emails").add("second", delay=timedelta(minutes=2))
        Queue("emails").add("first", delay=timedelta(minutes=1))
        Queue("emails").add("third", delay=timedelta(minutes=3, milliseconds=1))
        assert mq.advance(timedelta(minutes=3)) == 2
    assert seen == [("first", NOON + timedelta(minutes=1)), ("second", NOON + timedelta(minutes=2))]
    assert mq.now == NOON + timedelta(minutes=3)


def test_a_number_is_seconds_to_advance() -> None:
    with LocalNextMQ(clock=VirtualClock(NOON)) as mq:
        mq.advance(1.5)
        assert mq.now == NOON + timedelta(milliseconds=1500)


@pytest.mark.parametrize("span", [-1, timedelta(-1), True, "1"])
def test_time_moves_only_by_a_span(span: t.Any) -> None:
    with LocalNextMQ() as mq, pytest.raises(ConfigurationError, match="advance takes"):
        mq.advance(span)


def test_a_clock_wants_a_time_zone() -> None:
    with pytest.raises(ConfigurationError, match="aware datetime"):
        VirtualClock(datetime(2026, 1, 1))  # noqa: DTZ001


def test_jitter_spreads_a_backoff_by_the_numbers_that_it_is_given() -> None:
    with LocalNextMQ(workers=[Worker("emails", broken)], rand=lambda: 0.5) as mq:
        Queue("emails").add("welcome", attempts=2, backoff={"type": "fixed", "delay": 1000, "jitter": 0.2})
        mq.run_until_idle()
        assert mq.job("emails").waits == [900]


def test_a_backoff_strategy_of_the_worker_is_waited_by() -> None:
    worker = Worker("emails", broken, backoff_strategies={"slow": [1000, timedelta(minutes=1)]})
    with LocalNextMQ(workers=[worker]) as mq:
        Queue("emails").add("welcome", attempts=4, backoff={"type": "slow"})
        mq.run_until_idle()
        assert mq.job("emails").waits == [1000, 60_000, 60_000]


def test_a_limiter_lets_so_many_jobs_start_in_each_window() -> None:
    worker = Worker("emails", done, limiter={"max": 2, "duration": 1000})
    with LocalNextMQ(workers=[worker], clock=VirtualClock(NOON)) as mq:
        Queue("emails").add_bulk([{"name": str(number)} for number in range(5)])
        mq.run_until_idle()
        start = round(NOON.timestamp() * 1000)
        assert [job.starts[0] - start for job in mq.jobs()] == [0, 0, 1000, 1000, 2000]


def test_a_rate_limit_stops_the_queue_and_uses_no_attempt() -> None:
    limits = iter([timedelta(minutes=5)])

    def busy(job: t.Any) -> None:
        for limit in limits:
            raise RateLimitError(limit)

    with LocalNextMQ(workers=[Worker("emails", busy)], clock=VirtualClock(NOON)) as mq:
        Queue("emails").add("welcome")
        mq.advance(299)
        assert mq.job("emails").state == "waiting"
        mq.advance(1)
        assert (mq.job("emails").state, mq.job("emails").attempts_made) == ("completed", 1)


def test_retry_in_counts_from_the_virtual_time() -> None:
    delays = iter([timedelta(days=3)])

    def later(job: Job[None]) -> None:
        for delay in delays:
            job.retry_in(delay)

    with LocalNextMQ(workers=[Worker("emails", later)], clock=VirtualClock(NOON)) as mq:
        Queue("emails").add("welcome")
        mq.run_until_idle()
        first, second = mq.job("emails").starts
        assert (second - first, mq.job("emails").attempts_made) == (3 * 86_400_000, 1)


def test_a_cron_schedule_keeps_to_its_time_zone_where_the_clocks_change() -> None:
    worker = Worker("reports", done, schedules=[Cron("daily", "0 8 * * *", tz="Europe/Berlin")])
    with LocalNextMQ(workers=[worker], clock=VirtualClock(NOON)) as mq:
        mq.advance(timedelta(days=2))
        starts = [datetime.fromtimestamp(job.starts[0] / 1000, UTC) for job in mq.jobs(state="completed")]
    assert [start.isoformat() for start in starts] == ["2026-03-29T06:00:00+00:00", "2026-03-30T06:00:00+00:00"]


def test_a_cron_schedule_without_croniter_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "croniter", None)
    monkeypatch.delitem(sys.modules, "nextmq_handler.rules.cron", raising=False)
    with LocalNextMQ(), pytest.raises(ConfigurationError, match=r"pip install 'nextmq-handler\[server\]'"):
        Queue("reports").upsert_job_scheduler("daily", {"pattern": "0 8 * * *"})


def test_a_schedule_every_so_often_keeps_to_its_multiples_since_the_epoch() -> None:
    worker = Worker("reports", done, schedules=[Every("hourly", timedelta(hours=1), data={"kind": "short"})])
    clock = VirtualClock(NOON + timedelta(minutes=30))
    with LocalNextMQ(workers=[worker], clock=clock) as mq:
        mq.advance(timedelta(hours=2))
        found = mq.jobs(state="completed")
    assert [datetime.fromtimestamp(job.starts[0] / 1000, UTC).minute for job in found] == [0, 0]
    assert [(job.name, job.data) for job in found] == [("hourly", {"kind": "short"})] * 2


def test_a_scheduler_shows_its_last_run_and_runs_at_once_when_asked() -> None:
    worker = Worker("reports", done, schedules=[Every("hourly", timedelta(hours=1), data={"kind": "short"})])
    with LocalNextMQ(workers=[worker], clock=VirtualClock(NOON)) as mq:
        queue = Queue("reports")
        before = queue.get_job_scheduler("hourly")
        assert before is not None
        extra = queue.run_scheduler("hourly")
        mq.run_all()
        ran = queue.get_job_scheduler("hourly")
        assert ([job.data for job in mq.jobs() if job.id == extra], ran) == ([{"kind": "short"}], before)
        mq.advance(timedelta(hours=1))
        after = queue.get_job_scheduler("hourly")
    assert after is not None
    assert (before.last, after.last and after.last["state"], after.overdue_by) == (None, "completed", None)


def test_a_run_that_a_pause_keeps_waiting_is_overdue() -> None:
    worker = Worker("reports", done, schedules=[Every("hourly", timedelta(hours=1))])
    with LocalNextMQ(workers=[worker], clock=VirtualClock(NOON)) as mq:
        mq.run_all()
        Queue("reports").pause()
        mq.advance(timedelta(hours=1, seconds=31))
        scheduler = Queue("reports").get_job_scheduler("hourly")
    assert scheduler is not None
    assert scheduler.overdue_by == 31_000


def test_a_schedule_that_never_ends_is_told_by_name() -> None:
    worker = Worker("reports", done, schedules=[Every("hourly", timedelta(hours=1))])
    with (
        LocalNextMQ(workers=[worker]) as mq,
        pytest.raises(NotIdleError, match=r"after 7 deliveries: reports has 1"),
    ):
        mq.run_until_idle(limit=7)


def test_a_job_that_adds_itself_is_told_by_name() -> None:
    def again(job: t.Any) -> None:
        Queue("loops").add("again")

    with LocalNextMQ(workers=[Worker("loops", again)]) as mq:
        Queue("loops").add("again")
        with pytest.raises(NotIdleError, match=r"after 10 deliveries: loops has 1 waiting"):
            mq.run_all(limit=10)
        assert [job.attempts_started for job in mq.jobs(state="waiting")] == [0]


def test_jobs_of_a_queue_without_a_worker_wait() -> None:
    with LocalNextMQ(workers=[Worker("emails", done)]) as mq:
        Queue("pictures").add("thumbnail", delay=1)
        assert mq.run_until_idle() == 0
        assert mq.job("pictures").state == "delayed"


def test_waiting_for_a_job_runs_it_in_virtual_time() -> None:
    with LocalNextMQ(workers=[Worker("emails", lambda job: job.data)], clock=VirtualClock(NOON)) as mq:
        job = Queue("emails").add("welcome", "hi", delay=timedelta(minutes=3))
        assert job.wait_until_finished(timeout=timedelta(hours=1)) == "hi"
        assert mq.now == NOON + timedelta(minutes=3)


def test_waiting_for_a_job_ends_when_its_time_is_over() -> None:
    with LocalNextMQ(workers=[Worker("emails", done)], clock=VirtualClock(NOON)) as mq:
        job = Queue("emails").add("welcome", delay=timedelta(minutes=3))
        with pytest.raises(TimeoutError, match=r"has not finished within 60\.0 s: it is delayed"):
            job.wait_until_finished(timeout=60)
        assert mq.now == NOON + timedelta(minutes=1)


def test_waiting_for_a_job_that_nothing_will_run_ends_at_once() -> None:
    with LocalNextMQ():
        job = Queue("emails").add("welcome")
        with pytest.raises(NeverFinishedError, match=r"job 1 of queue emails is waiting, and nothing that is due"):
            job.wait_until_finished()


def test_a_clock_that_is_a_datetime_is_refused() -> None:
    start: t.Any = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="clock takes a VirtualClock"):
        LocalNextMQ(clock=start)
