"""Which queues a project has. BullMQ itself keeps no list of them."""

from __future__ import annotations

from ..redis.connection import RedisConnection
from ..redis.keys import ProjectKeys


class QueueDirectory:
    """The names of the queues that jobs were added to. Each call raises RedisError or ConnectionLost."""

    def __init__(self, connection: RedisConnection, keys: ProjectKeys) -> None:
        self._connection = connection
        self._key = keys("queues")
        self._noted: set[str] = set()

    async def note(self, queues: set[str]) -> None:
        """Add these queues, before jobs are added to them."""
        new = queues - self._noted
        if new:
            await self._connection.execute("SADD", self._key, *new)
            self._noted |= new

    async def forget(self, queue: str) -> None:
        """Remove the queue."""
        self._noted.discard(queue)
        await self._connection.execute("SREM", self._key, queue)

    async def names(self) -> set[str]:
        """Return the names of all queues."""
        return set(await self._connection.execute("SMEMBERS", self._key))
