"""What became of a job that may be gone as soon as it has finished, kept for those who wait for it."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .job import Job, Key

LIFE = 60_000
"""How long, in ms, a snapshot is kept."""


def may_vanish(keep: object) -> bool:
    """Whether a job with this removeOnComplete or removeOnFail may be removed once it has finished."""
    return keep is not None and keep is not False  # 0 keeps no job


def result_of(job: Job) -> dict[str, t.Any]:
    """What a job ended with; of one that has not ended, its state."""
    ended = job.state in ("completed", "failed")
    return {
        "state": job.state,
        "returnValue": job.return_value if ended else None,
        "failedReason": job.failed_reason if ended else None,
        "stacktrace": job.stacktrace if ended else None,
        "finishedOn": job.finished_on if ended else None,
    }


class Snapshots:
    """The results of jobs that were not to be kept."""

    def __init__(self) -> None:
        self._taken: dict[Key, tuple[int, dict[str, t.Any]]] = {}

    def take(self, job: Job, now: int) -> None:
        """Keep what the job ended with, for `LIFE` from `now` on."""
        self._taken[job.key] = (now + LIFE, result_of(job))

    def get(self, key: Key, now: int) -> dict[str, t.Any] | None:
        """What the job ended with, None where that is not known any more."""
        until, result = self._taken.get(key, (0, None))
        return result if until > now else None

    def forget(self, key: Key) -> None:
        """The job was removed by hand: nothing is left of it."""
        self._taken.pop(key, None)
