"""The processor of a queue that has a worker: deliver each job to the app that is registered at the moment."""

from __future__ import annotations

import contextlib
import functools

from ..dispatch.dispatcher import Dispatcher
from ..dispatch.health import MAX_BACKOFF, Health, end_hold
from ..engine.queues.job import EngineJob
from ..engine.queues.queues import Limits
from ..engine.verdicts import Hold, Verdict
from ..engine.worker.hub import Hub
from ..redis.connection import ConnectionLost, RedisError
from .registry import Registry

UNREGISTERED_HOLD = 1.0
"""How long, in s, a queue is held at a time while it has no worker."""


class WebhookProcessor:
    """Process the jobs of `queue`. `max_hold` is the longest pause between two tries of its endpoint, in s."""

    def __init__(
        self,
        queue: str,
        hub: Hub,
        registry: Registry,
        dispatcher: Dispatcher,
        limits: Limits,
        *,
        max_hold: float = MAX_BACKOFF,
    ) -> None:
        self._queue = queue
        self._hub = hub
        self._registry = registry
        self._dispatcher = dispatcher
        self._limits = limits
        self._max_hold = max_hold

    @functools.cached_property
    def health(self) -> Health:
        """The health of the queue's endpoint. The hub must run the queue."""
        return Health(self._queue, self._hub.queues[self._queue].gate, max_backoff=self._max_hold)

    async def __call__(self, job: EngineJob) -> Verdict:
        """Deliver `job` to the registered app; without one, hold the queue."""
        # Looked up for each delivery: the registration may change while jobs wait.
        registration = self._registry.get(self._queue)
        if registration is None:
            return Hold(UNREGISTERED_HOLD, "the worker was unregistered")
        verdict = await self._dispatcher.deliver(registration.endpoint(self._queue), self.health, job)
        if self._registry.get(self._queue) is None:
            # Unregistered during the delivery: nothing else would end a hold that this one began.
            with contextlib.suppress(RedisError, ConnectionLost):
                await end_hold(self._limits, self._queue)
        return verdict
