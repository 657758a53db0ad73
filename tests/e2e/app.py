"""The app of the end-to-end tests: it records each start, and can be made to wait."""

from __future__ import annotations

import asyncio
import os
import typing as t
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from nextmq_handler import AsyncJob, Job, Worker, create_nextmq_handler

folder = Path(os.environ["TEST_FOLDER"])
work = Worker(
    "work", concurrency=5, timeout=120, backoff_strategies={"slow": [10, timedelta(hours=1), timedelta(days=30)]}
)


def note_start(job_id: str) -> None:
    with (folder / "starts").open("a") as log:
        log.write(f"{job_id}\n")


@work.processor("echo")
def echo(job: Job[t.Any]) -> t.Any:
    note_start(job.id)
    return job.data


@work.processor("fail")
def fail(job: Job[t.Any]) -> None:
    note_start(job.id)
    raise ValueError("as asked")


@work.processor("wait")
async def wait(job: AsyncJob[t.Any]) -> str:
    """Run until the test creates the file."""
    note_start(job.id)
    while not (folder / "go").exists():  # noqa: ASYNC110 - a file of another process
        await asyncio.sleep(0.02)
    return "went"


handler = create_nextmq_handler(workers=[work])
app = FastAPI(lifespan=handler.lifespan)
app.mount("/api/nextmq", handler)
