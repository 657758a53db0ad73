"""Regular work: renew locks, sweep for lost wake-ups, put back stalled jobs and those of dead servers."""

from __future__ import annotations

import asyncio
import logging
import time
import typing as t

from nextmq_handler.rules.log_text import one_line

from ...redis.connection import ConnectionLost, RedisConnection, RedisError
from ...redis.keys import ProjectKeys
from ...tasks import end_tasks
from ..queues.queues import meta_rate_limit
from .runner import QueueRunner
from .stalled import put_back

logger = logging.getLogger("nextmq_server.engine")

TICK = 1.0
SWEEP_INTERVAL = 10.0
"""How often (s) each queue fetches at least: a lost marker delays a job by no more."""

HEARTBEAT_LIFE = 10.0
"""After this many s without a heartbeat an instance is dead and its jobs are put back."""

HEARTBEAT = 2
"""The value of a heartbeat. Version 0.1 writes 1, which tells the two apart."""

TOKEN_PREFIX = "nmq-"  # noqa: S105 - lock tokens are not secrets


class Instance:
    """This server process among those on the same Redis: its id, its lock tokens, its heartbeat.

    `alone` means that no other server process can be alive, as on an embedded Valkey.
    """

    def __init__(self, id: str, connection: RedisConnection, keys: ProjectKeys, *, alone: bool) -> None:
        self.id = id
        self._connection = connection
        self._keys = keys
        self._alone = alone
        self._tokens = 0

    def new_token(self) -> str:
        """Return a new lock token, which names this instance."""
        self._tokens += 1
        return f"{TOKEN_PREFIX}{self.id}:{self._tokens}"

    async def beat(self) -> None:
        """Send the heartbeat. Raises RedisError or ConnectionLost."""
        await self._connection.execute(
            "SET", self._heartbeat_key(self.id), HEARTBEAT, "PX", round(HEARTBEAT_LIFE * 1000)
        )

    async def leave(self) -> None:
        """End the heartbeat. Raises RedisError or ConnectionLost."""
        await self._connection.execute("DEL", self._heartbeat_key(self.id))

    async def is_alive(self, id: str) -> bool:
        """Return whether the instance `id` is alive. Raises RedisError or ConnectionLost."""
        if id == self.id:
            return True
        return not self._alone and bool(await self._connection.execute("EXISTS", self._heartbeat_key(id)))

    def _heartbeat_key(self, id: str) -> str:
        return self._keys("instance", id)


class Upkeep:
    """Does the regular work for all queues of this process."""

    def __init__(
        self, queues: t.Mapping[str, QueueRunner], connection: RedisConnection, instance: Instance
    ) -> None:
        self._queues = queues
        self._connection = connection
        self._instance = instance
        self._tasks: list[asyncio.Task[None]] = []
        self._stalled_checked_at: dict[str, float] = {}

    def start(self) -> None:
        """Start the work."""
        self._tasks = [
            asyncio.create_task(self._repeat(work, every))
            for work, every in (
                (self._instance.beat, HEARTBEAT_LIFE / 3),
                (self._each(self._renew_locks), TICK),
                (self._each(self._sweep), TICK),
                (self._each(self._find_stalled), TICK),
                (self._each(self.put_back_orphans), HEARTBEAT_LIFE),
            )
        ]

    async def stop(self) -> None:
        """Stop the work."""
        await end_tasks(*self._tasks)

    async def put_back_orphans(self, queue: QueueRunner) -> int:
        """Put back the active jobs that no server runs: those of dead instances, and those whose fetch got lost.

        Returns how many. Raises RedisError or ConnectionLost.
        """
        active = queue.scripts.keys["active"]
        job_ids: list[str] = await self._connection.execute("LRANGE", active, 0, -1)
        tokens: dict[str, str] = {}
        for job_id in job_ids:
            if job_id in queue.active:
                continue
            token: str | None = await self._connection.execute("GET", queue.scripts.key(job_id, "lock"))
            # Checked again: a fetch may have been answered together with the list, before its jobs were noted.
            if token is None or not token.startswith(TOKEN_PREFIX) or job_id in queue.active:
                continue
            owner = token.removeprefix(TOKEN_PREFIX).partition(":")[0]
            if owner == self._instance.id or not await self._instance.is_alive(owner):
                tokens[job_id] = token
        if not tokens:
            return 0
        max_stalled_count, interval = queue.options.max_stalled_count, queue.options.stalled_interval
        moved = await put_back(queue.scripts, tokens, max_stalled_count=max_stalled_count, interval=interval)
        if moved:
            logger.warning("queue %s: put back %d jobs that no server runs any more", queue.name, len(moved))
            queue.poke()
        return len(moved)

    async def _repeat(self, work: t.Callable[[], t.Awaitable[None]], every: float) -> None:
        while True:
            try:
                await work()
            except ConnectionLost:
                await self._connection.ready()
                continue
            except RedisError as exc:
                logger.error("upkeep failed, trying again: %s", exc)
            except Exception:  # locks must be renewed, whatever happens
                logger.exception("upkeep failed, trying again")
            await asyncio.sleep(every)

    def _each(self, work: t.Callable[[QueueRunner], t.Awaitable[object]]) -> t.Callable[[], t.Awaitable[None]]:
        async def work_for_all() -> None:
            for queue in list(self._queues.values()):
                await work(queue)

        return work_for_all

    async def _renew_locks(self, queue: QueueRunner) -> None:
        now, half = time.monotonic(), queue.options.lock_duration / 2000
        due = [run for run in queue.active.values() if now - run.renewed_at > half]
        if not due:
            return
        ids, tokens = [run.job.id for run in due], [run.job.token for run in due]
        lost: list[str] = await queue.scripts.pack.extendJobLocks(ids, tokens, queue.options.lock_duration)
        for run in due:
            run.renewed_at = now
        for job_id in lost:
            logger.error("queue %s job %s: lost its lock, aborting its delivery", queue.name, one_line(job_id))
            queue.drop(job_id)

    async def _sweep(self, queue: QueueRunner) -> None:
        if time.monotonic() - queue.fetched_at > SWEEP_INTERVAL:
            queue.poke()

    async def _find_stalled(self, queue: QueueRunner) -> None:
        now, interval = time.monotonic(), queue.options.stalled_interval
        if now - self._stalled_checked_at.get(queue.name, 0) < interval / 1000:
            return
        self._stalled_checked_at[queue.name] = now
        # Another client of BullMQ may have changed it.
        queue.options.global_rate_limit = await meta_rate_limit(queue.scripts)
        moved = await queue.scripts.pack.moveStalledJobsToWait(queue.options.max_stalled_count, interval)
        if moved:
            logger.warning("queue %s: %d jobs had stalled and wait again", queue.name, len(moved))
            queue.poke()
