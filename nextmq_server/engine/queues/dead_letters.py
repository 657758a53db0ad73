"""Dead letters: jobs of another queue that record jobs which failed for good."""

from __future__ import annotations

import typing as t

from nextmq_handler.rules.dead_letters import DeadLetter, dead_letter_id

from ..scripts.scripts import QueueScripts
from .adding import JobToAdd
from .job import EngineJob
from .jobs import decoded


class FinalFailure(t.NamedTuple):
    """Why and when (ms since the epoch) a job failed for good, and the status of the app's last HTTP answer."""

    reason: str
    stacktrace: list[str]
    status: int | None
    at: int


def dead_letter_of(
    job: EngineJob, scripts: QueueScripts, dead_letter_queue: str, failure: FinalFailure
) -> JobToAdd:
    """Return the dead letter to add for a job of the queue of `scripts`."""
    opts = job.opts
    if isinstance(opts.get("parent"), dict):
        opts = {**opts, "parent": job.parent}
    data: DeadLetter = {
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
    id = dead_letter_id(scripts.queue, job.id, failure.at)
    return JobToAdd(scripts.prefix, dead_letter_queue, _unicode(job.name), data, {}, failure.at, _unicode(id))


def _unicode(text: str) -> str:
    """Return `text` as UTF-8 can carry it: Redis may hold other bytes."""
    return text.encode("utf-8", "replace").decode()
