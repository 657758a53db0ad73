"""How many of Node's BullMQ workers serve each queue, beside the registered ones."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t
from collections import Counter

from nextmq_handler.protocol.clocks import monotonic

from ..redis.connection import RedisConnection, RedisError

LIFE = 10.0
"""How long, in s, an answer of CLIENT LIST is used."""

_NAME = re.compile(r" name=(\S+)")


class NodeWorkers:
    """Counts the connections of BullMQ's own workers under one prefix. `clock` is monotonic, in s."""

    def __init__(
        self, connection: RedisConnection, prefix: str, *, clock: t.Callable[[], float] = monotonic
    ) -> None:
        self._connection = connection
        self._prefix = f"{prefix}:"
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._looked_at: float | None = None

    async def counts(self, *, max_age: float = LIFE) -> t.Mapping[str, int]:
        """Return how many workers each queue has that has any; none if Redis does not tell.

        The answer may be `max_age` s old. Raises ConnectionLost.
        """
        now = self._clock()
        if self._looked_at is None or now - self._looked_at >= max_age:
            try:
                listing: str = await self._connection.execute("CLIENT", "LIST", "TYPE", "NORMAL")
            except RedisError:  # many providers forbid it
                listing = ""
            self._counts = Counter(queue for name in _NAME.findall(listing) for queue in self._queues(name))
            self._looked_at = now
        return self._counts

    def _queues(self, name: str) -> list[str]:
        """Return the queues that a worker of this connection's name serves: none or one, named in two ways."""
        if not name.startswith(self._prefix):
            return []
        named, _, _ = name.removeprefix(self._prefix).partition(":w:")
        if ":" in named:
            return []
        try:  # Node encodes the name
            return [base64.b64decode(named, validate=True).decode()]
        except (binascii.Error, UnicodeDecodeError):  # Python's BullMQ does not
            return [named]
