"""Dead letters: the jobs that record final failures, and which of them a redrive sends back."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..protocol.arguments import is_queue_name
from .states import FAILURE_POLICIES

_TYPES: dict[str, type | tuple[type, ...]] = {
    "queue": str,
    "id": str,
    "name": str,
    "data": object,
    "opts": dict,
    "attemptsMade": int,
    "reason": str,
    "stacktrace": list,
    "status": (int, type(None)),
    "failedAt": int,
}

# The options that belong to the first run: its time, its scheduler, its parent, its ids.
_OF_THE_FIRST_RUN = frozenset(
    (
        *("deduplication", "delay", "jobId", "parent", "prevMillis", "repeat", "repeatJobKey", "timestamp"),
        *FAILURE_POLICIES,
    )
)


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


def read_dead_letter(data: object) -> DeadLetter | None:
    """Return the dead letter in a job's data; None if the data is something else."""
    if not isinstance(data, dict):
        return None
    members = t.cast("dict[str, t.Any]", data)
    if not all(name in members and isinstance(members[name], kind) for name, kind in _TYPES.items()):
        return None
    return t.cast("DeadLetter", members) if is_queue_name(members["queue"]) else None


def redriven_options(dead_letter: DeadLetter) -> dict[str, t.Any]:
    """Return the options of the job that a dead letter becomes: those that do not belong to its first run."""
    return {name: value for name, value in dead_letter["opts"].items() if name not in _OF_THE_FIRST_RUN}


@dataclass(frozen=True)
class Wanted:
    """Selects dead letters by ids, by the job's `name` and by a text in their reason. None selects any."""

    ids: t.Sequence[str] | None = None
    name: str | None = None
    reason: str | None = None

    def matches(self, dead_letter: DeadLetter) -> bool:
        """Return whether a dead letter has the wanted name and reason."""
        if self.name is not None and dead_letter["name"] != self.name:
            return False
        return self.reason is None or self.reason in dead_letter["reason"]
