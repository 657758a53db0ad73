"""Queues as a whole: count, pause, drain, clean and limit them."""

from __future__ import annotations

import base64
import typing as t

from nextmq_handler.rules.states import STORED_STATES

from ..scripts.holds import Holds
from ..scripts.scripts import QueueScripts
from .job import whole
from .jobs import Jobs, WrongState
from .retrying import retry_many
from .scheduling import LAST_RUNS

_CONCURRENCY = ("concurrency", "nextmq:concurrency")
"""The fields of a queue's meta that hold how many jobs may run at once.

BullMQ's own field holds the global concurrency as a caller or another client set it. If the worker's is lower, it
holds that one, with a leading zero, and the second field the global one. Without a global one that is empty.
"""

_BATCH = 1000
_NOT_PAUSED, _HAS_ACTIVE = -1, -2

# KEYS: meta. ARGV: the two fields, the worker's concurrency or "", and to set the global one its new value or "".
_APPLY_CONCURRENCY = """
local field, own_field, worker, wanted = unpack(ARGV)
local applied, global = unpack(redis.call('HMGET', KEYS[1], field, own_field))
if wanted then global = wanted ~= '' and wanted end
if not wanted and not (applied and applied:find('^0%d')) then global = applied end
local bound = tonumber(global or '')
local is_lower = worker ~= '' and (not bound or tonumber(worker) < bound)
if is_lower then
  redis.call('HSET', KEYS[1], field, '0' .. worker, own_field, global or '')
elseif global and global ~= '' then
  redis.call('HSET', KEYS[1], field, global, own_field, '')
else
  redis.call('HDEL', KEYS[1], field, own_field)
end
"""

# KEYS: meta. ARGV: the two fields, the worker's concurrency. Version 0.1 wrote that as a caller would.
_TAKE_OVER_CONCURRENCY = """
local applied, own = unpack(redis.call('HMGET', KEYS[1], ARGV[1], ARGV[2]))
if applied == ARGV[3] and own ~= '' then redis.call('HSET', KEYS[1], ARGV[1], '0' .. applied) end
"""


