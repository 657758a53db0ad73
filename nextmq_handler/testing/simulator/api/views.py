"""Answers: jobs, queues and schedulers as the server's REST API shows them."""

from __future__ import annotations

import typing as t

from ....rules.states import STATES

if t.TYPE_CHECKING:
    from ..engine.job import Key, SimulatedJob
    from ..engine.queue_state import QueueState
    from ..engine.schedulers import SimulatedScheduler


def job_view(job: SimulatedJob) -> dict[str, t.Any]:
    """A job as it is now."""
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "data": job.data,
        "opts": job.opts,
        "progress": job.progress,
        "attemptsMade": job.attempts_made,
        "attemptsStarted": job.attempts_started,
        "stalledCounter": 0,
        "delay": job.delay,
        "priority": job.priority,
        "returnValue": job.return_value,
        "failedReason": job.failed_reason,
        "stacktrace": job.stacktrace,
        "deliveries": job.deliveries,
        "parent": job.parent,
        "repeatJobKey": job.scheduler_id,
        "deduplicationId": job.deduplication_id,
        "timestamp": job.timestamp,
        "processedOn": job.processed_on,
        "finishedOn": job.finished_on,
    }


def counts(queue: QueueState) -> dict[str, int]:
    """How many jobs are in each state."""
    return {**{state: len(queue.ids(state)) for state in STATES}, "paused": 0}


def queue_view(queue: QueueState, now: int) -> dict[str, t.Any]:
    """A queue. Its worker is none that registered: the simulator was given it."""
    return {
        "name": queue.name,
        "isPaused": queue.is_paused,
        "counts": counts(queue),
        "concurrency": {
            "global": queue.global_concurrency,
            "worker": queue.worker.options["concurrency"] if queue.worker else None,
        },
        "rateLimit": queue.global_rate and queue.global_rate._asdict(),
        "rateLimitTtl": queue.starts.rest_left(queue.global_rate.max if queue.global_rate else 0, now),
        "worker": None,
    }


def dependencies_view(job: SimulatedJob, limit: int) -> dict[str, t.Any]:
    """A job's children by what became of them, up to `limit` of each kind."""
    return {
        "processed": dict([*by_name(job.processed_children).items()][:limit]),
        "unprocessed": [str(child) for child in job.open_children][:limit],
        "ignored": dict([*by_name(job.ignored_children).items()][:limit]),
        "failed": [str(child) for child in job.failed_children][:limit],
        "counts": {
            "processed": len(job.processed_children),
            "unprocessed": len(job.open_children),
            "ignored": len(job.ignored_children),
            "failed": len(job.failed_children),
        },
    }


def by_name(children: t.Mapping[Key, t.Any]) -> dict[str, t.Any]:
    """What is known of children, by "queue:id"."""
    return {str(child): value for child, value in children.items()}


def scheduler_view(scheduler: SimulatedScheduler, next_run: int | None) -> dict[str, t.Any]:
    """A job scheduler; `next_run` is ms since the epoch."""
    names = ("every", "pattern", "tz", "limit", "offset", "startDate", "endDate")
    return {
        "id": scheduler.id,
        "name": scheduler.name,
        **{name: scheduler.repeat.get(name) for name in names},
        "next": next_run,
        "iterationCount": scheduler.iterations,
        "template": {"data": {} if scheduler.data is None else scheduler.data, "opts": scheduler.opts},
    }
