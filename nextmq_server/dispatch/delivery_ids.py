"""Which delivery owns a job at the moment: what a processor's callbacks are checked against (section 5).

A delivery's id follows from the lock under which its job runs, from how often the job was started and from when.
So whoever knows the id and finds these with the job owns it, in every server process, and nothing else is kept.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib

from ..engine.queues.job import EngineJob, whole
from ..engine.scripts.scripts import QueueScripts


def delivery_id(queue: str, job: EngineJob) -> str:
    """The id of the delivery that this start of `job` makes."""
    return _derived(queue, job.id, job.token, job.attempts_started, job.processed_on)


async def owns(scripts: QueueScripts, job_id: str, id: str) -> bool:
    """Whether the delivery `id` owns the job still. Raises RedisError or ConnectionLost."""
    execute = scripts.connection.execute
    token, (starts, started_at) = await asyncio.gather(
        execute("GET", scripts.key(job_id, "lock")),
        execute("HMGET", scripts.key(job_id), "ats", "processedOn"),
    )
    if token is None:
        return False
    return id == _derived(scripts.queue, job_id, token, whole(starts) or 0, whole(started_at) or 0)


def _derived(queue: str, job_id: str, token: str, starts: int, started_at: int) -> str:
    # With its start's time: a job that was removed and added again counts from 1, perhaps under the same token.
    text = "\0".join((token, queue, job_id, str(starts), str(started_at)))
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return "dlv_" + base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
