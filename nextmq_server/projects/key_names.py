"""Which names a project's keys have in Redis: those of now, or the first ones, so that version 0.1 can run beside.

The first server of a version after 0.1 decides it for all others and writes it down. A project that version 0.1
has served keeps the first names until an operator moves its keys, so upgrading and downgrading need no step of
their own.
"""

from __future__ import annotations

import logging
import typing as t

from nextmq_handler.errors import ConfigurationError

from ..redis.address import Address
from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from ..redis.keys import FirstProjectKeys, ProjectKeys
from ..redis.scanning import scan
from .projects import Project

logger = logging.getLogger("nextmq_server")

NAMES = "names"
"""The key that says which names the other keys of the project have: one of the values below."""

FIRST, NOW, MOVING = "first", "now", "moving"

_FIRST_HEARTBEAT = "1"
"""What version 0.1 writes as a heartbeat. Later ones write something else."""

_LASTING = ("workers", "queues", "triggers", "api-key-uses", "webhook-secret-uses")


async def find_keys(address: Address, project: Project) -> ProjectKeys:
    """Return the names that the keys of `project` have in the Redis at `address`.

    Raises ConfigurationError if they are being moved, and if Redis does not answer.
    """
    mark = ProjectKeys(project.name)(NAMES)
    try:
        async with RedisConnection.opened(address, name="nextmq-names") as connection:
            names = await connection.execute("GET", mark)
            if names is None:
                await connection.execute("SET", mark, await _decide(connection, project), "NX")
                names = await connection.execute("GET", mark)
    except (RedisError, ConnectionLost) as exc:
        raise ConfigurationError(f"cannot read the keys of project {project.name}: {exc}") from None
    if names == MOVING:
        raise ConfigurationError(
            f"the keys of project {project.name} are being moved: wait for nextmq projects move-keys "
            f"{project.name}, or run it again if it was stopped"
        )
    if names == NOW:
        return ProjectKeys(project.name)
    logger.info(
        "project %s: its Redis keys have the names of version 0.1, which can run beside this one. When you no "
        "longer need that, stop the servers and run: nextmq projects move-keys %s",
        project.name,
        project.name,
    )
    return FirstProjectKeys(project.name, project.prefix)


async def move_keys(connection: RedisConnection, project: Project, *, back: bool = False) -> int:
    """Give the project's keys the names of now, or with `back` the first ones; return how many were renamed.

    A move that was stopped goes on at the next call. Raises ConfigurationError if a server runs, RedisError or
    ConnectionLost.
    """
    first, now = FirstProjectKeys(project.name, project.prefix), ProjectKeys(project.name)
    if project.name in (*first.OF_QUEUES, *first.OF_SERVERS):
        raise ConfigurationError(
            f"the first names of project {project.name} cannot be told from keys of other projects: give it "
            "another name"
        )
    for keys in (first, now):
        async for _ in scan(connection, keys("instance", "*")):
            raise ConfigurationError(
                "a server runs on this Redis, or was killed less than 10 s ago: stop all servers, then run this "
                "again"
            )
    await connection.execute("SET", now(NAMES), MOVING)
    before, after = (now, first) if back else (first, now)
    renamed = 0
    for names in ((name, "*") for name in first.OF_QUEUES):
        renamed += await _rename(connection, before(*names), after(*names))
    renamed += await _rename(connection, before("*"), after("*"), but={now(NAMES)})
    await connection.execute("SET", now(NAMES), FIRST if back else NOW)
    return renamed


async def _decide(connection: RedisConnection, project: Project) -> str:
    """Return FIRST if version 0.1 has served the project, or runs on this Redis and may."""
    first = FirstProjectKeys(project.name, project.prefix)
    if await connection.execute("EXISTS", *(first(name) for name in _LASTING)):
        return FIRST
    async for heartbeat in scan(connection, first("instance", "*")):
        if await connection.execute("GET", heartbeat) == _FIRST_HEARTBEAT:
            return FIRST
    return NOW


async def _rename(connection: RedisConnection, before: str, after: str, *, but: t.Collection[str] = ()) -> int:
    """Rename the keys that match `before`, a pattern with one `*` at its end, as `after`."""
    found = {key async for key in scan(connection, before)} - {*but}
    for key in found:
        await connection.execute("RENAME", key, after[:-1] + key.removeprefix(before[:-1]))
    return len(found)
