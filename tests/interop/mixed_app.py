"""Our app of test_mixed.py: it counts the runs of each job, as Node's workers do."""

from __future__ import annotations

import os
import typing as t

from redis.asyncio import Redis

from nextmq_handler import AsyncJob, Worker, create_nextmq_handler

redis: t.Any = Redis(unix_socket_path=os.environ["TEST_SOCKET"])


async def run(job: AsyncJob[dict[str, int]]) -> None:
    await redis.hincrby("runs:ours", f"{job.queue_name} {job.id}", 1)
    if job.attempts_made < job.data["fails"]:
        raise RuntimeError("on purpose")


app = create_nextmq_handler([Worker(queue, run, concurrency=8) for queue in os.environ["TEST_QUEUES"].split()])
