"""Tell both checkers what to report of processors: each `# error` line, and no other.

Read by test_checkers.py, never run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict, assert_type

from pydantic import BaseModel

from nextmq_handler import AsyncJob, Cron, Every, Job, RateLimitErorr, UnrecoverableError, Worker  # noqa: F401 # error


class Welcome(TypedDict):
    to: str


emails = Worker("emails")


@emails.processor("welcome")
async def welcome(job: AsyncJob[Welcome]) -> int:
    assert_type(job.data, Welcome)
    await job.update_progress(20)
    return len(job.data["to"])


@emails.processor
def anything(job: Job[list[int]]) -> str:
    assert_type(job.data, list[int])
    job.update_progress(20)
    return str(job.data)


@emails.processor("plain")
def plain(job: Job) -> None: ...


async def called_as_it_was_written(job: AsyncJob[Welcome], other: Job[list[int]]) -> None:
    assert_type(await welcome(job), int)
    assert_type(anything(other), str)


@emails.processor("wrong data key")
async def wrong_key(job: AsyncJob[Welcome]) -> None:
    print(job.data["form"])  # error


@emails.processor("async def with Job")  # error
async def async_with_job(job: Job[Welcome]) -> None: ...


@emails.processor  # error
async def bare_async_with_job(job: Job[Welcome]) -> None: ...


@emails.processor("def with AsyncJob")  # error
def sync_with_async_job(job: AsyncJob[Welcome]) -> None: ...


@emails.processor  # error
def bare_sync_with_async_job(job: AsyncJob[Welcome]) -> None: ...


@dataclass
class Sent:
    at: datetime


class Receipt(BaseModel):
    sent: Sent


@emails.processor("returns a model")
def returns_a_model(job: Job[Welcome]) -> Receipt:
    return Receipt(sent=Sent(datetime.now(UTC)))


@emails.processor("returns a dataclass or nothing")
def returns_a_dataclass(job: Job[Welcome]) -> Sent | None: ...


@emails.processor("returns a TypedDict")
def returns_a_typed_dict(job: Job[Welcome]) -> Welcome:
    return job.data


@emails.processor("no job")  # error
def no_job() -> None: ...


@emails.processor("awaits nothing")
async def not_awaited(job: AsyncJob[Welcome]) -> None:
    job.update_progress(20)  # error


@emails.every(timedelta(hours=1), data={"n": 1}, attempts=3)
async def hourly(job: AsyncJob[Welcome]) -> int:
    return len(job.data["to"])


@emails.cron("0 8 * * 1", tz="Europe/Berlin")
def weekly(job: Job[Welcome]) -> str:
    return job.data["to"]


async def scheduled_functions_are_as_they_were_written(job: AsyncJob[Welcome], other: Job[Welcome]) -> None:
    assert_type(await hourly(job), int)
    assert_type(weekly(other), str)


@emails.every(timedelta(hours=1))  # error
async def scheduled_async_with_job(job: Job[Welcome]) -> None: ...


@emails.cron("0 8 * * 1")  # error
def scheduled_sync_with_async_job(job: AsyncJob[Welcome]) -> None: ...


listed = Worker(
    "reports", anything, schedules=[Every("hourly", 3_600_000), Cron("weekly", "0 8 * * 1", lifo=True)]
)
wrong_option = Every("hourly", 3_600_000, delay=5)  # error

mapped = Worker(
    "mapped",
    anything,
    errors={
        KeyError: UnrecoverableError("no"),
        OSError: UnrecoverableError,
        ValueError: lambda exc: RuntimeError(str(exc)),
    },
)
wrong_meaning = Worker("wrong", anything, errors={KeyError: 5000})  # error


def retried(job: Job[Welcome]) -> None:
    job.retry_in("5 s")  # error
    job.retry_in(timedelta(seconds=5))
