"""What a project sees of the server: its processes, its Redis, its quota."""

from __future__ import annotations

import asyncio
import time
import typing as t

from nextmq_handler._package import __version__

from ..engine.worker.hub import Hub
from ..engine.worker.processes import PublishedProcess
from ..quota import ProjectQuota
from ..redis.connection import RedisConnection, RedisError
from ..redis.primary import parse_info

_SECTIONS = ("server", "memory", "persistence", "clients", "replication")


class ServerLook:
    """Looks at the server of one project. Each call raises RedisError or ConnectionLost."""

    def __init__(self, project: str, hub: Hub, quota: ProjectQuota) -> None:
        self._project = project
        self._hub = hub
        self._quota = quota

    async def view(self) -> dict[str, t.Any]:
        """Return the server as the API shows it."""
        connection = self._hub.connection
        sent_at = time.perf_counter()
        seconds, micros = await connection.execute("TIME")
        round_trip = (time.perf_counter() - sent_at) * 1000
        now = int(seconds) * 1000 + int(micros) // 1000
        published, info = await asyncio.gather(self._hub.processes.read(), _info(connection))
        own = self._hub.described()
        others = [process for process in published if process.id != own.id]
        return {
            "version": __version__,
            "project": self._project,
            "at": now,
            "processes": [_process(own, now, 0), *(_process(other, now, other.age(now)) for other in others)],
            "redis": await _redis(connection, info, round_trip),
            "quota": self._quota_view(),
        }

    def _quota_view(self) -> dict[str, int | None] | None:
        limits, used = self._quota.limits, self._quota.used
        if limits.jobs is None and limits.bytes is None:
            return None
        return {"jobs": used.jobs, "maxJobs": limits.jobs, "bytes": used.bytes, "maxBytes": limits.bytes}


def _process(process: PublishedProcess, now: int, age: int) -> dict[str, t.Any]:
    return {
        "id": process.id,
        "version": process.version,
        "age": age,
        "startedAt": now - age - process.uptime,
        "isDraining": process.is_draining,
        "inFlight": process.in_flight,
        "maxInFlight": process.max_in_flight,
        "loopDelay": process.loop_delay,
    }


async def _redis(connection: RedisConnection, info: dict[str, str], round_trip: float) -> dict[str, t.Any]:
    used, most = _number(info, "used_memory"), _number(info, "maxmemory")
    is_valkey = info.get("server_name") == "valkey" or "valkey_version" in info
    return {
        "version": info.get("valkey_version") or info.get("redis_version") or None,
        "kind": "valkey" if is_valkey else "redis",
        "usedMemory": used,
        "maxMemory": most or None,
        "memoryRatio": round(used / most, 4) if most else None,
        "evictionPolicy": info.get("maxmemory_policy"),
        "persistence": await _persistence(connection, info),
        "roundTrip": round(round_trip, 2),
        "connections": _number(info, "connected_clients"),
        "role": info.get("role"),
    }


async def _persistence(connection: RedisConnection, info: dict[str, str]) -> str | None:
    """Return how Redis keeps its data: "append-only file", "snapshots", "none"; None if it does not tell."""
    if info.get("aof_enabled") == "1":
        return "append-only file"
    try:
        answer: list[str] = await connection.execute("CONFIG", "GET", "save")
    except RedisError:  # many providers forbid it
        return None
    return ("snapshots" if answer[1] else "none") if len(answer) == 2 else None


async def _info(connection: RedisConnection) -> dict[str, str]:
    """Return what INFO tells; nothing if the user of the server may not ask."""
    found = dict[str, str]()
    for section in _SECTIONS:  # one at a time: Redis 6.2 takes no more
        try:
            found |= parse_info(await connection.execute("INFO", section))
        except RedisError:
            return found
    return found


def _number(info: t.Mapping[str, str], name: str) -> int:
    text = info.get(name, "")
    return int(text) if text.isdecimal() else 0
