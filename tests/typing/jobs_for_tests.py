"""Tell both checkers what to report of jobs for tests: each `# error` line, and no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

from nextmq_handler import AsyncJob, Job, Worker
from nextmq_handler.testing import (
    Answer,
    JobOutcome,
    adeliver,
    arun,
    deliver,
    make_async_job,
    make_job,
    run,
)


@dataclass
class Welcome:
    to: str


def welcome(job: Job[Welcome]) -> str:
    return job.data.to


async def async_welcome(job: AsyncJob[Welcome]) -> str:
    return job.data.to


emails = Worker("emails", welcome)
job = make_job(Welcome("ada"), name="welcome", attempts_made=2)
async_job = make_async_job(Welcome("ada"))

assert_type(job.data, Welcome)
assert_type(welcome(job), str)
assert_type(run(emails, job), JobOutcome)
assert_type(run(emails, async_job), JobOutcome)
assert_type(deliver(emails, job).outcome, JobOutcome)
assert_type(job.progress_updates[0], object)  # error

welcome(async_job)  # error
welcome(make_job({"to": "ada"}))  # error
make_job(None, attempts=2)  # error
make_job(None, attempts_made="2")  # error
run(emails, Welcome("ada"))  # error
deliver(emails, job, secret="whsec_")  # error


async def in_a_loop() -> None:
    assert_type(await async_welcome(async_job), str)
    assert_type(await arun(emails, async_job), JobOutcome)
    assert_type(await adeliver(emails, job), Answer)
