"""Processors run by production's own code: signed delivery, job calls, types, signals."""

from __future__ import annotations

import typing as t

import pytest
from pydantic import BaseModel

from nextmq_handler import (
    AsyncJob,
    Job,
    JobRemovedError,
    Queue,
    RateLimitError,
    StaleDeliveryError,
    UnrecoverableJobError,
    Worker,
)
from nextmq_handler.testing import LocalNextMQ


class Welcome(BaseModel):
    to: str


def test_the_calls_of_a_job_go_to_the_queue_in_process() -> None:
    def work(job: Job[t.Any]) -> int:
        job.update_progress({"done": 1})
        job.update_data({"step": 2})
        return job.log("began") + job.log("went on")

    with LocalNextMQ(workers=[Worker("emails", work)]) as mq:
        Queue("emails").add("welcome", {"step": 1})
        mq.run_all()
        job = mq.job()
    assert (job.progress, job.data, job.logs, job.return_value) == (
        {"done": 1},
        {"step": 2},
        ["began", "went on"],
        3,
    )


def test_the_calls_of_an_async_job_go_to_the_queue_in_process() -> None:
    async def work(job: AsyncJob[t.Any]) -> None:
        await job.update_progress(50)

    with LocalNextMQ(workers=[Worker("emails", work)]) as mq:
        Queue("emails").add("welcome")
        mq.run_all()
        assert mq.job().progress == 50


def test_the_calls_of_a_delivery_that_was_answered_are_refused() -> None:
    kept: list[Job[t.Any]] = []
    with LocalNextMQ(workers=[Worker("emails", kept.append)]) as mq:
        Queue("emails").add("welcome")
        mq.run_all()
        with pytest.raises(StaleDeliveryError, match="no longer owns job 1"):
            kept[0].update_progress(1)


def test_a_job_that_was_removed_while_it_ran_stays_removed() -> None:
    def work(job: Job[t.Any]) -> None:
        Queue("emails").remove("late")

    with LocalNextMQ(workers=[Worker("emails", work)]) as mq:
        Queue("emails").add("late", job_id="late", delay=1)
        Queue("emails").add("welcome")
        mq.run_until_idle()
        assert [(job.name, job.state, job.is_removed) for job in mq.jobs()] == [
            ("late", "delayed", True),
            ("welcome", "completed", False),
        ]


def test_data_that_does_not_fit_its_type_fails_for_good() -> None:
    emails = Worker("emails")

    @emails.processor("welcome")
    def welcome(job: Job[Welcome]) -> str:
        return job.data.to

    with LocalNextMQ(workers=[emails]) as mq:
        Queue("emails").add("welcome", {"to": 1}, attempts=3)
        mq.run_until_idle()
        job = mq.job()
    assert (job.state, job.attempts_made, job.failed_reason) == (
        "failed",
        1,
        "DataValidationError: data.to: Input should be a valid string",
    )


def test_a_job_without_a_processor_of_its_name_fails_by_name() -> None:
    emails = Worker("emails")
    emails.processor("welcome")(lambda job: None)
    with LocalNextMQ(workers=[emails]) as mq:
        Queue("emails").add("wellcome")
        mq.run_all()
        assert "has no processor for jobs named 'wellcome'; it has 'welcome'" in (mq.job().failed_reason or "")


def test_what_a_worker_makes_of_foreign_exceptions_holds() -> None:
    def work(job: Job[t.Any]) -> None:
        raise PermissionError("revoked")

    worker = Worker("emails", work, errors={PermissionError: lambda exc: UnrecoverableJobError(str(exc))})
    with LocalNextMQ(workers=[worker]) as mq:
        Queue("emails").add("welcome", attempts=5)
        mq.run_until_idle()
        assert (mq.job().failed_reason, mq.job().attempts_made) == ("UnrecoverableJobError: revoked", 1)


def test_a_job_that_only_ever_asks_to_run_later_fails_in_the_end() -> None:
    def busy(job: Job[t.Any]) -> None:
        raise RateLimitError(1000)

    with LocalNextMQ(workers=[Worker("emails", busy)]) as mq:
        Queue("emails").add("welcome")
        assert mq.run_until_idle() == 100
        assert mq.job().failed_reason == "TooManyStarts: the job was started 100 times without using an attempt"


def test_a_job_that_fails_for_good_sends_a_dead_letter_and_is_redriven() -> None:
    fails = [True]

    def work(job: Job[t.Any]) -> str:
        if fails:
            raise ConnectionError("smtp down")
        return "sent"

    with LocalNextMQ(workers=[Worker("emails", work, dead_letter=True)]) as mq:
        Queue("emails").add("welcome", {"to": "ada"}, job_id="w1")
        mq.run_all()
        letter = mq.job("emails-dlq")
        assert (letter.data["queue"], letter.data["id"], letter.data["reason"]) == (
            "emails",
            "w1",
            "ConnectionError: smtp down",
        )
        fails.clear()
        assert Queue("emails-dlq").redrive() == [letter.id]
        mq.run_all()
        assert [job.return_value for job in mq.jobs("emails")] == ["sent"]


def test_a_job_is_not_redriven_into_its_own_queue() -> None:
    letter: dict[str, t.Any] = {
        "queue": "emails-dlq",
        "id": "w1",
        "name": "welcome",
        "data": None,
        "opts": {},
        "attemptsMade": 1,
        "reason": "smtp down",
        "stacktrace": [],
        "status": None,
        "failedAt": 1,
    }
    with LocalNextMQ():
        Queue("emails-dlq").add("welcome", letter)
        assert Queue("emails-dlq").redrive() == []


def test_a_job_that_was_not_kept_is_seen_by_the_test_and_by_those_who_wait() -> None:
    with LocalNextMQ(workers=[Worker("emails", lambda job: "sent")]) as mq:
        job = Queue("emails").add("welcome", remove_on_complete=True)
        mq.run_all()
        assert job.wait_until_finished(1) == "sent"
        assert (mq.job().return_value, mq.job().is_removed) == ("sent", True)
        with pytest.raises(JobRemovedError):
            job.refresh()


def test_what_a_processor_keeps_of_its_data_is_its_own() -> None:
    def work(job: Job[t.Any]) -> None:
        job.data["to"].append("eve")

    with LocalNextMQ(workers=[Worker("emails", work)]) as mq:
        Queue("emails").add("welcome", {"to": ["ada"]})
        mq.run_all()
        assert mq.job().data == {"to": ["ada"]}


def test_the_environment_of_the_app_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_WEBHOOK_SECRETS", "another secret of at least 24 bytes")
    monkeypatch.setenv("NEXTMQ_APP_URL", "no url")
    with LocalNextMQ(workers=[Worker("emails", lambda job: "sent")]) as mq:
        Queue("emails").add("welcome")
        mq.run_all()
        assert mq.job().return_value == "sent"
