"""Walk over the keys of a Redis, a part at a time."""

from __future__ import annotations

import typing as t

from .connection import RedisConnection

SCAN_COUNT = 1000
"""How many keys one step looks at."""


async def scan(connection: RedisConnection, pattern: str) -> t.AsyncIterator[str]:
    """Yield the keys that match `pattern`; some may come twice. Raises RedisError or ConnectionLost."""
    async for keys in scan_parts(connection, pattern):
        for key in keys:
            yield key


async def scan_parts(connection: RedisConnection, pattern: str) -> t.AsyncIterator[list[str]]:
    """Yield the same keys, those of each step together."""
    cursor = "0"
    while True:
        cursor, keys = await connection.execute("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
        yield keys
        if cursor == "0":
            return
