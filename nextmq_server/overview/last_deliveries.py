"""The last delivery of each queue, in one hash of the project, written at most once a second."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.views import LastDelivery

from ..dispatch.reports import Report
from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from ..redis.keys import ProjectKeys
from ..tasks import end_tasks

WRITE_INTERVAL = 1.0
"""How often, in s, a process writes the last deliveries of its queues at most."""


class LastDeliveries:
    """Watches the reports of deliveries. `key` is the hash that holds the last one of each queue."""

    def __init__(self, connection: RedisConnection, keys: ProjectKeys) -> None:
        self.key = keys("last-deliveries")
        self._connection = connection
        self._new: dict[str, Report] = {}
        self._task: asyncio.Task[None] | None = None

    def __call__(self, report: Report) -> None:
        """Take note of a delivery."""
        self._new[report.queue] = report

    def start(self) -> None:
        """Write from now on."""
        self._task = asyncio.create_task(self._keep_writing())

    async def stop(self) -> None:
        """Write what is new, and no more after that."""
        await end_tasks(self._task)
        with contextlib.suppress(RedisError, ConnectionLost):
            await self.write()

    async def write(self) -> None:
        """Write what is new. Raises RedisError or ConnectionLost."""
        if not self._new:
            return
        new, self._new = self._new, {}
        try:
            fields = [
                text for queue, report in new.items() for text in (queue, strict_json.compact(_entry(report)))
            ]
            await self._connection.execute("HSET", self.key, *fields)
        except BaseException:
            self._new = new | self._new
            raise

    async def forget(self, queue: str) -> None:
        """Remove the last delivery of a queue. Raises RedisError or ConnectionLost."""
        self._new.pop(queue, None)
        await self._connection.execute("HDEL", self.key, queue)

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_INTERVAL)
            try:
                await self.write()
            except (RedisError, ConnectionLost):
                await self._connection.ready()


def read_last_delivery(text: str | None) -> LastDelivery | None:
    """Return the delivery that a field of the hash holds; None for what cannot be read."""
    try:
        held: object = strict_json.parse(text or "null")
    except ValueError:  # any client of Redis may have written there
        return None
    if not isinstance(held, dict) or not held.keys() >= LastDelivery.__annotations__.keys():
        return None
    return t.cast("LastDelivery", {name: held[name] for name in LastDelivery.__annotations__})


def _entry(report: Report) -> LastDelivery:
    return {
        "at": report.sent_at,
        "status": report.status,
        "ms": round(report.duration),
        "outcome": report.verdict.outcome,
    }
