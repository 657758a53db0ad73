"""Queues whose jobs nobody works on: said once, with the name that was perhaps meant."""

from __future__ import annotations

import logging

from ..engine.queues.queues import Queues
from .registry import Registry

logger = logging.getLogger("nextmq_server")


class UnattendedQueues:
    """Warns of queues that have jobs and no worker."""

    def __init__(self, queues: Queues, registry: Registry) -> None:
        self._queues = queues
        self._registry = registry
        self._warned: set[str] = set()

    async def check(self, queue: str) -> None:
        """Warn once of jobs that wait where no app has registered. Raises RedisError or ConnectionLost."""
        if self._needs_no_word(queue):
            return
        counts = await self._queues.counts(queue)
        waiting = counts["waiting"] + counts["prioritized"] + counts["delayed"]
        if not waiting or self._needs_no_word(queue):  # a worker may have come meanwhile
            return
        self._warned.add(queue)
        near = self._registry.nearest(queue)
        hint = f'did you mean "{near}"?' if near else "start the app that has one, or check its NEXTMQ_APP_URL"
        jobs = "job" if waiting == 1 else "jobs"
        logger.warning('queue "%s" has %d waiting %s and no worker; %s', queue, waiting, jobs, hint)

    def forget(self, queue: str) -> None:
        """The queue has a worker: warn again once it has none."""
        self._warned.discard(queue)

    def _needs_no_word(self, queue: str) -> bool:
        return self._registry.get(queue) is not None or queue in self._warned
