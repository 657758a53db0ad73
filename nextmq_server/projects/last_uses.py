"""When ids were last used: kept in Redis for all server processes, written at most once a minute by each."""

from __future__ import annotations

import asyncio
import time
import typing as t

from ..redis.connection import RedisConnection

NOTE_INTERVAL = 60.0
"""How often, in s, a process writes at most that an id is used."""


class LastUses:
    """The last uses of ids, which are no secrets, in the hash `key` of Redis."""

    def __init__(self, connection: RedisConnection, key: str, *, clock: t.Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._key = key
        self._clock = clock
        self._noted_at: dict[str, float] = {}

    def note(self, id: str) -> None:
        """`id` is used now. Nobody waits for its writing, and what cannot be written is with the next use."""
        now = self._clock()
        if id in self._noted_at and now - self._noted_at[id] < NOTE_INTERVAL:
            return
        self._noted_at[id] = now

        def look(answer: asyncio.Future[t.Any]) -> None:
            if answer.cancelled() or answer.exception() is not None:
                self._noted_at.pop(id, None)

        self._connection.execute("HSET", self._key, id, round(now * 1000)).add_done_callback(look)

    async def read(self) -> dict[str, int]:
        """The last use of each id, ms since the epoch. Raises RedisError or ConnectionLost."""
        flat: list[str] = await self._connection.execute("HGETALL", self._key)
        return {id: int(used) for id, used in zip(flat[::2], flat[1::2], strict=True)}
