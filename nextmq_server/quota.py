"""How many jobs and bytes one project may have: new jobs of a project that is full are refused, others are not."""

from __future__ import annotations

import asyncio
import time
import typing as t

from .engine.queues.jobs import Jobs
from .engine.queues.usage import Usage, usage_of
from .redis.connection import ConnectionLost, RedisConnection, RedisError
from .tasks import end_tasks

INTERVAL = 1.0
"""How often, in s, to look at least."""

REST = 20
"""Looking takes at most this part of the time: of many queues it takes long."""

_AT_ONCE = 20  # queues


class QuotaLimits(t.NamedTuple):
    """The most jobs and bytes of a project; None for no limit."""

    jobs: int | None = None
    bytes: int | None = None


class ProjectQuota:
    """Knows about how much a project uses: what was found at the last look, and what this process added since."""

    def __init__(
        self,
        connection: RedisConnection,
        jobs: Jobs,
        limits: QuotaLimits,
        queue_names: t.Callable[[], t.Awaitable[t.Iterable[str]]],
    ) -> None:
        self.limits = limits
        self.found = Usage(0, 0)
        self._added = Usage(0, 0)
        self._connection = connection
        self._jobs = jobs
        self._queue_names = queue_names
        self._task: asyncio.Task[None] | None = None

    @property
    def used(self) -> Usage:
        """What the project uses now, about."""
        return self.found.plus(self._added)

    @property
    def problem(self) -> str | None:
        """Why the project gets no new jobs; None if it does."""
        used = self.used
        if self.limits.jobs is not None and used.jobs >= self.limits.jobs:
            return f"the project has {used.jobs} jobs, its limit is {self.limits.jobs} (--max-jobs)"
        if self.limits.bytes is not None and used.bytes >= self.limits.bytes:
            return (
                f"the jobs of the project have about {used.bytes} bytes, the limit is {self.limits.bytes} "
                "(--max-project-bytes)"
            )
        return None

    def count(self, jobs: int, size: int) -> None:
        """Count jobs that were added, and the bytes of their data."""
        self._added = self._added.plus(Usage(jobs, size))

    async def start(self) -> None:
        """Look now and then at regular intervals, if there is a limit. Raises RedisError or ConnectionLost."""
        if self.limits != QuotaLimits():
            await self.look()
            self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop looking."""
        await end_tasks(self._task)

    async def look(self) -> None:
        """Look at all queues of the project once. Raises RedisError or ConnectionLost."""
        names, found, before = [*await self._queue_names()], Usage(0, 0), self._added
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            for usage in await asyncio.gather(*(usage_of(self._jobs, queue) for queue in some)):
                found = found.plus(usage)
        # What was added meanwhile may be in both: rather too much than too little.
        self.found = found
        self._added = Usage(self._added.jobs - before.jobs, self._added.bytes - before.bytes)

    async def _watch(self) -> None:
        pause = INTERVAL
        while True:
            await asyncio.sleep(pause)
            start = time.monotonic()
            try:
                await self.look()
            except (RedisError, ConnectionLost):
                await self._connection.ready()
            pause = max(INTERVAL, REST * (time.monotonic() - start))
