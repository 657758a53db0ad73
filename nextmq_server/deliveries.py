"""Which delivery owns a job at the moment: what a processor's callbacks are checked against (section 5).

A delivery's id follows from the lock under which its job runs and from how often the job was started. So whoever
knows the id and finds that lock and that count owns the job, in every server process, and nothing else is kept.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib

from .engine.job import ActiveJob
from .engine.scripts import QueueScripts


def delivery_id(queue: str, job: ActiveJob) -> str:
    """The id of the delivery that this start of `job` makes."""
    return _derived(queue, job.id, job.token, job.attempts_started)


async def owns(scripts: QueueScripts, job_id: str, id: str) -> bool:
    """Whether the delivery `id` owns the job still. Raises RedisError or ConnectionLost."""
    execute = scripts.connection.execute
    token, starts = await asyncio.gather(
        execute("GET", scripts.key(job_id, "lock")), execute("HGET", scripts.key(job_id), "ats")
    )
    return token is not None and id == _derived(scripts.queue, job_id, token, int(starts or 0))


def _derived(queue: str, job_id: str, token: str, starts: int) -> str:
    text = "\0".join((token, queue, job_id, str(starts)))
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return "dlv_" + base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
