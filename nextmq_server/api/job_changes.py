"""/v1/queues/{queue}/jobs/{id}/…: change a job. A processor's calls carry its delivery (protocol 5)."""

from __future__ import annotations

from nextmq_handler.rules.bodies import DataBody, DelayBody, PriorityBody, ProgressBody, RetryBody

from ..timers import now_ms
from .request import Empty, Job, Removed, router

routes = router("/v1/queues/{queue}/jobs/{id}", "jobs")


@routes.post("/retry")
async def retry_job(job: Job, body: RetryBody) -> Empty:
    """Retry a finished job: it waits again."""
    await job.service.jobs.retry(
        job.queue,
        job.id,
        body.state,
        reset_attempts_made=body.resetAttemptsMade,
        reset_attempts_started=body.resetAttemptsStarted,
    )


@routes.post("/promote")
async def promote_job(job: Job) -> Empty:
    """Promote a delayed job: it waits now."""
    await job.service.jobs.promote(job.queue, job.id)


@routes.put("/data")
async def update_data(job: Job, body: DataBody) -> Empty:
    """Replace a job's data. The next attempt gets it."""
    await job.service.jobs.update_data(job.queue, job.id, body.data)


@routes.put("/progress")
async def update_progress(job: Job, body: ProgressBody) -> Empty:
    """Report a job's progress."""
    await job.service.jobs.update_progress(job.queue, job.id, body.progress)


@routes.put("/delay")
async def change_delay(job: Job, body: DelayBody) -> Empty:
    """Change how long a delayed job waits, from now on."""
    await job.service.jobs.change_delay(job.queue, job.id, body.delay, now_ms())


@routes.put("/priority")
async def change_priority(job: Job, body: PriorityBody) -> Empty:
    """Change a job's priority."""
    await job.service.jobs.change_priority(job.queue, job.id, body.priority, lifo=body.lifo)


@routes.delete("/deduplication-key")
async def remove_deduplication_key(job: Job) -> Removed:
    """Release a job's deduplication id: other jobs with the id can be added again."""
    return Removed(removed=await job.service.jobs.remove_deduplication_key(job.queue, job.id))
