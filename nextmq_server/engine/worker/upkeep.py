"""Regular work: renew locks, sweep for lost wake-ups, put back stalled jobs and those of dead servers.

Each work tells when it is due next: no queue waits for the interval of another.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import time
import typing as t

from nextmq_handler.rules.limits import MIN_LOCK_MS

from ...redis.connection import ConnectionLost, RedisConnection, RedisError
from ...redis.keys import ProjectKeys
from ...tasks import end_tasks
from ..queues.queues import apply_worker_concurrency, meta_rate_limit
from ..scripts.tokens import TOKEN_PREFIX, server_of
from .renewal import next_renewal, renew
from .runner import QueueRunner
from .stalled import put_back

logger = logging.getLogger("nextmq_server.engine")

TICK = MIN_LOCK_MS / 2000
"""How often (s) to look for work at least. The locks of a new queue are due no sooner."""

ERROR_PAUSE = 0.2
"""How long (s) a work that failed rests."""

AT_ONCE = 100
"""How many queues are worked on at the same time."""

RETURN_TIME = 5.0
"""How long (s) after Redis was gone servers may renew their locks, before jobs without one count as stalled."""

SWEEP_INTERVAL = 10.0
"""How often (s) each queue fetches at least: a lost marker delays a job by no more."""

HEARTBEAT_LIFE = 10.0
"""After this many s without a heartbeat an instance is dead and its jobs are put back."""

HEARTBEAT = 2
"""The value of a heartbeat. Version 0.1 writes 1, which tells the two apart."""


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

    @property
    def is_alone(self) -> bool:
        """Whether no other server process can be alive."""
        return self._alone

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
        self._paused: set[str] = set()
        self._return = connection.next_return
        self._returned_at = -math.inf
        self._check_at: dict[str, float] = {}

    def start(self) -> None:
        """Start the work."""
        works = (self._beat, self._renew, self._sweep, self._find_stalled, self._find_orphans, self._take_up)
        self._tasks = [asyncio.create_task(self._repeat(work)) for work in works]

    async def stop(self) -> None:
        """Stop the work."""
        await end_tasks(*self._tasks)

    async def put_back_orphans(self, queue: QueueRunner) -> int:
        """Put back the active jobs that no server runs: those of dead instances, and those whose fetch got lost.

        Returns how many. Raises RedisError or ConnectionLost.
        """
        # Others may have to send their heartbeat again first.
        own_only = not self._instance.is_alone and time.monotonic() - self._returned_at < HEARTBEAT_LIFE
        active = queue.scripts.keys["active"]
        job_ids: list[str] = await self._connection.execute("LRANGE", active, 0, -1)
        names = [job_id for job_id in job_ids if job_id not in queue.active]
        locks = await asyncio.gather(*(self._lock(queue, job_id) for job_id in names))
        tokens: dict[str, str] = {}
        for job_id, (token, server) in zip(names, locks, strict=True):
            # Checked again: a fetch may have been answered together with the list, before its jobs were noted.
            if not server.startswith(TOKEN_PREFIX) or job_id in queue.active:
                continue
            owner = server.removeprefix(TOKEN_PREFIX)
            if owner == self._instance.id or not (own_only or await self._instance.is_alive(owner)):
                tokens[job_id] = token
        if not tokens:
            return 0
        max_stalled_count, interval = queue.options.max_stalled_count, queue.options.stalled_interval
        moved = await put_back(queue.scripts, tokens, max_stalled_count=max_stalled_count, interval=interval)
        if moved:
            logger.warning("queue %s: put back %d jobs that no server runs any more", queue.name, len(moved))
            queue.poke()
        return len(moved)

    async def _lock(self, queue: QueueRunner, job_id: str) -> tuple[str, str]:
        """Return the token that locks an active job, and the server that has fetched it; "" for none."""
        token: str | None = await self._connection.execute("GET", queue.scripts.key(job_id, "lock"))
        if token is not None:
            return token, server_of(token)
        (server,) = await queue.scripts.fields(job_id, "pb")
        return "", server or ""

    async def _repeat(self, work: t.Callable[[], t.Awaitable[float]]) -> None:
        """Do the work again and again. It returns after how many s it is due next."""
        while True:
            try:
                pause = await work()
            except ConnectionLost:
                await self._connection.ready()
                continue
            except Exception as exc:  # noqa: BLE001 - locks must be renewed, whatever happens
                _tell(exc, "upkeep")
                pause = ERROR_PAUSE
            await asyncio.sleep(pause)

    async def _for_each(
        self, queues: t.Iterable[QueueRunner], work: t.Callable[[QueueRunner], t.Awaitable[object]]
    ) -> None:
        """Do the work for each queue, also if it fails for another. Raises ConnectionLost after that."""
        left = list(queues)
        lost: ConnectionLost | None = None
        while left:
            batch, left = left[:AT_ONCE], left[AT_ONCE:]
            answers = await asyncio.gather(*map(work, batch), return_exceptions=True)
            for queue, answer in zip(batch, answers, strict=True):
                if isinstance(answer, ConnectionLost):
                    lost = answer
                elif isinstance(answer, Exception):
                    _tell(answer, f"queue {queue.name}: upkeep")
        if lost is not None:
            raise lost

    async def _beat(self) -> float:
        await self._instance.beat()
        return HEARTBEAT_LIFE / 3

    async def _renew(self) -> float:
        renew_due = functools.partial(renew, by=time.monotonic() + TICK)
        await self._for_each([queue for queue in self._queues.values() if queue.active], renew_due)
        return max(0.0, min(TICK, next_renewal(self._queues.values()) - time.monotonic()))

    async def _sweep(self) -> float:
        before = time.monotonic() - SWEEP_INTERVAL + TICK
        for queue in list(self._queues.values()):
            if queue.fetched_at < before:
                queue.poke()
        return TICK

    async def _find_stalled(self) -> float:
        now = time.monotonic()
        if (left := self._returned_at + RETURN_TIME - now) > 0:
            return left
        due = [queue for queue in self._queues.values() if self._check_at.get(queue.name, 0) <= now]
        for queue in due:
            self._check_at[queue.name] = now + queue.options.stalled_interval / 1000
        await self._for_each(due, self._put_back_stalled)
        next_at = min(self._check_at.values(), default=math.inf)
        return max(0.0, min(TICK, next_at - time.monotonic()))

    async def _put_back_stalled(self, queue: QueueRunner) -> None:
        await self._read_settings(queue)
        max_stalled_count, interval = queue.options.max_stalled_count, queue.options.stalled_interval
        moved = await queue.scripts.pack.moveStalledJobsToWait(max_stalled_count, interval)
        if moved:
            logger.warning("queue %s: %d jobs had stalled and wait again", queue.name, len(moved))
            queue.poke()

    async def _read_settings(self, queue: QueueRunner) -> None:
        """Take note of what another client of BullMQ may have changed. Say so if the queue is paused now."""
        queue.options.global_rate_limit = await meta_rate_limit(queue.scripts)
        await apply_worker_concurrency(queue.scripts, queue.options.concurrency)
        is_paused = bool(await queue.scripts.execute("HEXISTS", "meta", "paused"))
        if is_paused and queue.name not in self._paused:
            logger.warning("queue %s is paused: its jobs wait until it is resumed", queue.name)
        elif not is_paused and queue.name in self._paused:
            logger.info("queue %s is resumed", queue.name)
        (self._paused.add if is_paused else self._paused.discard)(queue.name)

    async def _find_orphans(self) -> float:
        await self._for_each(self._queues.values(), self.put_back_orphans)
        return HEARTBEAT_LIFE

    async def _take_up(self) -> float:
        """Take up all work when Redis is back: locks that ended meanwhile, and jobs whose fetch had no answer."""
        await self._return.wait()
        self._return = self._connection.next_return
        self._returned_at = time.monotonic()
        await self._instance.beat()
        await self._for_each(self._queues.values(), self._take_up_queue)
        return 0.0

    async def _take_up_queue(self, queue: QueueRunner) -> None:
        await renew(queue, by=math.inf)
        await self.put_back_orphans(queue)
        queue.poke()


def _tell(error: Exception, what: str) -> None:
    if isinstance(error, RedisError):
        logger.error("%s failed, trying again: %s", what, error)
    else:
        logger.error("%s failed, trying again", what, exc_info=error)
