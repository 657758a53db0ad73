"""Checks whether a Redis is safe for jobs, once, before the server takes the first one."""

from __future__ import annotations

import re
import typing as t

from nextmq_handler.errors import ConfigurationError

from .address import Address
from .connection import ConnectionLost, RedisConnection, RedisError
from .primary import parse_info

OLDEST = (6, 2)
"""The oldest supported Redis: BullMQ's scripts use commands of this version."""


class Facts(t.NamedTuple):
    """The properties of a Redis. None means that the provider does not tell."""

    version: str
    is_cluster: bool
    eviction: str | None
    appends: bool
    snapshots: bool | None


async def check_redis(address: Address) -> list[str]:
    """Return warnings about the Redis at `address`.

    Raises ConfigurationError, which names the fix, if Redis cannot be reached, would lose jobs or cannot run them.
    """
    try:
        async with RedisConnection.opened(address, name="nextmq-checks") as connection:
            facts = await _ask(connection)
    except ConnectionLost as exc:
        raise ConfigurationError(f"Redis at {address} closed the connection: {exc}") from None
    except RedisError as exc:
        raise ConfigurationError(
            f"Redis at {address} refuses INFO ({exc}): allow it for the user of --redis-url, as in "
            "ACL SETUSER name +info"
        ) from None
    try:
        return judge(facts)
    except ConfigurationError as exc:
        raise ConfigurationError(f"Redis at {address} {exc}") from None


def judge(facts: Facts) -> list[str]:
    """Return warnings. Raises ConfigurationError, whose text continues "Redis at …"."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", facts.version)[:2])
    if numbers < OLDEST:
        raise ConfigurationError(f"is version {facts.version or 'unknown'}: use Redis 6.2 or newer, or Valkey")
    if facts.is_cluster:
        raise ConfigurationError(
            "runs in cluster mode, which is not supported: use a Redis without it (cluster-enabled no), with a "
            "replica for failover"
        )
    if facts.eviction not in (None, "noeviction"):
        raise ConfigurationError(
            f"has maxmemory-policy {facts.eviction}, so it would delete jobs when its memory is full: set "
            "maxmemory-policy noeviction in its configuration, or run CONFIG SET maxmemory-policy noeviction"
        )
    warnings: list[str] = []
    if facts.eviction is None:
        warnings.append("does not tell its maxmemory-policy: make sure it is noeviction, as others delete jobs")
    if not facts.appends and facts.snapshots is False:
        warnings.append("keeps nothing on disk: a restart loses all jobs; set appendonly yes in its configuration")
    elif not facts.appends and facts.snapshots:
        warnings.append(
            "writes snapshots only: a crash loses the jobs since the last one; set appendonly yes in its "
            "configuration"
        )
    return warnings


async def _ask(connection: RedisConnection) -> Facts:
    info = parse_info(await connection.execute("INFO"))
    save = await _setting(connection, "save")
    return Facts(
        version=info.get("redis_version", ""),
        is_cluster=info.get("cluster_enabled") == "1",
        eviction=info.get("maxmemory_policy") or await _setting(connection, "maxmemory-policy"),
        appends=info.get("aof_enabled") == "1",
        snapshots=None if save is None else bool(save),
    )


async def _setting(connection: RedisConnection, name: str) -> str | None:
    try:
        answer: list[str] = await connection.execute("CONFIG", "GET", name)
    except RedisError:  # many providers forbid it
        return None
    return answer[1] if len(answer) == 2 else None
