"""The processor of a queue that has a worker: deliver each job to the app that is registered at the moment."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass

from ..dispatch.dispatcher import Dispatcher
from ..dispatch.health import Health, end_hold
from ..engine.queues.job import EngineJob
from ..engine.queues.queues import Limits
from ..engine.verdicts import Hold, Verdict
from ..engine.worker.hub import Hub
from ..redis.connection import ConnectionLost, RedisError
from .registry import Registry

UNREGISTERED_HOLD = 1.0
"""How long, in s, a queue is held at a time while it has no worker."""


@dataclass
class WebhookProcessor:
    """Process the jobs of `queue`. `max_hold` is the longest pause between two tries of its endpoint, in s."""

    queue: str
    hub: Hub
    registry: Registry
    dispatcher: Dispatcher
    limits: Limits
    max_hold: float

    @functools.cached_property
    def health(self) -> Health:
        """The health of the queue's endpoint. The hub must run the queue."""
        return Health(self.queue, self.hub.queues[self.queue].gate, max_backoff=self.max_hold)

    async def __call__(self, job: EngineJob) -> Verdict:
        """Deliver `job` to the registered app; without one, hold the queue."""
        # Looked up for each delivery: the registration may change while jobs wait.
        registration = self.registry.get(self.queue)
        if registration is None:
            return Hold(UNREGISTERED_HOLD, "the worker was unregistered")
        verdict = await self.dispatcher.deliver(registration.endpoint(self.queue), self.health, job)
        if self.registry.get(self.queue) is None:
            # Unregistered during the delivery: nothing else would end a hold that this one began.
            with contextlib.suppress(RedisError, ConnectionLost):
                await end_hold(self.limits, self.queue)
        return verdict
