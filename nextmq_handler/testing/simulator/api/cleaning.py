"""/v1/queues/{queue}/clean and /obliterate: remove old jobs, or a queue with all of its jobs."""

from __future__ import annotations

import typing as t

from ....rules.refusals import Refusal
from .routing import ROUTER, SimulatedRequest

if t.TYPE_CHECKING:
    from ....rules import bodies
    from ..engine.job import SimulatedJob
    from ..engine.queue_state import QueueState
    from ..engine.store import Store

_QUEUE = "queues/*"

# A parent that waits for children of other queues stays, as in BullMQ.
_OBLITERATED = ("active", "delayed", "completed", "waiting", "prioritized", "failed")


@ROUTER.route("POST", f"{_QUEUE}/clean")
def clean(request: SimulatedRequest, store: Store, queue: QueueState, body: bodies.CleanBody) -> dict[str, t.Any]:
    removed: list[str] = []
    for job in _first(queue, body.state, body.limit):
        if _since(job, body.state) <= store.now - body.grace and not request.simulation.schedulers.of_newest(job):
            store.clear(job)
            removed.append(job.id)
    return {"removed": removed}


@ROUTER.route("POST", f"{_QUEUE}/obliterate")
def obliterate(request: SimulatedRequest, store: Store, queue: QueueState, body: bodies.ObliterateBody) -> None:
    queue.is_paused = True
    if queue.by_state["active"] and not body.force:
        text = f"queue {queue.name} has jobs that run, and is paused now: wait for them, force it, or resume it"
        raise Refusal(409, "wrong_state", text)
    request.simulation.schedulers.of(queue.name).clear()
    for job in [job for state in _OBLITERATED for job in queue.by_state[state]]:
        if not job.is_removed:
            job.delivery_id = None  # the answer of its processor is ignored
            store.clear(job)
    queue.forget_settings()


def _first(queue: QueueState, state: str, limit: int) -> list[SimulatedJob]:
    """Return the jobs to look at, in BullMQ's order. Running jobs are locked."""
    if state in ("active", "paused"):
        return []
    if state == "wait":
        return queue.by_state["waiting"][:limit][::-1]
    return queue.by_state[state][:limit]


def _since(job: SimulatedJob, state: str) -> int:
    """Return since when the job has been in `state`, as BullMQ counts it: ms since the epoch."""
    if state in ("completed", "failed"):
        return job.finished_on or 0
    return job.timestamp if state == "prioritized" else job.processed_on or job.timestamp
