"""Which delivery owns a job at the moment: what a processor's callbacks are checked against (section 5)."""

from __future__ import annotations

from .engine.connection import Connection
from .engine.job import ActiveJob
from .engine.scripts import QueueScripts

_MARGIN = 60_000
"""How much longer, in ms, a delivery is remembered than it may take."""


class DeliveryLedger:
    """The deliveries in flight, kept in Redis so that every server process can check them."""

    def __init__(self, connection: Connection, project: str) -> None:
        self._connection = connection
        self._prefix = f"nextmq:{project}:delivery:"

    async def announce(self, queue: str, job: ActiveJob, delivery_id: str, timeout: int) -> None:
        """From now on `delivery_id` owns the job, for `timeout` ms at most."""
        # Not awaited to the end: commands on one connection stay in order, and no callback can come before.
        await self._connection.execute("SET", self._key(queue, job.id), delivery_id, "PX", timeout + _MARGIN)

    async def owns(self, scripts: QueueScripts, job_id: str, delivery_id: str) -> bool:
        """Whether this delivery is the job's last one and the job still runs."""
        owner: str | None = await self._connection.execute("GET", self._key(scripts.queue, job_id))
        if owner != delivery_id:
            return False
        return bool(await self._connection.execute("EXISTS", scripts.key(job_id, "lock")))

    def _key(self, queue: str, job_id: str) -> str:
        return f"{self._prefix}{queue}:{job_id}"
