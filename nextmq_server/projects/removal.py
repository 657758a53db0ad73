"""Take a project out of service: the jobs that it has, and their removal."""

from __future__ import annotations

import asyncio

from nextmq_handler.errors import ConfigurationError

from ..redis.connection import RedisConnection
from ..redis.keys import FirstProjectKeys, ProjectKeys
from ..redis.scanning import scan, scan_parts
from .projects import Project

_LISTS = ("wait", "paused", "active")
_SORTED_SETS = ("prioritized", "delayed", "waiting-children", "completed", "failed")


async def count_jobs(connection: RedisConnection, project: Project) -> dict[str, int]:
    """Return the number of jobs of each queue below the project's prefix, whoever added them.

    Raises RedisError or ConnectionLost.
    """
    ends = f"{project.prefix}:", ":meta"
    queues = {key.removeprefix(ends[0]).removesuffix(ends[1]) async for key in scan(connection, "*".join(ends))}
    counts: dict[str, int] = {}
    for queue in sorted(queues):
        base = f"{project.prefix}:{queue}:"
        asking = [connection.execute("LLEN", f"{base}{name}") for name in _LISTS]
        asking += [connection.execute("ZCARD", f"{base}{name}") for name in _SORTED_SETS]
        counts[queue] = sum(await asyncio.gather(*asking))
    return counts


async def check_unserved(connection: RedisConnection, keys: ProjectKeys, name: str) -> None:
    """Raise ConfigurationError if a server process serves the project. Raises RedisError or ConnectionLost."""
    async for _ in scan(connection, keys("instance", "*")):
        raise ConfigurationError(
            f"a server still serves project {name}, or was killed less than 10 s ago: stop the servers that serve "
            "it, then run this again"
        )


async def remove_jobs(connection: RedisConnection, keys: ProjectKeys, project: Project) -> int:
    """Remove all keys of the project, BullMQ's and the server's; return how many. A stopped run can be repeated.

    Raises RedisError or ConnectionLost.
    """
    patterns = [f"{project.prefix}:*", *(keys(name, "*") for name in FirstProjectKeys.OF_QUEUES), keys("*")]
    removed = 0
    for pattern in patterns:
        async for found in scan_parts(connection, pattern):
            if found:
                removed += await connection.execute("UNLINK", *found)
    return removed
