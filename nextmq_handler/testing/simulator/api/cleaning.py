"""/v1/queues/{queue}/clean and /obliterate: remove old jobs, or a queue with all of its jobs."""

from __future__ import annotations

import typing as t

from ....rules.bodies import CleanBody, ObliterateBody
from ....rules.refusals import Refusal
from ..engine.job import SimulatedJob
from .routing import Router, SimulatedRequest

if t.TYPE_CHECKING:
    from ..engine.queue_state import QueueState

router: Router = Router()
_QUEUE = "queues/*"

# A parent that waits for children of other queues stays, as in BullMQ.
_OBLITERATED = ("active", "delayed", "completed", "waiting", "prioritized", "failed")


@router.route("POST", f"{_QUEUE}/clean", body=CleanBody)
def clean(request: SimulatedRequest) -> dict[str, t.Any]:
    body: CleanBody = request.body
    removed: list[str] = []
    for job in _first(request.queue, body.state, body.limit):
        if _since(job, body.state) <= request.now - body.grace and not _is_next_of_scheduler(request, job):
            request.simulation.store.clear(job)
            removed.append(job.id)
    return {"removed": removed}


@router.route("POST", f"{_QUEUE}/obliterate", body=ObliterateBody)
def obliterate(request: SimulatedRequest) -> None:
    queue, store = request.queue, request.simulation.store
    queue.is_paused = True
    if queue.active and not request.body.force:
        text = f"queue {queue.name} has jobs that run, and is paused now: wait for them, force it, or resume it"
        raise Refusal(409, "wrong_state", text)
    request.simulation.schedulers.of(queue.name).clear()
    for job in [queue.jobs[job_id] for state in _OBLITERATED for job_id in queue.ids(state)]:
        if not job.is_removed:
            job.delivery_id = None  # the answer of its processor is ignored
            store.clear(job)
    queue.forget_settings()


def _first(queue: QueueState, state: str, limit: int) -> list[SimulatedJob]:
    """Return the jobs to look at, in BullMQ's order. Running jobs are locked."""
    if state in ("active", "paused"):
        return []
    if state == "wait":
        return [queue.jobs[job_id] for job_id in reversed(queue.ids("waiting")[:limit])]
    return [queue.jobs[job_id] for job_id in queue.ids(state)[:limit]]


def _since(job: SimulatedJob, state: str) -> int:
    """Return since when the job has been in `state`, as BullMQ counts it: ms since the epoch."""
    if state in ("completed", "failed"):
        return job.finished_on or 0
    return job.timestamp if state == "prioritized" else job.processed_on or job.timestamp


def _is_next_of_scheduler(request: SimulatedRequest, job: SimulatedJob) -> bool:
    scheduler = request.simulation.schedulers.of(job.key.queue).get(job.scheduler_id or "")
    return scheduler is not None and scheduler.newest_job == job.id