class Queues:
    """The queues under one BullMQ prefix. Each method raises RedisError or ConnectionLost too."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def counts(self, queue: str) -> dict[str, int]:
        """Return the number of jobs in each state."""
        names = ["wait" if state == "waiting" else state for state in STORED_STATES]
        scripts = self._jobs.scripts(queue)
        numbers: list[int] = await scripts.run("getCounts", [scripts.keys[""]], names)
        return dict(zip(STORED_STATES, numbers, strict=True))

    async def counts_per_priority(self, queue: str, priorities: t.Sequence[int]) -> dict[str, int]:
        """Return the number of waiting jobs with each of the priorities."""
        scripts = self._jobs.scripts(queue)
        numbers: list[int] = await scripts.run(
            "getCountsPerPriority", scripts.all_keys("wait", "prioritized"), priorities
        )
        return {str(priority): number for priority, number in zip(priorities, numbers, strict=True)}

    async def pause(self, queue: str) -> None:
        """Start no job in any process until `resume`."""
        await self._jobs.scripts(queue).pack.pause(True)

    async def resume(self, queue: str) -> None:
        """Start jobs again."""
        await self._jobs.scripts(queue).pack.pause(False)

    async def is_paused(self, queue: str) -> bool:
        """Return whether the queue is paused."""
        return bool(await self._jobs.scripts(queue).execute("HEXISTS", "meta", "paused"))

    async def is_maxed(self, queue: str) -> bool:
        """Return whether as many jobs run as the concurrency allows."""
        scripts = self._jobs.scripts(queue)
        return bool(await scripts.run("isMaxed", scripts.all_keys("meta", "active"), []))

    async def drain(self, queue: str, *, delayed: bool) -> None:
        """Remove the waiting jobs, and the delayed ones if `delayed`."""
        await self._jobs.scripts(queue).pack.drain(delayed)

    async def clean(self, queue: str, state: str, grace: int, limit: int) -> list[str]:
        """Remove up to `limit` jobs in `state` that are older than `grace` ms. Return their ids."""
        scripts = self._jobs.scripts(queue)
        removed: list[str] = await scripts.pack.cleanJobsInSet(state, grace, limit)
        return removed

    async def obliterate(self, queue: str, *, force: bool) -> None:
        """Remove the queue with all its jobs. Raises WrongState if jobs run, unless `force`."""
        scripts = self._jobs.scripts(queue)
        left = _NOT_PAUSED
        while left:
            if left == _NOT_PAUSED:  # at first; and if it was resumed, or all removed, in between
                await self.pause(queue)
            left = await scripts.run(
                "obliterate", scripts.all_keys("meta", ""), [_BATCH, "force" if force else ""]
            )
            if left == _HAS_ACTIVE:
                raise WrongState(
                    "has running jobs and is paused now: wait for them, force it, or resume the queue"
                )
        await scripts.connection.execute("DEL", scripts.own_key(LAST_RUNS))

    async def retry_jobs(self, queue: str, state: str, before: int) -> None:
        """Put back the jobs that ended in `state` before `before`, ms since the epoch."""
        while await retry_many(self._jobs.scripts(queue), state, before, _BATCH):
            pass

    async def promote_jobs(self, queue: str) -> None:
        """Let all delayed jobs run now."""
        while await self._jobs.scripts(queue).pack.promoteJobs(_BATCH):
            pass

    async def trim_events(self, queue: str, length: int) -> int:
        """Keep about the last `length` events. Return how many were removed."""
        return int(await self._jobs.scripts(queue).execute("XTRIM", "events", "MAXLEN", "~", length))

    async def metrics(self, queue: str, state: str, start: int, end: int) -> dict[str, t.Any]:
        """Return how many jobs ended in `state` in each minute, the last minute first."""
        scripts = self._jobs.scripts(queue)
        key = scripts.key("metrics", state)
        meta, data, count = await scripts.run("getMetrics", [key, f"{key}:data"], [start, end])
        total, previous_time, previous_count = (int(number or 0) for number in meta)
        shown = {"count": total, "prevTS": previous_time, "prevCount": previous_count}
        return {"meta": shown, "data": [int(number) for number in data], "count": int(count)}

    async def deduplication_job_id(self, queue: str, deduplication_id: str) -> str | None:
        """Return the id of the job that holds this deduplication id."""
        scripts = self._jobs.scripts(queue)
        held: str | None = await scripts.connection.execute("GET", scripts.key("de", deduplication_id))
        return held

    async def remove_deduplication_key(self, queue: str, deduplication_id: str) -> bool:
        """Release a deduplication id. Return whether a job held it."""
        scripts = self._jobs.scripts(queue)
        return bool(await scripts.connection.execute("DEL", scripts.key("de", deduplication_id)))

    async def workers(self, queue: str) -> list[dict[str, str]]:
        """Return the connections of BullMQ's own workers, which may run beside this server."""
        scripts = self._jobs.scripts(queue)
        qualified = scripts.keys[""].rstrip(":")
        prefix = qualified.removesuffix(queue)
        # As BullMQ names its connections: in Node, and in Python.
        names = (prefix + base64.b64encode(queue.encode()).decode(), qualified)
        listing: str = await scripts.connection.execute("CLIENT", "LIST")
        clients = [
            dict(t.cast("tuple[str, str]", pair.split("=", 1)) for pair in line.split() if "=" in pair)
            for line in listing.splitlines()
        ]
        return [
            {"name": client["name"], "id": client["id"], "addr": client["addr"], "age": client["age"]}
            for client in clients
            if client.get("name", "").partition(":w:")[0] in names
        ]


