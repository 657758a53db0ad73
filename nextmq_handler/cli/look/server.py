"""`nextmq server`: the server's processes and its Redis."""

from __future__ import annotations

import typing as t

from ..calls import Json, Server
from ..options import AsJson, Url
from ..output import Cell, duration, moment, print_json, say, styled, table

FULL = 0.9
"""The share of its memory at which Redis needs somebody."""


def server(url: Url = None, as_json: AsJson = False) -> None:
    """Show the server's processes, its Redis and the project's quota."""
    about = Server(url).get("server")
    if as_json:
        print_json(about)
        return
    heads = ("process", "version", "started", "heard from", "deliveries", "loop delay", "")
    say(f"project {about['project']}, nextmq {about['version']}", "")
    say(*table(heads, _rows(about["processes"], about["at"])), "", *_redis(about["redis"]), *_quota(about))


def _rows(processes: t.Iterable[Json], now: float) -> t.Iterator[list[Cell]]:
    for one in processes:
        yield [
            one["id"],
            one["version"],
            moment(one["startedAt"], now),
            f"{duration(one['age'])} ago",
            f"{one['inFlight']:,} of {one['maxInFlight']:,}",
            "-" if one["loopDelay"] is None else duration(one["loopDelay"]),
            ("shuts down" if one["isDraining"] else "", "warn"),
        ]


def _redis(redis: Json) -> list[str]:
    memory = f"{redis['usedMemory'] / 2**20:,.0f} MiB"
    if redis.get("maxMemory"):
        ratio = redis["memoryRatio"] or 0
        share = styled(f"{ratio:.0%}", "bad" if ratio >= FULL else None)
        memory += f" of {redis['maxMemory'] / 2**20:,.0f} MiB ({share})"
    return [
        f"{redis['kind']} {redis['version']} ({redis['role']}), answers in {duration(redis['roundTrip'])}",
        f"memory {memory}, eviction {redis['evictionPolicy']}, persistence {redis['persistence']}",
        f"{redis['connections']:,} connections",
    ]


def _quota(about: Json) -> list[str]:
    quota: Json = about.get("quota") or {}
    return ["quota " + ", ".join(f"{name} {value}" for name, value in quota.items())] if quota else []
