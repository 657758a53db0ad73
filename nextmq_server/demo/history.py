"""The past of the demo: what happened in the last hour before it was started."""

from __future__ import annotations

import asyncio
import json
import math
import random
import typing as t

from nextmq_handler.protocol.strict_json import compact
from nextmq_handler.rules.dead_letters import dead_letter_id

from ..engine.queues.delivery_log import FIELD
from ..engine.scripts.scripts import fields_of, flat
from ..minutes.counts import COMPLETED, FAILED, RETRIED, Counts
from ..service import Service

MINUTES = 60
"""How many minutes of the past are filled."""

_MINUTE = 60_000
_WIDTH, _ALWAYS = 12, 0.2  # how wide a peak is, in minutes, and what goes on beside it


class Past(t.NamedTuple):
    """A queue's past hour: jobs a minute, ms of a wait and a run, and after how many min it ends."""

    rate: int
    wait: int
    run: int
    until: int = MINUTES
    peak: int | None = None
    """The minute at which most jobs came; None for a steady queue."""


PASTS = {
    "webhooks-out": Past(10, 9_000, 40, 54),
    "payouts": Past(3, 90, 300),
    "emails": Past(210, 60, 24, peak=20),
    "orders": Past(48, 20, 160),
    "billing-sync": Past(60, 9_000, 200),
    "search-index": Past(1204, 30, 10, peak=55),
    "reports": Past(6, 4_000, 8_000),
    "push": Past(318, 12, 18),
    "image-resize": Past(180, 50, 900, peak=18),
    "sms": Past(9, 15, 110),
    "contacts": Past(7, 10, 30),
    "invoices": Past(40, 12, 400, peak=10, until=14),
    "exports": Past(12, 18, 2_400, peak=11, until=15),
}
"""The pasts of the queues that had jobs."""

FAILURES = {"emails": {14: 20, 13: 41, 12: 18}, "orders": {13: 4, 12: 6}}
"""How many jobs of a queue failed so many minutes ago."""

MOVED = {
    "emails": 12 * _MINUTE,
    "emails-dlq": 12 * _MINUTE,
    "orders": 10 * _MINUTE,
    "thumbnails": 6 * _MINUTE,
    "Emails": 6 * _MINUTE,
    "webhooks-out": 6 * _MINUTE,
    "payouts": 120 * _MINUTE,
}
"""By how much, in ms, what happened when the demo was made is moved into the past."""


async def fill_minutes(service: Service, *, now: int, seed: int) -> None:
    """Write the minutes of the past hour. `now` is ms since the epoch. Raises RedisError or ConnectionLost."""
    source = random.Random(seed)  # noqa: S311 - a demo's data
    first = now // _MINUTE - MINUTES + 1
    for queue in PASTS:
        counted = {(first + place) * _MINUTE: _counts(queue, place, source) for place in range(MINUTES)}
        await service.minutes.write(queue, counted)


def _counts(queue: str, place: int, source: random.Random) -> Counts:
    past, counts = PASTS[queue], Counts()
    if place >= past.until:
        return counts
    flow = 1.0 if past.peak is None else math.exp(-(((place - past.peak) / _WIDTH) ** 2)) + _ALWAYS
    done = round(past.rate * flow * source.uniform(0.75, 1.15))
    failed = FAILURES.get(queue, {}).get(MINUTES - place, 0)
    counts.numbers.update({COMPLETED: done, FAILED: failed, RETRIED: failed * 2})
    for _ in range(min(done + failed, 30)):  # enough for percentiles
        counts.add_status(200)
        counts.add_wait(past.wait * source.uniform(0.4, 1.6))
        counts.add_run(past.run * source.uniform(0.5, 1.6))
    return counts


async def move_into_past(service: Service) -> None:
    """Move jobs and dead letters of some queues into the past. Raises RedisError or ConnectionLost."""
    for queue, by in MOVED.items():
        await asyncio.gather(*(_move_job(service, queue, id, by) for id in await _ids(service, queue)))
    await _rename_letters(service, "emails-dlq")


async def _ids(service: Service, queue: str) -> list[str]:
    scripts = service.jobs.scripts(queue)
    execute = scripts.connection.execute
    lists = [execute("LRANGE", scripts.keys[kind], 0, -1) for kind in ("wait", "paused")]
    sets = [execute("ZRANGE", scripts.keys[kind], 0, -1) for kind in ("completed", "failed")]
    return [id for found in await asyncio.gather(*lists, *sets) for id in found]


async def _move_job(service: Service, queue: str, id: str, by: int) -> None:
    scripts = service.jobs.scripts(queue)
    execute, key = scripts.connection.execute, scripts.key(id)
    held = fields_of(await execute("HGETALL", key))
    new: dict[str, str] = {
        name: str(int(held[name]) - by) for name in ("timestamp", "processedOn", "finishedOn") if name in held
    }
    if FIELD in held:
        entries: list[dict[str, t.Any]] = json.loads(held[FIELD])
        new[FIELD] = compact([{**entry, "at": entry["at"] - by} if "at" in entry else entry for entry in entries])
    await execute("HSET", key, *flat(new))
    if "finishedOn" in new:
        for kind in ("completed", "failed"):
            await execute("ZADD", scripts.keys[kind], "XX", new["finishedOn"], id)


async def _rename_letters(service: Service, queue: str) -> None:
    """Give the dead letters the ids that they would have had then."""
    scripts = service.jobs.scripts(queue)
    execute, wait = scripts.connection.execute, scripts.keys["wait"]
    ids: list[str] = await execute("LRANGE", wait, 0, -1)
    names: list[str] = []
    for id in ids:
        letter = json.loads(await execute("HGET", scripts.key(id), "data"))
        letter["failedAt"] -= MOVED[letter["queue"]]
        name = dead_letter_id(letter["queue"], letter["id"], letter["failedAt"])
        await execute("RENAME", scripts.key(id), scripts.key(name))
        await execute("HSET", scripts.key(name), "data", compact(letter))
        names.append(name)
    if names:
        await execute("DEL", wait)
        await execute("RPUSH", wait, *names)
