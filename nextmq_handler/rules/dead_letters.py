"""Dead letters: the data and the id of the job that records a final failure."""

from __future__ import annotations

import typing as t


class DeadLetter(t.TypedDict):
    """The data of a dead letter.

    `status` is that of the app's last HTTP answer, None if none came; `failedAt` is ms since the epoch.
    """

    queue: str
    id: str
    name: str
    data: t.Any
    opts: dict[str, t.Any]
    attemptsMade: int
    reason: str
    stacktrace: list[str]
    status: int | None
    failedAt: int


def dead_letter_id(queue: str, job_id: str, failed_at: int) -> str:
    """Return the id of the dead letter for a final failure at `failed_at`, ms since the epoch.

    It has no ":", which a custom id must not have and the id of a scheduler's job has. No two failures share an
    id: "@" ends the queue, whose name cannot hold it, and begins the time.
    """
    return f"{queue}@{job_id.replace('%', '%25').replace(':', '%3A')}@{failed_at}"
