"""The service: engine, dispatcher and registry of one project, started and stopped as one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import typing as t

from nextmq_handler.rules.schedules import Template

from .dispatch.delivery_ids import delivery_id
from .dispatch.dispatcher import MAX_FREE_STARTS, Dispatcher, Report
from .dispatch.egress.rules import EgressRules
from .dispatch.health import MAX_BACKOFF, Health
from .dispatch.http.client import DeliveryClient
from .engine.events.hub import EventHub
from .engine.events.results import Results
from .engine.queues.adding import AddResult, Idempotency, JobToAdd
from .engine.queues.children import Children
from .engine.queues.flows import Flows
from .engine.queues.job import EngineJob
from .engine.queues.jobs import Jobs
from .engine.queues.logs import JobLogStore
from .engine.queues.queues import Limits, Queues, apply_worker_concurrency
from .engine.queues.redrive import Redriver, Wanted
from .engine.queues.schedulers import JobSchedulers, SchedulerState
from .engine.verdicts import Hold, Verdict
from .engine.worker.hub import Hub
from .engine.worker.slots import Slots
from .projects.credentials import Credentials
from .projects.projects import Project
from .redis.address import Address
from .redis.connection import ConnectionLost, RedisError
from .redis.storage import StorageWatch
from .triggers.triggers import Triggers
from .workers.directory import QueueDirectory
from .workers.registry import Registration, Registry
from .workers.schedules import DeclaredSchedules
from .workers.unattended import UnattendedQueues

logger = logging.getLogger("nextmq_server")

PING_TIMEOUT = 2.0
"""How long, in s, Redis may take to answer where it is asked whether it is there."""

_PUBLIC_ONLY = EgressRules()


def _ignore(report: Report) -> None:
    """Nobody watches the deliveries."""


def _harmless(report: t.Callable[[Report], None]) -> t.Callable[[Report], None]:
    """`report`, whose failure changes nothing of the delivery that it is told of."""

    def tell(delivery: Report) -> None:
        try:
            report(delivery)
        except Exception:
            logger.exception("cannot report a delivery of queue %s", delivery.queue)

    return tell


class Service:
    """Runs a project's queues on the Redis at `redis_url`.

    `alone` says that no other server process can be at work there, so jobs that a killed one held are freed at
    once. `replace_workers` lets a registration that differs take over, as `nextmq dev` wants it. `max_hold` is
    the longest pause, in s, between two tries of an endpoint that is not there. After `max_free_starts` that burnt
    no attempt a job fails. `egress` bounds where deliveries and triggers may go: public addresses over https,
    unless given. `slots` bounds what is in flight, of services that share it together.
    """

    def __init__(
        self,
        project: Project,
        redis_url: str,
        *,
        alone: bool = False,
        replace_workers: bool = False,
        max_hold: float = MAX_BACKOFF,
        max_free_starts: int = MAX_FREE_STARTS,
        egress: EgressRules = _PUBLIC_ONLY,
        report: t.Callable[[Report], None] | None = None,
        instance_id: str | None = None,
        slots: Slots | None = None,
    ) -> None:
        self.egress = egress
        self._follower: asyncio.Task[None] | None = None
        self._unready: str | None = "starting"
        self._replace_workers = replace_workers
        self._report = _harmless(report or _ignore)
        address = Address(redis_url)
        instance_id = instance_id or secrets.token_hex(6)
        self._hub = Hub(address, prefix=project.prefix, instance_id=instance_id, alone=alone, slots=slots)
        connection = self._hub.connection
        self.events = EventHub(address, connection, name=f"nextmq-{instance_id}-events")
        self.jobs = Jobs(self._hub.scripts, project.prefix)
        self.children = Children(self.jobs, project.prefix)
        self.flows = Flows(self.jobs, self.children)
        self.logs = JobLogStore(self.jobs)
        self.queues = Queues(self.jobs)
        self.limits = Limits(self.jobs)
        self.results = Results(self.jobs, self.events)
        self._directory = QueueDirectory(connection, project.name)
        self._redriver = Redriver(self.jobs, note=self._directory.note)
        self.storage = StorageWatch(connection)
        self.schedulers = JobSchedulers(self._hub.scripts, project.prefix)
        self.registry = Registry(connection, project.name)
        self.credentials = Credentials(project, connection, self.registry)
        self._declared = DeclaredSchedules(connection, project.name, self.registry, self.schedulers)
        self.triggers = Triggers(self._hub, self.jobs, project.name, report=self._report)
        self._max_hold = max_hold
        self._max_free_starts = max_free_starts
        self._healths: dict[str, Health] = {}
        self._client: DeliveryClient | None = None
        self._dispatcher: Dispatcher | None = None
        self._unattended = UnattendedQueues(self.queues, self.registry)

    @property
    def project(self) -> Project:
        """The project with the keys and secrets that it has now."""
        return self.credentials.project

    async def start(self) -> None:
        """Connect and run the queues that are registered. Raises ConfigurationError."""
        await self._hub.start()
        self._client = DeliveryClient(self.egress)
        self._dispatcher = Dispatcher(
            self._client,
            health=self._health,
            identify=delivery_id,
            secrets=lambda: self.credentials.secrets,
            note_signed=self.credentials.note_signed,
            report=self._report,
            max_free_starts=self._max_free_starts,
        )
        await self.storage.start()
        await self.credentials.warn_of_missing()
        for queue, registration in (await self.registry.load()).items():
            await self._run(queue, registration)
        await self.triggers.start(self._client)
        self._follower = asyncio.create_task(self.registry.follow(self._on_registered_elsewhere))
        self._unready = None

    async def stop(self, *, grace: float) -> None:
        """Stop fetching, give deliveries in flight `grace` s, hand the rest back uncounted."""
        self._unready = "draining"
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait({self._follower})
        await self.storage.stop()
        await self.triggers.stop()
        await self._hub.stop(grace=grace)
        await self.events.stop()  # not before: somebody may wait for what is in flight
        if self._client is not None:
            await self._client.close()

    def hurry(self) -> None:
        """End a `stop` that is waiting: hand back now what still runs."""
        self._hub.hurry()

    async def readiness(self) -> str | None:
        """Why no work is to be sent here: it starts, it drains, Redis does not answer. None where it may be."""
        if self._unready is not None:
            return self._unready
        try:
            async with asyncio.timeout(PING_TIMEOUT):
                await self._hub.connection.execute("PING")
        except (ConnectionLost, RedisError, TimeoutError):
            return "Redis does not answer"
        return None

    async def register(self, queue: str, registration: Registration, *, replace: str | None) -> Registration:
        """Register a worker, run its queue and its schedules.

        Raises WorkerConflict, unless `replace` is the fingerprint held, and EgressRefused.
        """
        self.egress.check_url(registration.url)
        changed = await self.registry.put(queue, registration, replace=self._replace_workers or replace or False)
        held = self.registry.get(queue)
        assert held is not None
        if changed or queue not in self._hub.queues:
            logger.info("queue %s: worker registered at %s", queue, registration.url)
            await self._run(queue, held)
        await self._end_hold(queue)
        self._welcome(queue)
        await self._declared.apply(queue)
        return held

    async def unregister(self, queue: str) -> bool:
        """Remove a registration; whether there was one. Its waiting jobs stay, active deliveries finish."""
        found = await self.registry.delete(queue)
        if found:
            self._hub.pause(queue)
        await self._end_hold(queue)
        await self._declared.apply(queue)
        return found

    def idempotency_key(self, key: str) -> str:
        """Where Redis keeps the result of the request with this idempotency key."""
        return f"nextmq:{self.project.name}:idempotency:{key}"

    async def add(self, jobs: t.Sequence[JobToAdd], idempotency: Idempotency | None = None) -> list[AddResult]:
        """Add jobs in one step. Raises IdempotencyKeyReused, UnusableParent, RedisError or ConnectionLost."""
        queues = {job.queue for job in jobs}
        await self._directory.note(queues)
        added = await self.jobs.adder.add(jobs, idempotency)
        for queue in queues:
            await self._unattended.check(queue)
        return added

    async def upsert_scheduler(
        self, queue: str, id: str, repeat: dict[str, t.Any], template: Template
    ) -> SchedulerState:
        """Make or change a job scheduler; an app that declares one of this id does so again when it registers.

        Raises InvalidSchedule, WrongState, NoSuchScheduler, RedisError or ConnectionLost.
        """
        await self._directory.note({queue})
        await self._declared.release(queue, id)
        made = await self.schedulers.upsert(queue, id, repeat, template)
        await self._unattended.check(queue)
        return made

    async def redrive(self, queue: str, wanted: Wanted, *, limit: int, now: int) -> list[str]:
        """Send up to `limit` of the wanted dead letters in `queue` back to their queues; the letters' ids.

        `now` is ms since the epoch. Raises RedisError or ConnectionLost.
        """
        redriven = await self._redriver.redrive(queue, wanted, limit=limit, now=now)
        for target in set(redriven.values()):
            await self._unattended.check(target)
        return list(redriven)

    async def queue_names(self) -> list[str]:
        """The queues that have a worker, and those that jobs were added to."""
        return sorted(await self._directory.names() | self.registry.all().keys())

    async def queue_view(self, queue: str) -> dict[str, t.Any]:
        """What the API shows of a queue."""
        worker = self.registry.get(queue)
        wanted = await self.limits.global_concurrency(queue)
        return {
            "name": queue,
            "isPaused": await self.queues.is_paused(queue),
            "counts": await self.queues.counts(queue),
            "concurrency": {"global": wanted, "worker": worker.options.concurrency if worker else None},
            "rateLimit": await self.limits.rate_limit(queue),
            "rateLimitTtl": await self.limits.rest_left(queue, 0),
            "hold": await self.limits.hold(queue),
            "worker": worker.model_dump(mode="json", by_alias=True) if worker else None,
        }

    async def obliterate(self, queue: str, *, force: bool) -> None:
        """Remove the queue with all its jobs. Raises WrongState where jobs run, unless `force`."""
        await self.queues.obliterate(queue, force=force)
        await self.end_rest(queue)  # BullMQ leaves the limiter's key, which may stand for a hold
        if queue not in {worker.options.dead_letter for worker in self.registry.all().values()}:
            await self._directory.forget(queue)
        worker = self.registry.get(queue)
        if worker is not None:  # its bound was kept in what is gone now
            await apply_worker_concurrency(self.jobs.scripts(queue), worker.options.concurrency)

    async def set_global_concurrency(self, queue: str, value: int | None) -> None:
        """Bound the jobs of the queue that run at once; None: by its worker's own concurrency alone."""
        worker = self.registry.get(queue)
        bound = worker.options.concurrency if worker else None
        await self.limits.set_global_concurrency(queue, value, worker=bound)
        self._hub.poke(queue)

    async def set_rate_limit(self, queue: str, limit: int, duration: int) -> None:
        """Let at most `limit` jobs of the queue start in each `duration` ms."""
        await self.limits.set_rate_limit(queue, limit, duration)
        await self._hub.read_rate_limit(queue)

    async def remove_rate_limit(self, queue: str) -> None:
        """Lift the queue's global rate limit."""
        await self.limits.remove_rate_limit(queue)
        await self._hub.read_rate_limit(queue)

    async def end_rest(self, queue: str) -> bool:
        """Let the queue's jobs start again; whether a rate limit or a hold kept them from it."""
        held = await self._end_hold(queue)
        limited = await self.limits.end_rest(queue)
        self._hub.poke(queue)
        return held or limited

    async def _on_registered_elsewhere(self, queue: str, before: Registration | None) -> None:
        now = self.registry.get(queue)
        if now is None:
            self._hub.pause(queue)
            return
        if before is None or before.differing_fields(now) or queue not in self._hub.queues:
            await self._run(queue, now)
        self._welcome(queue)

    def _welcome(self, queue: str) -> None:
        """The queue's app is there, and whatever the queue was held for is over."""
        self._unattended.forget(queue)
        self._hub.queues[queue].look_again()

    async def _end_hold(self, queue: str) -> bool:
        ended = await self.limits.end_hold(queue)
        if ended:
            logger.warning("queue %s is no longer held", queue)
        return ended

    def _health(self, queue: str) -> Health:
        """That of the endpoint of a queue that runs."""
        if queue not in self._healths:
            self._healths[queue] = Health(queue, self._hub.queues[queue].gate, max_backoff=self._max_hold)
        return self._healths[queue]

    async def _run(self, queue: str, registration: Registration) -> None:
        dispatcher = self._dispatcher
        assert dispatcher is not None

        async def process(job: EngineJob) -> Verdict:
            # Looked up for each delivery: a registration may change while jobs wait.
            current = self.registry.get(queue)
            if current is None:
                return Hold(1.0, "the worker was unregistered")
            verdict = await dispatcher.deliver(current.endpoint(queue), job)
            if self.registry.get(queue) is None:
                # Unregistered meanwhile: nobody would end the hold that this may have begun.
                with contextlib.suppress(RedisError, ConnectionLost):
                    await self._end_hold(queue)
            return verdict

        if registration.options.dead_letter is not None:
            await self._directory.note({registration.options.dead_letter})
        await self._hub.add(queue, registration.for_engine(), process)
