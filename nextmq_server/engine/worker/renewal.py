"""The locks of running jobs are renewed: each at half of its own life, whatever other queues there are."""

from __future__ import annotations

import logging
import time
import typing as t

from nextmq_handler.rules.log_text import one_line

from .locks import take_again
from .runner import QueueRunner
from .running import JobRun

logger = logging.getLogger("nextmq_server.engine")

HALF = 0.5
"""The share of its life after which a lock is renewed at the latest: BullMQ's default."""

EARLY = 0.4
"""The share after which it is renewed together with others, so that few calls renew many."""


async def renew(queue: QueueRunner, *, by: float) -> None:
    """Renew the queue's locks if one is due `by` then (monotonic s). Abort the deliveries of jobs that are lost.

    Raises RedisError or ConnectionLost.
    """
    now = time.monotonic()
    runs = list(queue.active.values())
    if all(run.renewal_at(HALF) > by for run in runs):
        return
    due = {run.job.id: run for run in runs if run.renewal_at(EARLY) <= by}
    lock_duration = queue.options.lock_duration
    tokens = [run.job.token for run in due.values()]
    without: list[str] = await queue.scripts.pack.extendJobLocks(list(due), tokens, lock_duration)
    lost = set(without)
    if without:
        lost -= await take_again(queue.scripts, [due[job_id].job for job_id in without], lock_duration)
    for run in due.values():
        run.renewed_at, run.lock_duration = now, lock_duration
    dropped = [job_id for job_id in lost if _runs(queue, due[job_id])]
    for job_id in dropped:
        queue.drop(job_id)
    if dropped:
        ids = ", ".join(map(one_line, dropped))
        logger.error("queue %s job %s: lost its lock, aborting its delivery", queue.name, ids)


def next_renewal(queues: t.Iterable[QueueRunner]) -> float:
    """Return when (monotonic s) to renew next. A job that starts meanwhile is due no sooner."""
    now = time.monotonic()
    return min(
        (
            min(
                now + HALF * queue.options.lock_duration / 1000,
                min((run.renewal_at(HALF) for run in queue.active.values()), default=float("inf")),
            )
            for queue in queues
        ),
        default=float("inf"),
    )


def _runs(queue: QueueRunner, run: JobRun) -> bool:
    """Whether the job still runs: one that is being finished meanwhile gives its lock back."""
    return queue.active.get(run.job.id) is run and not run.is_finishing
