"""What became of a job that may be gone as soon as it has finished, kept for those who wait for it."""

from __future__ import annotations

import json
import typing as t

from ..scripts.scripts import QueueScripts
from .job import ActiveJob

SNAPSHOT_LIFE = 60_000
"""How long, in ms, a terminal snapshot is kept."""


def may_vanish(keep: object) -> bool:
    """Whether a job with this removeOnComplete or removeOnFail may be removed once it has finished."""
    return keep is not None and keep is not False  # 0 keeps no job


def snapshot_key(scripts: QueueScripts, job_id: str) -> str:
    """Where the job's terminal snapshot is: outside BullMQ's key space, which a look at the queue would list."""
    return f"nextmq:result:{scripts.key(job_id)}"


def snapshot_of(
    job: ActiveJob,
    state: t.Literal["completed", "failed"],
    *,
    finished_on: int,
    return_value: t.Any = None,
    reason: str | None = None,
    stacktrace: list[str] | None = None,
) -> str:
    """The text of the snapshot: what the job would show if it stayed. `finished_on` is ms since the epoch."""
    # A completed job goes on to show how earlier attempts failed.
    earlier = job.fields.get
    return json.dumps(
        {
            "state": state,
            "returnValue": return_value,
            "failedReason": earlier("failedReason") if reason is None else reason,
            "stacktrace": job.stacktrace if stacktrace is None else stacktrace,
            "finishedOn": finished_on,
        },
        separators=(",", ":"),
    )


async def read_snapshot(scripts: QueueScripts, job_id: str) -> dict[str, t.Any] | None:
    """The terminal snapshot of a job that is gone, None where there is none (any more).

    Its members: state, returnValue, failedReason, stacktrace, finishedOn (ms since the epoch). Raises RedisError
    or ConnectionLost.
    """
    text: str | None = await scripts.connection.execute("GET", snapshot_key(scripts, job_id))
    return None if text is None else json.loads(text)


async def forget_snapshot(scripts: QueueScripts, job_id: str) -> None:
    """The job was removed by hand: nothing is left of it. Raises RedisError or ConnectionLost."""
    await scripts.connection.execute("DEL", snapshot_key(scripts, job_id))
