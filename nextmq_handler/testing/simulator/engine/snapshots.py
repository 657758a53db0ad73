"""The results of jobs that may be removed when they finish, kept for the callers that wait for them."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .job import Key, SimulatedJob

LIFE = 60_000
"""How long a snapshot is kept, in ms."""


def may_vanish(keep: object) -> bool:
    """Return whether removeOnComplete or removeOnFail may remove the job when it finishes."""
    return keep is not None and keep is not False  # 0 keeps no job


def result_of(job: SimulatedJob) -> dict[str, t.Any]:
    """Return the state of a job, and its result if it has finished."""
    ended = job.state in ("completed", "failed")
    return {
        "state": job.state,
        "returnValue": job.return_value if ended else None,
        "failedReason": job.failed_reason if ended else None,
        "stacktrace": job.stacktrace if ended else None,
        "finishedOn": job.finished_on if ended else None,
    }


class Snapshots:
    """The results of jobs that were not kept."""

    def __init__(self) -> None:
        self._taken: dict[Key, tuple[int, dict[str, t.Any]]] = {}

    def take(self, job: SimulatedJob, now: int) -> None:
        """Keep the result of the job for `LIFE`."""
        self._taken[job.key] = (now + LIFE, result_of(job))

    def get(self, key: Key, now: int) -> dict[str, t.Any] | None:
        """Return the result of the job, None if it is not known (any more)."""
        until, result = self._taken.get(key, (0, None))
        return result if until > now else None

    def forget(self, key: Key) -> None:
        """Drop the result of a job that the caller removed."""
        self._taken.pop(key, None)
