"""The results of jobs that may be removed when they finish, kept for the callers that wait for them."""

from __future__ import annotations

import typing as t

from ....rules.results import RESULT_LIFE, JobResult, unfinished

if t.TYPE_CHECKING:
    from .job import Key, SimulatedJob


def result_of(job: SimulatedJob) -> JobResult:
    """Return the state of a job, and its result if it has finished."""
    if job.finished_on is None:
        return unfinished(job.state)
    return {
        "state": job.state,
        "returnValue": job.return_value,
        "failedReason": job.failed_reason,
        "stacktrace": job.stacktrace,
        "finishedOn": job.finished_on,
    }


class Snapshots:
    """The results of jobs that were not kept. Times are ms since the epoch."""

    def __init__(self) -> None:
        self._taken: dict[Key, tuple[int, JobResult]] = {}

    def take(self, job: SimulatedJob, now: int) -> None:
        """Keep the result of the job for a while."""
        self._taken[job.key] = (now + RESULT_LIFE, result_of(job))

    def get(self, key: Key, now: int) -> JobResult | None:
        """Return the result of the job, None if it is not known (any more)."""
        until, result = self._taken.get(key, (0, None))
        return result if until > now else None

    def forget(self, key: Key) -> None:
        """Drop the result of a job that the caller removed."""
        self._taken.pop(key, None)
