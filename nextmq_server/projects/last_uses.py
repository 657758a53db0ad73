"""When ids were last used. Redis keeps it for all server processes; each writes at most once a minute."""

from __future__ import annotations

import asyncio
import typing as t

from nextmq_handler.protocol.clocks import wall_clock

from ..redis.connection import RedisConnection

NOTE_INTERVAL = 60.0
"""At most this often, in s, a process writes that an id is used."""


class LastUses:
    """The last uses of ids, which are not secret, in the Redis hash `key`."""

    def __init__(
        self, connection: RedisConnection, key: str, *, clock: t.Callable[[], float] = wall_clock
    ) -> None:
        self._connection = connection
        self._key = key
        self._clock = clock
        self._noted_at: dict[str, float] = {}

    def note(self, id: str, *, at_once: bool = False) -> None:
        """Record that `id` is used now, without waiting. If that fails, the next use is recorded.

        `at_once` records it even if it was recorded within NOTE_INTERVAL.
        """
        now = self._clock()
        if not at_once and id in self._noted_at and now - self._noted_at[id] < NOTE_INTERVAL:
            return
        self._noted_at[id] = now

        def check(answer: asyncio.Future[t.Any]) -> None:
            if answer.cancelled() or answer.exception() is not None:
                self._noted_at.pop(id, None)

        self._connection.execute("HSET", self._key, id, round(now * 1000)).add_done_callback(check)

    async def read(self) -> dict[str, int]:
        """Return the last use of each id, ms since the epoch. Raises RedisError or ConnectionLost."""
        flat: list[str] = await self._connection.execute("HGETALL", self._key)
        return {id: int(used) for id, used in zip(flat[::2], flat[1::2], strict=True)}
