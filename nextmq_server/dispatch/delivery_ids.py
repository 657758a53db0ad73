"""Which delivery owns a job at the moment: a processor's callbacks are checked against it (section 5).

A delivery id is derived from the token of the lock under which the job runs, which no other start has ever had.
Whoever knows the id while the lock is the same owns the job, for every server process, and nothing else has to be
stored.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib

from ..engine.queues.job import EngineJob, whole
from ..engine.scripts.scripts import QueueScripts

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def delivery_id(queue: str, job: EngineJob) -> str:
    """Return the id of the delivery for this start of `job`."""
    return _derive(queue, job.id, job.token, job.attempts_started, job.processed_on)


async def owns(scripts: QueueScripts, job_id: str, id: str) -> bool:
    """Return whether the delivery `id` still owns the job. Raises RedisError or ConnectionLost."""
    execute = scripts.connection.execute
    token, (starts, started_at) = await asyncio.gather(
        execute("GET", scripts.key(job_id, "lock")),
        execute("HMGET", scripts.key(job_id), "ats", "processedOn"),
    )
    if token is None:
        return False
    return id == _derive(scripts.queue, job_id, token, whole(starts) or 0, whole(started_at) or 0)


def _derive(queue: str, job_id: str, token: str, starts: int, started_at: int) -> str:
    # The token alone would do. The rest stays, because older servers beside this one expect it.
    text = "\0".join((token, queue, job_id, str(starts), str(started_at)))
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return "dlv_" + binascii.b2a_base64(digest[:16]).translate(_URL_SAFE, b"=\n").decode()
