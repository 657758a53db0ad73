"""Change the limits of a queue, and let the queue in this process hear of it."""

from __future__ import annotations

from ..dispatch.health import end_hold
from ..engine.queues.queues import Limits
from ..engine.worker.hub import Hub
from .registry import Registry


class LimitChanges:
    """Changes the limits of a project's queues. Each method raises RedisError or ConnectionLost."""

    def __init__(self, hub: Hub, limits: Limits, registry: Registry) -> None:
        self._hub = hub
        self._limits = limits
        self._registry = registry

    async def set_global_concurrency(self, queue: str, value: int | None) -> None:
        """Bound how many jobs of the queue run at once; with None only its worker's concurrency does."""
        worker = self._registry.get(queue)
        bound = worker.options.concurrency if worker else None
        await self._limits.set_global_concurrency(queue, value, worker=bound)
        self._hub.poke(queue)

    async def set_rate_limit(self, queue: str, limit: int, duration: int) -> None:
        """Let at most `limit` jobs of the queue start in each `duration` ms."""
        await self._limits.set_rate_limit(queue, limit, duration)
        await self._hub.read_rate_limit(queue)

    async def remove_rate_limit(self, queue: str) -> None:
        """Remove the queue's global rate limit."""
        await self._limits.remove_rate_limit(queue)
        await self._hub.read_rate_limit(queue)

    async def end_rest(self, queue: str) -> bool:
        """Let the queue's jobs start again; return whether a rate limit or a hold kept them from it."""
        held = await end_hold(self._limits, queue)
        limited = await self._limits.end_rest(queue)
        self._hub.poke(queue)
        return held or limited
