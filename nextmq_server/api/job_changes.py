"""/v1/queues/{queue}/jobs/{id}/…: change a job. A processor's calls carry its delivery (protocol 5)."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Depends
from pydantic import Field

from nextmq_handler.rules.models import BoundedData, Delay, Priority

from ..engine.queues.jobs import JobLocked, NoSuchJob, WrongState
from ..timers import now_ms
from .errors import DOCUMENTED, APIError, no_such_job
from .request import Authorized, Closed, DeliveryId, Done, PathId, QueueName, Removed, StrictRoute, check_delivery

router = APIRouter(
    prefix="/v1/queues/{queue}/jobs/{id}", tags=["jobs"], route_class=StrictRoute, responses=DOCUMENTED
)


class Retry(Closed):
    """How to try a finished job again."""

    state: t.Literal["failed", "completed"] = Field(default="failed", description="the state that it ended in")
    resetAttemptsMade: bool = False
    resetAttemptsStarted: bool = False


class Data(Closed):
    """A job's data: any JSON, at most 1 MiB."""

    data: BoundedData


class Progress(Closed):
    """A running job's progress: any JSON, at most 1 MiB."""

    progress: BoundedData


class NewDelay(Closed):
    """For how many ms from now on."""

    delay: Delay


class NewPriority(Closed):
    """1 is the highest, 0 none; `lifo` puts it before those of the same priority."""

    priority: Priority
    lifo: bool = False


class _Job:
    """The job of the path, once the delivery that calls was found to own it."""

    def __init__(self, service: Authorized, queue: QueueName, job_id: PathId) -> None:
        self.service = service
        self.queue = queue
        self.id = job_id

    async def do(self, work: t.Awaitable[t.Any]) -> t.Any:
        """The result of `work`; what stands against it is an answer."""
        try:
            return await work
        except NoSuchJob:
            raise no_such_job(self.queue, self.id) from None
        except WrongState as exc:
            code = "job_locked" if isinstance(exc, JobLocked) else "wrong_state"
            raise APIError(409, code, f"job {self.id} of queue {self.queue} {exc}") from None


async def _owned(service: Authorized, queue: QueueName, job_id: PathId, delivery: DeliveryId = None) -> _Job:
    await check_delivery(service, queue, job_id, delivery)
    return _Job(service, queue, job_id)


Job = t.Annotated[_Job, Depends(_owned)]


@router.post("/retry")
async def retry_job(job: Job, body: Retry) -> Done:
    """Let a finished job wait again."""
    await job.do(
        job.service.jobs.retry(
            job.queue,
            job.id,
            body.state,
            reset_attempts_made=body.resetAttemptsMade,
            reset_attempts_started=body.resetAttemptsStarted,
        )
    )
    return Done()


@router.post("/promote")
async def promote_job(job: Job) -> Done:
    """Let a delayed job wait now."""
    await job.do(job.service.jobs.promote(job.queue, job.id))
    return Done()


@router.put("/data")
async def update_data(job: Job, body: Data) -> Done:
    """Store other data: the next attempt gets it."""
    await job.do(job.service.jobs.update_data(job.queue, job.id, body.data))
    return Done()


@router.put("/progress")
async def update_progress(job: Job, body: Progress) -> Done:
    """Store a job's progress."""
    await job.do(job.service.jobs.update_progress(job.queue, job.id, body.progress))
    return Done()


@router.put("/delay")
async def change_delay(job: Job, body: NewDelay) -> Done:
    """Delay a delayed job until then instead."""
    now = now_ms()
    await job.do(job.service.jobs.change_delay(job.queue, job.id, body.delay, now))
    return Done()


@router.put("/priority")
async def change_priority(job: Job, body: NewPriority) -> Done:
    """Give a job another priority."""
    await job.do(job.service.jobs.change_priority(job.queue, job.id, body.priority, lifo=body.lifo))
    return Done()


@router.delete("/deduplication-key")
async def remove_deduplication_key(job: Job) -> Removed:
    """Let other jobs with this one's deduplication id in."""
    return Removed(removed=await job.do(job.service.jobs.remove_deduplication_key(job.queue, job.id)))
