"""Answers: jobs, queues and schedulers of the simulation as the REST API shows them."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import replace

from ....rules import views
from ....rules.delivery_log import deliveries_count

if t.TYPE_CHECKING:
    from ..engine.job import SimulatedJob
    from ..engine.queue_state import QueueState
    from ..engine.schedulers import SimulatedScheduler, SimulatedSchedulers


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
        "deliveriesCount": deliveries_count(job.attempts_started, job.deliveries),
        "parent": job.parent,
        "repeatJobKey": job.repeat_job_key,
        "deduplicationId": job.deduplication_id,
        "timestamp": job.timestamp,
        "processedOn": job.processed_on,
        "finishedOn": job.finished_on,
    }


def counts(queue: QueueState) -> dict[str, int]:
    """Count the jobs in each state."""
    return {state: len(jobs) for state, jobs in queue.by_state.items()}


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
    some = {kind: dict(itertools.islice(found.items(), limit)) for kind, found in job.children.items()}
    counts = {kind: len(found) for kind, found in job.children.items()}
    return views.dependencies_view(**some, counts=counts)


def scheduler_view(schedulers: SimulatedSchedulers, scheduler: SimulatedScheduler) -> dict[str, t.Any]:
    """Return a job scheduler. It shows its next run until that has finished."""
    template = scheduler.template
    return views.scheduler_view(
        scheduler.id,
        template if template.data is not None else replace(template, data={}),
        scheduler.repeat,
        next=scheduler.next if schedulers.pending(scheduler) else None,
        iteration_count=scheduler.iterations,
        last=schedulers.last(scheduler),
        overdue_by=schedulers.overdue_by(scheduler),
    )
