"""The failures of a project's queues, with what the registrations tell: dead-letter queues, and which are new."""

from __future__ import annotations

import typing as t

from ..engine.queues.jobs import Jobs
from ..engine.queues.search.failures import FailureLook, Failures
from .registry import Registry


class FailureLooks:
    """Groups the failures of queues by what went wrong."""

    def __init__(
        self, jobs: Jobs, registry: Registry, queue_names: t.Callable[[], t.Awaitable[t.Sequence[str]]]
    ) -> None:
        self._failures = Failures(jobs)
        self._registry = registry
        self._queue_names = queue_names

    async def look(self, queue: str | None, name: str | None, *, now: int) -> FailureLook:
        """Group the failures of a queue, or of all, at `now`, ms since the epoch.

        A group is new if it began after the process of the app that registered last had started. Raises RedisError
        or ConnectionLost.
        """
        workers = self._registry.all()
        queues = [queue] if queue else await self._queue_names()
        letters = sorted({worker.options.dead_letter or "" for worker in workers.values()} - {""})
        since = {name: worker.started_at for name, worker in workers.items() if worker.started_at}
        return await self._failures.groups(queues, letters, name, now=now, since=since)
