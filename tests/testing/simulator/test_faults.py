"""Faults on demand: crashes, lost answers, and deliveries that come twice."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler import ConfigurationError, JobFailedError, Queue, RateLimitError, UnrecoverableJobError, Worker
from nextmq_handler.testing import LocalNextMQ


class Mailer:
    """Sends mails; `is_careful`: no job's mail twice."""

    def __init__(self, *, is_careful: bool) -> None:
        self.sent: list[str] = []
        self.worker = Worker("emails", self.send)
        self._is_careful = is_careful

    def send(self, job: t.Any) -> str:
        if job.id not in self.sent or not self._is_careful:
            self.sent.append(job.id)
        return "sent"


def test_a_crash_uses_an_attempt_and_runs_no_processor() -> None:
    mailer = Mailer(is_careful=False)
    with LocalNextMQ(workers=[mailer.worker]) as mq:
        mq.fail_next("emails")
        Queue("emails").add("welcome", attempts=2, backoff=1000)
        mq.run_all()
        assert mailer.sent == []
        assert mq.job().failed_reason == "EndpointUnavailable: the app answered 500; the job may have run"
        mq.run_until_idle()
        assert (mq.job().state, mq.job().attempts_made, mq.job().waits) == ("completed", 2, [1000])


def test_an_error_means_what_it_means_in_a_processor() -> None:
    with LocalNextMQ(workers=[Mailer(is_careful=False).worker]) as mq:
        mq.fail_next("emails", UnrecoverableJobError("no such address"))
        Queue("emails").add("welcome", attempts=5)
        mq.run_until_idle()
        assert (mq.job().failed_reason, mq.job().attempts_made) == ("UnrecoverableJobError: no such address", 1)


def test_a_signal_means_what_it_means_in_a_processor() -> None:
    with LocalNextMQ(workers=[Mailer(is_careful=False).worker]) as mq:
        mq.fail_next("emails", RateLimitError(1000))
        Queue("emails").add("welcome")
        assert [mq.run_all(), mq.job().state, mq.advance(1), mq.job().state] == [1, "waiting", 1, "completed"]


def test_faults_are_for_so_many_deliveries_of_one_queue_and_name() -> None:
    workers = [Worker("emails", lambda job: None), Worker("pages", lambda job: None)]
    with LocalNextMQ(workers=workers) as mq:
        mq.fail_next("emails", name="welcome", times=2)
        Queue("emails").add_bulk([{"name": name} for name in ("goodbye", "welcome", "welcome", "welcome")])
        Queue("pages").add("welcome")
        mq.run_all()
        assert [job.state for job in mq.jobs("emails")] == ["completed", "failed", "failed", "completed"]
        assert mq.job("pages").state == "completed"


@pytest.mark.parametrize(("is_careful", "mails"), [(True, 1), (False, 2)])
def test_a_lost_answer_tells_a_processor_that_works_twice(is_careful: bool, mails: int) -> None:
    mailer = Mailer(is_careful=is_careful)
    with LocalNextMQ(workers=[mailer.worker]) as mq:
        mq.timeout_next("emails")
        Queue("emails").add("welcome", attempts=2)
        mq.run_until_idle()
        assert mq.job().state == "completed"
    assert len(mailer.sent) == mails


def test_a_lost_answer_fails_the_last_attempt_though_the_work_is_done() -> None:
    mailer = Mailer(is_careful=True)
    with LocalNextMQ(workers=[mailer.worker]) as mq:
        mq.timeout_next("emails")
        Queue("emails").add("welcome")
        mq.run_all()
        text = "DeliveryTimeout: no whole answer within 30 s; the processor may still be running"
        assert mq.job().failed_reason == text
    assert mailer.sent == ["1"]


def test_a_timeout_may_come_before_the_processor_runs() -> None:
    mailer = Mailer(is_careful=False)
    with LocalNextMQ(workers=[mailer.worker]) as mq:
        mq.timeout_next("emails", runs=False)
        Queue("emails").add("welcome")
        mq.run_all()
        assert mq.job().state == "failed"
    assert mailer.sent == []


@pytest.mark.parametrize(("is_careful", "mails"), [(True, 1), (False, 2)])
def test_a_job_that_is_delivered_again_tells_a_processor_that_works_twice(is_careful: bool, mails: int) -> None:
    mailer = Mailer(is_careful=is_careful)
    with LocalNextMQ(workers=[mailer.worker]) as mq:
        Queue("emails").add("welcome")
        mq.run_all()
        before = mq.job()
        assert mq.redeliver(before) == "sent"
        assert mq.job() == before
    assert len(mailer.sent) == mails


@pytest.mark.parametrize("fault", ["fail_next", "timeout_next"])
def test_a_fault_of_a_queue_without_a_worker_is_refused(fault: str) -> None:
    with LocalNextMQ() as mq, pytest.raises(ConfigurationError, match="no worker of queue 'emials'"):
        getattr(mq, fault)("emials")


def test_a_job_that_fails_when_it_is_delivered_again_says_why() -> None:
    starts: list[str] = []

    def work(job: t.Any) -> None:
        starts.append(job.id)
        if len(starts) > 1:
            raise KeyError("done before")

    with LocalNextMQ(workers=[Worker("emails", work)]) as mq:
        Queue("emails").add("welcome")
        mq.run_all()
        with pytest.raises(JobFailedError, match="KeyError: 'done before'"):
            mq.redeliver(mq.job())


@pytest.mark.parametrize("times", [0, -1])
def test_a_fault_happens_once_at_least(times: int) -> None:
    with LocalNextMQ(workers=[Mailer(is_careful=False).worker]) as mq:
        with pytest.raises(ConfigurationError, match="times takes 1 or more"):
            mq.fail_next("emails", times=times)
        with pytest.raises(ConfigurationError, match="times takes 1 or more"):
            mq.timeout_next("emails", times=times)


def test_a_job_has_its_last_20_deliveries_with_what_came_of_them() -> None:
    with LocalNextMQ(workers=[Mailer(is_careful=False).worker]) as mq:
        mq.fail_next("emails", times=24)
        job = Queue("emails").add("welcome", attempts=25)
        mq.run_all()
        job.refresh()
        crash = "EndpointUnavailable: the app answered 500; the job may have run"
        seen = [(each["outcome"], each["status"], each["detail"]) for each in job.deliveries]
        assert seen == [*[("failed", 500, crash)] * 19, ("completed", 200, None)]
