"""Snapshots: the results of jobs that may be removed once they have finished, for those who wait for them."""

from __future__ import annotations

import json
import typing as t

from nextmq_handler.rules.results import JobResult

from ..scripts.scripts import QueueScripts
from .job import EngineJob


def snapshot_key(scripts: QueueScripts, job_id: str) -> str:
    """Return the key of the job's snapshot."""
    return scripts.own_key("result", job_id)


def result_of(
    job: EngineJob,
    state: t.Literal["completed", "failed"],
    finished_on: int,
    *,
    return_value: t.Any = None,
    reason: str | None = None,
    stacktrace: list[str] | None = None,
) -> JobResult:
    """Return what the API shows of a job that ends at `finished_on`, ms since the epoch."""
    # A completed job goes on to show how earlier attempts failed.
    return {
        "state": state,
        "returnValue": return_value,
        "failedReason": job.fields.get("failedReason") if reason is None else reason,
        "stacktrace": job.stacktrace if stacktrace is None else stacktrace,
        "finishedOn": finished_on,
    }


async def read_snapshot(scripts: QueueScripts, job_id: str) -> JobResult | None:
    """Return the snapshot of a removed job, None if it has none. Raises RedisError or ConnectionLost."""
    text: str | None = await scripts.connection.execute("GET", snapshot_key(scripts, job_id))
    return None if text is None else json.loads(text)


async def forget_snapshot(scripts: QueueScripts, job_id: str) -> None:
    """Remove the snapshot of a job that was removed by hand. Raises RedisError or ConnectionLost."""
    await scripts.connection.execute("DEL", snapshot_key(scripts, job_id))
