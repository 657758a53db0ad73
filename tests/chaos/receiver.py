"""The receiver: an app that notes what its processors do, and crashes if a job says so."""

from __future__ import annotations

import asyncio
import os
import time
import typing as t
from pathlib import Path

from nextmq_handler import AsyncJob, RateLimitError, UnrecoverableJobError, Worker, create_nextmq_handler
from tests.chaos.history import LIMITED, PARENTS, WORK
from tests.chaos.journal import Entry, Event, Journal

journal = Journal(Path(os.environ["CHAOS_JOURNAL"]))

# A job that was in flight when a server died is free once its lock has ended and two looks found it without one.
_LOCKS: t.Any = {"lock_duration": 3000, "stalled_interval": 1000, "max_stalled_count": 1000}
work = Worker(WORK, concurrency=40, timeout=10, dead_letter=True, **_LOCKS)
limited = Worker(LIMITED, concurrency=10, timeout=10, limiter={"max": 20, "duration": 200}, **_LOCKS)
parents = Worker(PARENTS, concurrency=10, timeout=10, **_LOCKS)


@work.processor
@limited.processor
@parents.processor
async def take_step(job: AsyncJob[t.Any]) -> int:
    """Do what the job's step for this start says. Each start takes the next step, so every job ends."""
    number, steps = job.data["number"], job.data["steps"]
    step = steps[min(job.attempts_started, len(steps)) - 1]

    def note(event: Event) -> None:
        attempt = job.attempts_made + 1
        journal.note(Entry(event, number, job.id, attempt, round(time.time() * 1000)))

    note("started")
    if step in ("later", "rate limit"):
        note("answered")
    if step == "later":
        await job.move_to_delayed(round(time.time() * 1000) + 50)
    if step == "rate limit":
        raise RateLimitError(100)
    await asyncio.sleep(job.data["work"] / 1000)
    if step == "crash before":
        os._exit(1)
    note("effect")
    if step == "crash after":
        os._exit(1)
    note("answered")
    if step == "fail":
        raise ValueError(f"job {number} is to fail")
    if step == "unrecoverable":
        raise UnrecoverableJobError(f"job {number} is to fail for good")
    return number  # type: ignore[no-any-return]


handler = create_nextmq_handler(workers=[work, limited, parents])
