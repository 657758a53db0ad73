"""Warn once about a queue that has jobs and no worker, and suggest the queue that was perhaps meant."""

from __future__ import annotations

import logging

from ..engine.queues.queues import Queues
from .registry import Registry

logger = logging.getLogger("nextmq_server")

_NO_APP = (
    "start its app; if it runs, it has not registered: it does so when its ASGI lifespan starts (a mounted "
    "handler needs the parent's lifespan), with its first request, or with nextmq register"
)


class UnattendedQueues:
    """The queues of which this process has warned."""

    def __init__(self, queues: Queues, registry: Registry) -> None:
        self._queues = queues
        self._registry = registry
        self._warned: set[str] = set()

    async def check(self, queue: str) -> None:
        """Warn once if jobs wait and no app has registered. Raises RedisError or ConnectionLost."""
        if self._is_settled(queue):
            return
        counts = await self._queues.counts(queue)
        is_paused = await self._queues.is_paused(queue)
        waiting = counts["waiting"] + counts["prioritized"] + counts["delayed"]
        if not waiting or self._is_settled(queue):  # a worker may have registered meanwhile
            return
        self._warned.add(queue)
        near = self._registry.nearest(queue)
        hint = f'did you mean "{near}"?' if near else _NO_APP
        jobs = "job" if waiting == 1 else "jobs"
        paused = ", and is paused" if is_paused else ""
        logger.warning(
            'queue "%s" has %d waiting %s and no worker%s; %s (nextmq doctor checks the set-up)',
            queue,
            waiting,
            jobs,
            paused,
            hint,
        )

    def forget(self, queue: str) -> None:
        """Warn about this queue again once it has no worker."""
        self._warned.discard(queue)

    def _is_settled(self, queue: str) -> bool:
        if self._registry.get(queue) is not None or queue in self._warned:
            return True
        # Dead letters wait for people.
        return any(worker.options.dead_letter == queue for worker in self._registry.all().values())
