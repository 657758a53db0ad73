"""Dead letters: jobs of another queue that record jobs which failed for good."""

from __future__ import annotations

import typing as t

from nextmq_handler.rules.dead_letters import DeadLetter, dead_letter_id
from nextmq_handler.rules.results import JobResult

from ..scripts.scripts import QueueScripts
from .adding import JobToAdd
from .job import EngineJob
from .jobs import decoded


def dead_letter_of(
    job: EngineJob, scripts: QueueScripts, dead_letter_queue: str, result: JobResult, status: int | None
) -> JobToAdd:
    """Return the dead letter to add for a job of the queue of `scripts` that ends with `result`.

    `status` is that of the app's last HTTP answer.
    """
    at = t.cast("int", result["finishedOn"])
    opts = job.opts
    if isinstance(opts.get("parent"), dict):
        opts = {**opts, "parent": job.parent}
    data: DeadLetter = {
        "queue": scripts.queue,
        "id": job.id,
        "name": job.name,
        "data": decoded(job.data),
        "opts": opts,
        "attemptsMade": job.attempts_made + 1,
        "reason": result["failedReason"] or "",
        "stacktrace": result["stacktrace"] or [],
        "status": status,
        "failedAt": at,
    }
    id = dead_letter_id(scripts.queue, job.id, at)
    return JobToAdd(scripts.prefix, dead_letter_queue, _unicode(job.name), data, {}, at, _unicode(id))


def _unicode(text: str) -> str:
    """Return `text` as UTF-8 can carry it: Redis may hold other bytes."""
    return text.encode("utf-8", "replace").decode()
