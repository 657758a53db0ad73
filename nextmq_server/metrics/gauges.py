"""What Redis holds at the moment: jobs by state, the oldest waiting one, holds, and Redis itself."""

from __future__ import annotations

import asyncio
import time
import typing as t
from collections import Counter

from ..dispatch.counts import OTHER
from ..redis.primary import parse_info
from ..service import Service


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
    for queue, look in zip(names, await service.overview.looks(names), strict=True):
        if look is None:
            continue
        label = service.counts.label_of(queue)
        held = found.setdefault(label, QueueGauges(Counter(), 0.0, Counter()))
        held.jobs.update(look.counts)
        held.holds.update([] if look.hold is None else [look.hold.kind])
        waited = 0.0 if look.oldest is None else max(0.0, (look.now - look.oldest) / 1000)
        found[label] = held._replace(oldest=max(held.oldest, waited))
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
