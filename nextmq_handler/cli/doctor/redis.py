"""The rung of Redis: its version, eviction, persistence and memory, as the server sees them."""

from __future__ import annotations

import re
import typing as t

from .findings import Asking, Findings, good, unknown, wrong

OLDEST_REDIS = (6, 2)
"""The oldest supported Redis."""

NEARLY_FULL = 0.8
"""The share of maxmemory from which the doctor warns: at 0.9 the server refuses jobs."""


def look_at_redis(asking: Asking) -> Findings[None]:
    """Look at the Redis of the server and at the project's quota."""
    server = asking.find("GET", "server")
    if server is None:
        yield unknown("redis", "the server is older than this command and does not tell of its Redis")
        return
    yield good("server", f"server {server['version']}, {_processes(server['processes'])}")
    problems = list(_problems(server["redis"]))
    yield from (wrong("redis", text, fix) for text, fix in problems)
    if not problems:
        redis = server["redis"]
        yield good("redis", f"{redis['kind']} {redis['version']}, answers in {redis['roundTrip']:.1f} ms")
    for name, limit, used in _quota(server.get("quota") or {}):
        if used >= NEARLY_FULL * limit:
            yield wrong(
                "redis",
                f"the project has {used:,} of its {limit:,} {name}: from {limit:,} on new jobs get 507",
                f"remove finished jobs (nextmq clean), or raise nextmq serve --max-{name}",
            )


def _problems(redis: dict[str, t.Any]) -> t.Iterator[tuple[str, str]]:
    """Yield what is wrong with a Redis, and the fix."""
    version = tuple(int(part) for part in re.findall(r"\d+", str(redis.get("version") or ""))[:2])
    if redis.get("kind") == "redis" and version and version < OLDEST_REDIS:
        yield f"Redis is version {redis['version']}", "use Redis 6.2 or newer, or Valkey"
    policy = redis.get("evictionPolicy")
    if policy not in (None, "noeviction"):
        yield (
            f"Redis has maxmemory-policy {policy}: it deletes jobs when its memory is full",
            "CONFIG SET maxmemory-policy noeviction, and the same in its configuration",
        )
    persistence = redis.get("persistence")
    if persistence == "none":
        yield "Redis keeps nothing on disk: a restart loses all jobs", "set appendonly yes in its configuration"
    elif persistence == "snapshots":
        yield (
            "Redis writes snapshots only: a crash loses the jobs since the last one",
            "set appendonly yes in its configuration",
        )
    ratio = redis.get("memoryRatio") or 0
    if ratio >= NEARLY_FULL:
        yield (
            f"Redis uses {ratio:.0%} of its memory: from 90 % on new jobs get 503",
            "remove finished jobs (nextmq clean), or raise maxmemory",
        )
    if redis.get("role") not in (None, "master"):
        yield f"Redis is a {redis['role']}: it takes no writes", "give the server the address of the primary"


def _processes(processes: list[dict[str, t.Any]]) -> str:
    return "1 process" if len(processes) == 1 else f"{len(processes)} processes"


def _quota(quota: dict[str, t.Any]) -> t.Iterator[tuple[str, int, int]]:
    """Yield name, limit and use of each bound of a project."""
    for name, limit, used in (("jobs", "maxJobs", "jobs"), ("project-bytes", "maxBytes", "bytes")):
        if quota.get(limit):
            yield name, quota[limit], quota.get(used) or 0
