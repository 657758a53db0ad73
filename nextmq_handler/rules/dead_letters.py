"""Dead letters: the jobs that record final failures, and which of them a redrive sends back."""

from __future__ import annotations

import typing as t

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic takes typing's from Python 3.12 on

from .models import Queue
from .states import FAILURE_POLICIES

# The options that belong to the first run: its time, its scheduler, its parent, its ids.
_OF_THE_FIRST_RUN = frozenset(
    (
        *("deduplication", "delay", "jobId", "parent", "prevMillis", "repeat", "repeatJobKey", "timestamp"),
        *FAILURE_POLICIES,
    )
)


class DeadLetter(TypedDict):
    """The data of a dead letter.

    `status` is that of the app's last HTTP answer, None if none came; `failedAt` is ms since the epoch.
    """

    queue: Queue
    id: str
    name: str
    data: t.Any
    opts: dict[str, t.Any]
    attemptsMade: int
    reason: str
    stacktrace: list[str]
    status: int | None
    failedAt: int


_DEAD_LETTER: TypeAdapter[DeadLetter] = TypeAdapter(DeadLetter)


def dead_letter_id(queue: str, job_id: str, failed_at: int) -> str:
    """Return the id of the dead letter for a final failure at `failed_at`, ms since the epoch.

    It has no ":", which a custom id must not have and the id of a scheduler's job has. No two failures share an
    id: "@" ends the queue, whose name cannot hold it, and begins the time.
    """
    return f"{queue}@{job_id.replace('%', '%25').replace(':', '%3A')}@{failed_at}"


def read_dead_letter(data: object) -> DeadLetter | None:
    """Return the dead letter in a job's data; None if the data is something else."""
    try:
        return _DEAD_LETTER.validate_python(data, strict=True)
    except ValidationError:
        return None


def redriven_options(dead_letter: DeadLetter) -> dict[str, t.Any]:
    """Return the options of the job that a dead letter becomes: those that do not belong to its first run."""
    return {name: value for name, value in dead_letter["opts"].items() if name not in _OF_THE_FIRST_RUN}
