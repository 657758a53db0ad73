"""What Redis holds at the moment: jobs by state, the oldest waiting one, holds, and Redis itself."""

from __future__ import annotations

import asyncio
import time
import typing as t
from collections import Counter

from ..dispatch.counts import OTHER
from ..engine.queues.job import whole
from ..redis.primary import parse_info
from ..service import Service
from ..timers import now_ms

AT_ONCE = 100
"""How many queues are read in one round trip."""


class QueueGauges(t.NamedTuple):
    """Of all queues under one label. `oldest` is how long, in s, the oldest waiting job has waited."""

    jobs: Counter[str]
    oldest: float
    holds: Counter[str]


class RedisGauges(t.NamedTuple):
    """`memory_ratio` is of maxmemory, 0 without one; `round_trip` is s."""

    memory_ratio: float
    round_trip: float
    connections: int


async def read_queues(service: Service) -> dict[str, QueueGauges]:
    """Return what the queues of the project hold, by label. Raises RedisError or ConnectionLost."""
    names = await service.queue_names()
    found: dict[str, QueueGauges] = {}
    for first in range(0, len(names), AT_ONCE):
        part = names[first : first + AT_ONCE]
        for queue, (jobs, oldest, hold) in zip(
            part, await asyncio.gather(*(_read(service, queue) for queue in part)), strict=True
        ):
            label = service.counts.label_of(queue)
            held = found.setdefault(label, QueueGauges(Counter(), 0.0, Counter()))
            held.jobs.update(jobs)
            held.holds.update([hold] if hold else [])
            found[label] = held._replace(oldest=max(held.oldest, oldest))
    return found


async def read_redis(service: Service) -> RedisGauges:
    """Return how the project's Redis is. Raises RedisError or ConnectionLost."""
    execute = service.jobs.scripts(OTHER).connection.execute
    started = time.perf_counter()
    await execute("PING")
    round_trip = time.perf_counter() - started
    memory, clients = await asyncio.gather(execute("INFO", "memory"), execute("INFO", "clients"))
    used = parse_info(memory)
    limit = int(used.get("maxmemory") or 0)
    ratio = int(used.get("used_memory") or 0) / limit if limit else 0.0
    return RedisGauges(ratio, round_trip, int(parse_info(clients).get("connected_clients") or 0))


async def _read(service: Service, queue: str) -> tuple[dict[str, int], float, str | None]:
    counts, oldest, hold = await asyncio.gather(
        service.queues.counts(queue), _oldest(service, queue), service.limits.hold(queue)
    )
    return counts, oldest, None if hold is None else t.cast("str", hold["kind"])


async def _oldest(service: Service, queue: str) -> float:
    scripts = service.jobs.scripts(queue)
    ids = await asyncio.gather(*(scripts.execute("LINDEX", name, -1) for name in ("wait", "paused")))
    times = await asyncio.gather(
        *(scripts.connection.execute("HMGET", scripts.key(id), "timestamp", "processedOn") for id in ids if id)
    )
    # BullMQ keeps no time of a retry: a retried job counts from its last start.
    since = [max(map(_ms, pair)) for pair in times]
    return max(0.0, (now_ms() - min(since)) / 1000) if since and min(since) else 0.0


def _ms(text: str | None) -> int:
    return whole(text) or 0
