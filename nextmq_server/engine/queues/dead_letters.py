"""Dead letters: what is known of a job that failed for good, as a job of another queue."""

from __future__ import annotations

import typing as t

from nextmq_handler.protocol.names import is_queue_name

from ..scripts.scripts import QueueScripts
from .adding import JobToAdd
from .job import EngineJob
from .jobs import decoded


class DeadLetter(t.TypedDict):
    """The data of a dead letter. `status` is that of the app's last HTTP answer, `failedAt` ms since the epoch."""

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


class Failure(t.NamedTuple):
    """Why and when (ms since the epoch) a job failed for good, and the status of the app's last HTTP answer."""

    reason: str
    stacktrace: list[str]
    status: int | None
    at: int


def letter_of(job: EngineJob, scripts: QueueScripts, dead_letter_queue: str, failure: Failure) -> JobToAdd:
    """The dead letter of a job of the queue of `scripts`."""
    opts = job.opts
    if isinstance(opts.get("parent"), dict):
        opts = {**opts, "parent": job.parent}
    letter: DeadLetter = {
        "queue": scripts.queue,
        "id": job.id,
        "name": job.name,
        "data": decoded(job.data),
        "opts": opts,
        "attemptsMade": job.attemptsMade + 1,
        "reason": failure.reason,
        "stacktrace": failure.stacktrace,
        "status": failure.status,
        "failedAt": failure.at,
    }
    letter_id = _letter_id(scripts.queue, job.id, failure.at)
    return JobToAdd(
        scripts.prefix, dead_letter_queue, _unicode(job.name), letter, {}, failure.at, _unicode(letter_id)
    )


def read_letter(text: str | None) -> DeadLetter | None:
    """The dead letter that a job's data is; None where it is something else."""
    letter = decoded(text)
    if not isinstance(letter, dict):
        return None
    members = t.cast("dict[str, t.Any]", letter)
    if not all(name in members and isinstance(members[name], kind) for name, kind in _TYPES.items()):
        return None
    return t.cast("DeadLetter", members) if is_queue_name(members["queue"]) else None


def _letter_id(queue: str, job_id: str, failed_at: int) -> str:
    """One id for each final failure. It has no ":", which a custom id must not have and a scheduler's job has.

    No two failures share one: "@" ends the queue, whose name cannot hold it, and begins the time.
    """
    return f"{queue}@{job_id.replace('%', '%25').replace(':', '%3A')}@{failed_at}"


def _unicode(text: str) -> str:
    """`text` as UTF-8 can carry it: Redis may hold other bytes."""
    return text.encode("utf-8", "replace").decode()