class Limits:
    """Limits of how many jobs of a queue may run, or start, over all processes.

    Each method raises RedisError or ConnectionLost too.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def global_concurrency(self, queue: str) -> int | None:
        """Return the global concurrency, as it was set, perhaps by another client of BullMQ."""
        return global_concurrency_of(*await self._jobs.scripts(queue).execute("HMGET", "meta", *_CONCURRENCY))

    async def set_global_concurrency(self, queue: str, value: int | None, *, worker: int | None) -> None:
        """Limit the jobs that run at once to `value`; None leaves only the concurrency of the `worker`."""
        scripts = self._jobs.scripts(queue)
        await scripts.run_composed(_APPLY_CONCURRENCY, [scripts.keys["meta"]], [*_CONCURRENCY, worker, value])

    async def take_over_concurrency(self, queue: str, concurrency: int) -> None:
        """Take the worker's `concurrency`, which a server of version 0.1 has applied, for what it is."""
        scripts = self._jobs.scripts(queue)
        await scripts.run_composed(_TAKE_OVER_CONCURRENCY, [scripts.keys["meta"]], [*_CONCURRENCY, concurrency])

    async def rate_limit(self, queue: str) -> dict[str, int] | None:
        """Return the global rate limit: at most `max` starts in each `duration` ms."""
        return await meta_rate_limit(self._jobs.scripts(queue))

    async def set_rate_limit(self, queue: str, limit: int, duration: int) -> None:
        """Let at most `limit` jobs start in each `duration` ms."""
        await self._jobs.scripts(queue).execute("HSET", "meta", "max", limit, "duration", duration)

    async def remove_rate_limit(self, queue: str) -> None:
        """Lift the global rate limit."""
        await self._jobs.scripts(queue).execute("HDEL", "meta", "max", "duration")

    async def rest(self, queue: str, duration: int) -> None:
        """Rate-limit the queue for `duration` ms."""
        await Holds(self._jobs.scripts(queue)).limit(duration)

    async def rest_left(self, queue: str, max_jobs: int) -> int:
        """Return for how many ms no job starts, because of a hold or a rate limit (or `max_jobs` of that)."""
        scripts = self._jobs.scripts(queue)
        held = await Holds(scripts).read()
        if held is not None and held.until is not None:
            return held.left
        left: int = await scripts.run("getRateLimitTtl", scripts.all_keys("limiter", "meta"), [max_jobs])
        return max(0, left)

    async def hold(self, queue: str) -> dict[str, t.Any] | None:
        """Return why the queue's endpoint gets no deliveries, for the API. Times are ms since the epoch."""
        held = await Holds(self._jobs.scripts(queue)).read()
        if held is None:
            return None
        return {"kind": held.kind, "since": held.since, "until": held.until, "detail": held.detail}

    async def end_hold(self, queue: str) -> bool:
        """Deliver to the queue's endpoint again, whatever the reason of the hold. Return whether it was held."""
        return await Holds(self._jobs.scripts(queue)).succeed(is_enabled=True)

    async def end_rest(self, queue: str) -> bool:
        """Remove the rate limit that is reached now and the count of starts. Return whether there was one."""
        return bool(await self._jobs.scripts(queue).execute("DEL", "limiter"))


def global_concurrency_of(applied: str | None, own: str | None) -> int | None:
    """Return the global concurrency, from the two fields of a queue's meta."""
    is_workers = applied is not None and len(applied) > 1 and applied.startswith("0")
    return whole(own if is_workers else applied)


async def apply_worker_concurrency(scripts: QueueScripts, concurrency: int) -> None:
    """Let BullMQ's scripts enforce the worker's concurrency over all processes, or the global one if it is lower.

    Raises RedisError or ConnectionLost.
    """
    await scripts.run_composed(_APPLY_CONCURRENCY, [scripts.keys["meta"]], [*_CONCURRENCY, concurrency])


async def meta_rate_limit(scripts: QueueScripts) -> dict[str, int] | None:
    """Return the global rate limit in the queue's meta, which other BullMQ clients may have set.

    Raises RedisError or ConnectionLost.
    """
    limit, duration = await scripts.execute("HMGET", "meta", "max", "duration")
    return {"max": int(limit), "duration": int(duration)} if limit and duration else None
