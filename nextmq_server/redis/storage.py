"""The memory of Redis: the server refuses new jobs before Redis refuses the writes that finish its jobs."""

from __future__ import annotations

import asyncio
import logging

from ..tasks import end_tasks
from .connection import ConnectionLost, RedisConnection, RedisError
from .primary import parse_info

logger = logging.getLogger("nextmq_server.redis")

FULL_AT = 0.9
"""The share of maxmemory at which the server refuses new jobs."""

FREE_AT = 0.85
"""The share below which it takes new jobs again."""

INTERVAL = 1.0
"""How often (s) to look."""


class StorageWatch:
    """Knows whether Redis is near its memory limit. `share` is how much of it is used, 0 without a limit."""

    def __init__(self, connection: RedisConnection) -> None:
        self.is_full = False
        self.share = 0.0
        self._connection = connection
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look now and then at regular intervals. Raises RedisError or ConnectionLost."""
        await self.look()
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop looking."""
        await end_tasks(self._task)

    async def look(self) -> None:
        """Look at the memory of Redis once. Raises RedisError or ConnectionLost."""
        text: str = await self._connection.execute("INFO", "memory")
        memory = parse_info(text)
        limit, used = int(memory.get("maxmemory") or 0), int(memory.get("used_memory") or 0)
        self.share = share = used / limit if limit else 0.0
        is_full = share >= (FREE_AT if self.is_full else FULL_AT)
        if is_full and not self.is_full:
            logger.error(
                "Redis uses %d of its %d bytes: jobs are refused with 503 storage_full until it is below %d %%; "
                "clean finished jobs or raise maxmemory",
                used,
                limit,
                round(FREE_AT * 100),
            )
        elif self.is_full and not is_full:
            logger.warning("Redis has free memory again: new jobs are accepted")
        self.is_full = is_full

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except (RedisError, ConnectionLost):
                await self._connection.ready()
