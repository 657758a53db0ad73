"""The service: engine, dispatcher and registry of one project, started and stopped as one."""

from __future__ import annotations

import logging
import secrets
import typing as t

from .deliveries import DeliveryLedger
from .dispatch.client import DeliveryClient
from .dispatch.dispatcher import Dispatcher, Report
from .dispatch.holds import MAX_BACKOFF, HoldBook
from .engine.connection import Address
from .engine.hub import Hub
from .engine.job import ActiveJob
from .engine.jobs import Jobs
from .engine.verdicts import Hold, Verdict
from .projects import Project
from .registry import Registration, Registry

logger = logging.getLogger("nextmq_server")


def _ignore(report: Report) -> None:
    """Nobody watches the deliveries."""


class Service:
    """Runs a project's queues on the Redis at `redis_url`.

    `alone` says that no other server process can be at work there, so jobs that a killed one held are freed at
    once. `replace_workers` lets a registration that differs take over, as `nextmq dev` wants it. `max_hold` is
    the longest pause, in s, between two tries of an endpoint that is not there.
    """

    def __init__(
        self,
        project: Project,
        redis_url: str,
        *,
        alone: bool = False,
        replace_workers: bool = False,
        max_hold: float = MAX_BACKOFF,
        report: t.Callable[[Report], None] | None = None,
        instance_id: str | None = None,
    ) -> None:
        self.project = project
        self._replace_workers = replace_workers
        self._report = report or _ignore
        self._hub = Hub(
            Address(redis_url),
            prefix=project.prefix,
            instance_id=instance_id or secrets.token_hex(6),
            alone=alone,
        )
        connection = self._hub.connection
        self.jobs = Jobs(self._hub.scripts, project.prefix)
        self.registry = Registry(connection, project.name)
        self.deliveries = DeliveryLedger(connection, project.name)
        self._holds = HoldBook(max_backoff=max_hold)
        self._client: DeliveryClient | None = None
        self._dispatcher: Dispatcher | None = None
        self._warned_queues: set[str] = set()

    async def start(self) -> None:
        """Connect and run the queues that are registered. Raises ConfigurationError."""
        await self._hub.start()
        self._client = DeliveryClient()
        active = self.project.secrets
        self._dispatcher = Dispatcher(
            self._client,
            self._holds,
            secrets=lambda: active,
            announce=self.deliveries.announce,
            report=self._report,
        )
        for queue, registration in (await self.registry.load()).items():
            await self._run(queue, registration)

    async def stop(self, *, grace: float) -> None:
        """Stop fetching, give deliveries in flight `grace` s, hand the rest back uncounted."""
        await self._hub.stop(grace=grace)
        if self._client is not None:
            await self._client.close()

    def hurry(self) -> None:
        """End a `stop` that is waiting: hand back now what still runs."""
        self._hub.hurry()

    async def register(self, queue: str, registration: Registration, *, replace: str | None) -> Registration:
        """Register a worker and run its queue. Raises WorkerConflict, unless `replace` is the fingerprint held."""
        changed = await self.registry.put(queue, registration, replace=self._replace_workers or replace or False)
        held = self.registry.get(queue)
        assert held is not None
        if changed or queue not in self._hub.queues:
            logger.info("queue %s: worker registered at %s", queue, registration.url)
            await self._run(queue, held)
        # The app is there: whatever hold it had is over.
        self._holds.clear(queue)
        self._warned_queues.discard(queue)
        self._hub.queues[queue].release_hold()
        return held

    async def unregister(self, queue: str) -> bool:
        """Remove a registration; whether there was one. Its waiting jobs stay, active deliveries finish."""
        found = await self.registry.delete(queue)
        if found:
            self._hub.pause(queue)
        return found

    async def warn_without_worker(self, queue: str) -> None:
        """Say once that jobs wait in a queue for which no app has registered."""
        if self.registry.get(queue) is not None or queue in self._warned_queues:
            return
        waiting = (await self.jobs.counts(queue))["waiting"]
        if self.registry.get(queue) is not None or queue in self._warned_queues:
            return  # it came meanwhile
        self._warned_queues.add(queue)
        near = self.registry.nearest(queue)
        hint = f'did you mean "{near}"?' if near else "start the app that has one, or check its NEXTMQ_APP_URL"
        jobs = "job" if waiting == 1 else "jobs"
        logger.warning('queue "%s" has %d waiting %s and no worker; %s', queue, waiting, jobs, hint)

    async def _run(self, queue: str, registration: Registration) -> None:
        dispatcher = self._dispatcher
        assert dispatcher is not None

        async def process(job: ActiveJob) -> Verdict:
            # Looked up for each delivery: a registration may change while jobs wait.
            current = self.registry.get(queue)
            if current is None:
                return Hold(1.0, "the worker was unregistered")
            return await dispatcher.deliver(current.endpoint(queue), job)

        await self._hub.add(queue, registration.options.for_engine(), process)
