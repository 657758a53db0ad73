"""The probe of `nextmq conformance`: a worker that does what a job's name says."""

from __future__ import annotations

import asyncio
import typing as t

from ..errors import UnrecoverableJobError
from ..job import AsyncJob, RateLimitError
from ..workers.worker import Worker


class ProbeError(Exception):
    """The failure that a job asked for."""


def conformance_worker(queue: str = "conformance") -> Worker:
    """Return the worker that `nextmq conformance URL --queue conformance` needs: mount it beside your own.

    Its jobs do no harm, and only holders of the webhook secret can start them. Leave it out of production anyway.
    Raises ConfigurationError for an invalid queue name.
    """
    worker = Worker(queue)

    @worker.processor("echo")
    async def echo(job: AsyncJob) -> t.Any:
        return job.data

    @worker.processor("fail")
    async def fail(job: AsyncJob) -> None:
        raise ProbeError(job.data)

    @worker.processor("unrecoverable")
    async def unrecoverable(job: AsyncJob) -> None:
        raise UnrecoverableJobError(job.data)

    @worker.processor("rate-limit")
    async def rate_limit(job: AsyncJob) -> None:
        raise RateLimitError(job.data)

    @worker.processor("delay")
    async def delay(job: AsyncJob) -> None:
        job.move_to_delayed(job.data)

    @worker.processor("wait")
    async def wait(job: AsyncJob) -> None:
        job.move_to_waiting_children()

    @worker.processor("sleep")
    async def sleep(job: AsyncJob) -> t.Any:
        await asyncio.sleep(job.data / 1000)
        return job.data

    return worker
