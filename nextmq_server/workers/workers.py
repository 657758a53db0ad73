"""The workers of a project: apps register them, here or through another server process, and their queues run."""

from __future__ import annotations

import asyncio
import logging

from ..dispatch.dispatcher import Dispatcher
from ..dispatch.egress.rules import EgressRules
from ..dispatch.health import MAX_BACKOFF, end_hold
from ..engine.queues.queues import Limits, Queues
from ..engine.queues.schedulers import JobSchedulers
from ..engine.worker.hub import Hub
from ..tasks import end_tasks
from .directory import QueueDirectory
from .processor import WebhookProcessor
from .registration import Registration
from .registry import Registry
from .schedules import DeclaredSchedules
from .unattended import UnattendedQueues

logger = logging.getLogger("nextmq_server")


class Workers:
    """Run the queues of one project that have a worker. Calls raise RedisError or ConnectionLost too.

    `replace_all` lets any registration replace the one held. `max_hold` is the longest pause between two tries of
    an endpoint, in s.
    """

    def __init__(
        self,
        hub: Hub,
        project: str,
        directory: QueueDirectory,
        queues: Queues,
        limits: Limits,
        schedulers: JobSchedulers,
        *,
        egress: EgressRules,
        replace_all: bool = False,
        max_hold: float = MAX_BACKOFF,
    ) -> None:
        self.registry = Registry(hub.connection, project)
        self.schedules = DeclaredSchedules(hub.connection, project, self.registry, schedulers)
        self.unattended = UnattendedQueues(queues, self.registry)
        self._hub = hub
        self._directory = directory
        self._limits = limits
        self._egress = egress
        self._replace_all = replace_all
        self._max_hold = max_hold
        self._dispatcher: Dispatcher
        self._follower: asyncio.Task[None] | None = None

    async def start(self, dispatcher: Dispatcher) -> None:
        """Run the registered queues, and those that any server process registers from now on."""
        self._dispatcher = dispatcher
        for queue, registration in (await self.registry.load()).items():
            await self._run(queue, registration)
        self._follower = asyncio.create_task(self.registry.follow(self._on_registered_elsewhere))

    async def stop(self) -> None:
        """Follow the registrations of other server processes no longer; the hub stops the queues."""
        await end_tasks(self._follower)

    async def register(self, queue: str, registration: Registration, *, replace: str | None) -> Registration:
        """Register a worker; run its queue and its schedules; return the registration as it is held.

        Raises EgressRefused, and WorkerConflict unless `replace` is the fingerprint of the registration held.
        """
        self._egress.check_url(registration.url)
        changed = await self.registry.put(queue, registration, replace=self._replace_all or replace or False)
        held = self.registry.get(queue)
        assert held is not None
        if changed or queue not in self._hub.queues:
            logger.info("queue %s: worker registered at %s", queue, registration.url)
            await self._run(queue, held)
        await end_hold(self._limits, queue)
        self._look_again(queue)
        await self.schedules.apply(queue)
        return held

    async def unregister(self, queue: str) -> bool:
        """Remove a registration; return whether there was one. Waiting jobs stay, active deliveries finish."""
        found = await self.registry.delete(queue)
        if found:
            self._hub.pause(queue)
        await end_hold(self._limits, queue)
        await self.schedules.apply(queue)
        return found

    async def _on_registered_elsewhere(self, queue: str, before: Registration | None) -> None:
        now = self.registry.get(queue)
        if now is None:
            self._hub.pause(queue)
            return
        if before is None or before.differing_fields(now) or queue not in self._hub.queues:
            await self._run(queue, now)
        self._look_again(queue)

    def _look_again(self, queue: str) -> None:
        """Fetch at once: the app has just registered, so whatever the queue waited for is over."""
        self.unattended.forget(queue)
        self._hub.queues[queue].look_again()

    async def _run(self, queue: str, registration: Registration) -> None:
        if registration.options.dead_letter is not None:
            await self._directory.note({registration.options.dead_letter})
        process = WebhookProcessor(queue, self._hub, self.registry, self._dispatcher, self._limits, self._max_hold)
        await self._hub.add(queue, registration.for_engine(), process)
