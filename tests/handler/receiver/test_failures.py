"""The app's log has each failed attempt, with its traceback."""

import logging
import typing as t

import pytest

from nextmq_handler import Job, Queue, RateLimitError, UnrecoverableJobError, Worker
from nextmq_handler.testing import LocalNextMQ
from tests.support.handler import AnyJob, Style, deliver, delivery, make_handler, sync_and_async

pytestmark = pytest.mark.anyio


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit


def boom(job: AnyJob) -> t.NoReturn:
    raise ValueError("no such address")


def not_json(job: AnyJob) -> object:
    return object()


def unrecoverable(job: AnyJob) -> t.NoReturn:
    raise UnrecoverableJobError("never")


def later(job: AnyJob) -> t.NoReturn:
    raise RateLimitError(1000)


def unprintable(job: AnyJob) -> t.NoReturn:
    raise Unprintable


def logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "nextmq_handler.jobs"]


@sync_and_async
@pytest.mark.parametrize(
    ("body", "attempts", "made", "level", "error"),
    [
        (boom, 1, 0, "ERROR", ValueError),
        (boom, 3, 0, "WARNING", ValueError),
        (boom, 3, 2, "ERROR", ValueError),
        (unrecoverable, 3, 0, "ERROR", UnrecoverableJobError),
        (unprintable, 1, 0, "ERROR", Unprintable),
    ],
)
async def test_a_failure_is_an_error_if_it_was_the_last_attempt_and_else_a_warning(
    style: Style,
    body: t.Callable[[AnyJob], t.Any],
    attempts: int,
    made: int,
    level: str,
    error: type[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    content = delivery(job={"opts": {"attempts": attempts}, "attemptsMade": made})
    await deliver(make_handler(Worker("emails", style(body))), content)
    [record] = logged(caplog)
    assert record.levelname == level
    assert record.exc_info is not None
    assert record.exc_info[0] is error
    assert record.exc_info[2] is not None
    members = {name: vars(record)[name] for name in ("queue", "job", "attempt", "delivery")}
    assert members == {"queue": "emails", "job": "42", "attempt": made + 1, "delivery": "dlv_1"}


@sync_and_async
async def test_a_result_that_cannot_be_sent_is_logged(style: Style, caplog: pytest.LogCaptureFixture) -> None:
    await deliver(make_handler(Worker("emails", style(not_json))))
    [record] = logged(caplog)
    assert "ReturnValueError: the return value is not JSON" in record.getMessage()


@sync_and_async
async def test_a_signal_is_not_logged(style: Style, caplog: pytest.LogCaptureFixture) -> None:
    await deliver(make_handler(Worker("emails", style(later))))
    assert logged(caplog) == []


async def test_a_job_without_a_processor_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker("emails")
    worker.processor("other")(boom)
    await deliver(make_handler(worker))
    [record] = logged(caplog)
    assert "UnknownJobName" in record.getMessage()


async def test_text_of_others_stays_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    content = delivery(job={"id": "4\n2", "name": "a\x1b[31m"})
    await deliver(make_handler(Worker("emails", boom)), content)
    [record] = logged(caplog)
    assert record.getMessage().isprintable()


async def test_a_log_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(record: logging.LogRecord) -> bool:
        raise SystemExit

    logger = logging.getLogger("nextmq_handler.jobs")
    logger.addFilter(refuse)
    try:
        outcome = await deliver(make_handler(Worker("emails", boom)))
    finally:
        logger.removeFilter(refuse)
    assert outcome["error"]["name"] == "ValueError"


def test_the_local_queue_logs_each_failure_once(caplog: pytest.LogCaptureFixture) -> None:
    def fails(job: Job) -> None:
        raise ValueError("no such address")

    with LocalNextMQ(workers=[Worker("emails", fails)]) as mq:
        Queue("emails").add("welcome", {}, attempts=2)
        mq.run_until_idle()
    assert [record.levelname for record in logged(caplog)] == ["WARNING", "ERROR"]
