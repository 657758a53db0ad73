"""Answers: jobs, queues and schedulers of the simulation as the REST API shows them."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ....rules import views
from ....rules.states import STATES

if t.TYPE_CHECKING:
    from ..engine.job import SimulatedJob
    from ..engine.queue_state import QueueState
    from ..engine.schedulers import SimulatedScheduler


def job_view(job: SimulatedJob) -> views.JobView:
    """Return a job as it is now."""
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
    """Count the jobs in each state."""
    return {**{state: len(queue.ids(state)) for state in STATES}, "paused": 0}


def queue_view(queue: QueueState, now: int) -> dict[str, t.Any]:
    """Return a queue. It shows no worker: the test gave the simulation its worker, no app registered it."""
    rate = queue.global_rate
    return views.queue_view(
        name=queue.name,
        is_paused=queue.is_paused,
        counts=counts(queue),
        global_concurrency=queue.global_concurrency,
        worker_concurrency=queue.worker.options["concurrency"] if queue.worker else None,
        rate_limit=rate and rate._asdict(),
        rate_limit_ttl=queue.starts.rest_left(rate.max if rate else 0, now),
    )


def dependencies_view(job: SimulatedJob, limit: int) -> dict[str, t.Any]:
    """Return a job's children by their outcome, up to `limit` of each kind."""
    return views.dependencies_view(
        processed=dict([*job.processed_children.items()][:limit]),
        unprocessed=[*job.open_children][:limit],
        ignored=dict([*job.ignored_children.items()][:limit]),
        failed=[*job.failed_children][:limit],
        counts={
            "processed": len(job.processed_children),
            "unprocessed": len(job.open_children),
            "ignored": len(job.ignored_children),
            "failed": len(job.failed_children),
        },
    )


def scheduler_view(scheduler: SimulatedScheduler, next_run: int | None) -> dict[str, t.Any]:
    """Return a job scheduler; `next_run` is ms since the epoch."""
    template = scheduler.template
    return views.scheduler_view(
        scheduler.id,
        template if template.data is not None else replace(template, data={}),
        scheduler.repeat,
        next=next_run,
        iteration_count=scheduler.iterations,
    )
