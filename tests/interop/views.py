"""Show what the SDK returns as scenario.mjs does, and spell names in both ways."""

from __future__ import annotations

import re
import typing as t

from nextmq_handler import JobScheduler, QueueJob


def job_view(job: QueueJob) -> dict[str, t.Any]:
    """Show a job as scenario.mjs does."""
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "data": job.data,
        "opts": job.opts,
        "progress": job.progress,
        "attemptsMade": job.attempts_made,
        "attemptsStarted": job.attempts_started,
        "stalledCounter": job.stalled_counter,
        "delay": job.delay,
        "priority": job.priority,
        "returnValue": job.return_value,
        "failedReason": job.failed_reason,
        "stacktraces": len(job.stacktrace),
        "parent": job.parent,
        "repeatJobKey": job.repeat_job_key,
        "deduplicationId": job.deduplication_id,
        "timestamp": job.timestamp,
        "isProcessed": job.processed_on is not None,
        "isFinished": job.finished_on is not None,
    }


def scheduler_view(scheduler: JobScheduler) -> dict[str, t.Any]:
    """Show a scheduler as scenario.mjs does: Node does not tell of its last run."""
    told = scheduler._asdict().items()
    return {camel(name): value for name, value in told if name not in ("last", "overdue_by")}


def camel(name: str) -> str:
    """Spell a Python name as Node does."""
    return re.sub(r"_(.)", lambda match: match[1].upper(), name)


def snake(name: str) -> str:
    """Spell a Node name as Python does."""
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


def snake_keys(members: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Spell options as Python does; a job's data stays as it is."""
    return {
        snake(name): snake_keys(value) if isinstance(value, dict) and name != "data" else value
        for name, value in members.items()
    }
