"""The service: the engine, dispatcher, workers and triggers of one project, started and stopped together."""

from __future__ import annotations

import asyncio
import secrets
import typing as t

from nextmq_handler.rules.attempts import MAX_FREE_STARTS
from nextmq_handler.rules.bodies import RedriveBody
from nextmq_handler.rules.limits import MAX_TIMEOUT_MS
from nextmq_handler.rules.scheduling import Template

from .alerts.alerts import Alerts
from .alerts.facts import QueueWatch
from .audit.log import AuditLog
from .dispatch.counts import DeliveryCounts, QueueLabels
from .dispatch.dispatcher import Dispatcher
from .dispatch.egress.rules import EgressRules
from .dispatch.health import MAX_BACKOFF
from .dispatch.http.client import DeliveryClient
from .dispatch.reports import Report, Reporter
from .dispatch.untraced import Tracer
from .engine.events.hub import EventHub
from .engine.events.results import Results
from .engine.queues.adding import AddResult, Idempotency, JobToAdd
from .engine.queues.bulk.operations import Operations
from .engine.queues.bulk.runner import BulkRunner
from .engine.queues.children import Children
from .engine.queues.flows import Flows
from .engine.queues.jobs import Jobs
from .engine.queues.logs import JobLogStore
from .engine.queues.queues import Limits, Queues, apply_worker_concurrency
from .engine.queues.redrive import Redriver
from .engine.queues.schedulers import JobSchedulers, SchedulerState
from .engine.queues.search.searching import Search
from .engine.worker.hub import Hub
from .engine.worker.slots import Slots
from .minutes.minutes import Minutes
from .overview.last_deliveries import LastDeliveries
from .overview.node_workers import NodeWorkers
from .overview.overview import Overview
from .overview.server import ServerLook
from .projects.credentials import Credentials
from .projects.projects import Project
from .quota import ProjectQuota, QuotaLimits
from .redis.address import Address
from .redis.connection import ConnectionLost, RedisError
from .redis.keys import ProjectKeys
from .redis.storage import StorageWatch
from .shares import Shares
from .triggers.triggers import Triggers
from .why.why import Why
from .workers.directory import QueueDirectory
from .workers.failures import FailureLooks
from .workers.limit_changes import LimitChanges
from .workers.workers import Workers

PING_TIMEOUT = 2.0
"""How long, in s, Redis may take to answer the readiness check."""

_PUBLIC_ONLY = EgressRules()
_NO_QUOTA = QuotaLimits()


class Service:
    """Run a project's queues on the Redis at `redis_url`. Services of one Address share the look for a primary.

    `alone` means that no other server process uses that Redis, so jobs that a killed one held are freed at once.
    With `replace_workers`, for `nextmq dev`, the app's process that started last has a queue, at whatever URL.
    `max_hold` is the longest pause, in s, between two tries of an endpoint that fails; `max_timeout` is the
    longest timeout of a worker, in ms. A job fails after `max_free_starts` starts that used no attempt. `egress`
    bounds where deliveries and triggers may go, by default public addresses over https. `report` is called with
    each delivery. `slots` bounds what is in flight, over all services that share it. `quota` bounds the jobs of
    the project. `keys` names the project's keys, by default as a project that is new on this Redis has them.
    `labels` are the queues that the metrics name, over all services that share it. `tracer` traces deliveries.
    """

    def __init__(
        self,
        project: Project,
        redis_url: str | Address,
        *,
        alone: bool = False,
        replace_workers: bool = False,
        max_hold: float = MAX_BACKOFF,
        max_timeout: int = MAX_TIMEOUT_MS,
        max_free_starts: int = MAX_FREE_STARTS,
        egress: EgressRules = _PUBLIC_ONLY,
        report: t.Callable[[Report], None] | None = None,
        slots: Slots | None = None,
        quota: QuotaLimits = _NO_QUOTA,
        keys: ProjectKeys | None = None,
        labels: QueueLabels | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.egress = egress
        self._tracer = tracer
        self._unready: str | None = "starting"
        self._max_free_starts = max_free_starts
        self.counts = DeliveryCounts(project.name, labels or QueueLabels())
        self.reporter = Reporter(self.counts, *([report] if report else []))
        address = redis_url if isinstance(redis_url, Address) else Address(redis_url)
        self.id = instance_id = secrets.token_hex(6)
        self.keys = keys = keys or ProjectKeys(project.name)
        self._hub = Hub(address, keys, prefix=project.prefix, instance_id=instance_id, alone=alone, slots=slots)
        connection = self._hub.connection
        self.events = EventHub(address, connection, keys, name=f"nextmq-{instance_id}-events")
        self.jobs = Jobs(self._hub.scripts, project.prefix)
        self.children = Children(self.jobs, project.prefix)
        self.flows = Flows(self.jobs, self.children)
        self.logs = JobLogStore(self.jobs)
        self.queues = Queues(self.jobs)
        self.limits = Limits(self.jobs)
        self.results = Results(self.jobs, self.events)
        self.shares = Shares()
        self.storage = StorageWatch(connection)
        self.schedulers = JobSchedulers(self.jobs)
        self.audit = AuditLog(self._hub.scripts)
        self.minutes = Minutes(self._hub.scripts)
        self.reporter.add(self.minutes.count)
        self._directory = QueueDirectory(connection, keys)
        self.search = Search(self.jobs, self.queue_names)
        self.quota = ProjectQuota(connection, self.jobs, quota, self.queue_names)
        self.redriver = Redriver(self.jobs, note=self._directory.note)
        operations = Operations(self._hub.scripts, keys)
        self.bulk = BulkRunner(self.jobs, operations, note=self._directory.note, changed=self._on_bulk)
        self.workers = Workers(
            self._hub,
            self.jobs,
            self._directory,
            egress=egress,
            newest_wins=replace_workers,
            max_hold=max_hold,
            max_timeout=max_timeout,
        )
        self.registry = self.workers.registry
        self.limit_changes = LimitChanges(self._hub, self.limits, self.registry)
        self.failures = FailureLooks(self.jobs, self.registry, self.queue_names)
        self._last_deliveries = LastDeliveries(connection, keys)
        self.reporter.add(self._last_deliveries)
        node_workers = NodeWorkers(connection, project.prefix)
        self.overview = Overview(self._hub, self.registry, node_workers, self._last_deliveries)
        self.server = ServerLook(project.name, self._hub, self.quota)
        self.why = Why(self._hub, self.jobs, self.registry, node_workers, self.quota)
        self.credentials = Credentials(project, connection, keys, self.registry)
        self.triggers = Triggers(self._hub, self.jobs, reporter=self.reporter)
        watch = QueueWatch(self.overview, self.jobs, self.registry, self.queue_names)
        self.alerts = Alerts(self._hub.scripts, watch, self.minutes, self.storage, self.id, project.name)
        self._client: DeliveryClient | None = None

    @property
    def project(self) -> Project:
        """The project, with the keys and secrets it has at the moment."""
        return self.credentials.project

    async def start(self) -> None:
        """Connect, then run the workers and triggers. Raises ConfigurationError."""
        await self._hub.start()
        self._client = DeliveryClient(self.egress)
        await self.storage.start()
        await self.quota.start()
        await self.minutes.start()
        await self.credentials.warn_of_missing()
        await self.workers.start(
            Dispatcher(
                self._client,
                self.credentials,
                self.reporter,
                max_free_starts=self._max_free_starts,
                heard=self._on_outcome,
                tracer=self._tracer,
                server=self.id,
            )
        )
        await self.triggers.start(self._client)
        self.bulk.start()
        self._last_deliveries.start()
        await self.alerts.start(self._client)
        self._unready = None

    async def stop(self, *, grace: float) -> None:
        """Shut down gracefully: wait `grace` s for deliveries in flight, then put their jobs back."""
        self._unready = "shutting down"
        await self.bulk.stop()
        await self.workers.stop()
        await self.storage.stop()
        await self.quota.stop()
        await self.triggers.stop()
        await self.alerts.stop()
        await self._hub.stop(grace=grace, farewell=self._write_counts)  # deliveries end until then
        await self.events.stop()  # last, because requests may wait for the results of jobs in flight
        if self._client is not None:
            await self._client.close()

    async def _write_counts(self) -> None:
        await self.minutes.stop()
        await self._last_deliveries.stop()

    def hurry(self) -> None:
        """End the wait of `stop`: put the jobs in flight back now."""
        self._hub.hurry()

    async def readiness(self) -> str | None:
        """Return why this server should get no requests at the moment; None if it is ready."""
        if self._unready is not None:
            return self._unready
        try:
            async with asyncio.timeout(PING_TIMEOUT):
                await self._hub.connection.execute("PING")
        except (ConnectionLost, RedisError, TimeoutError):
            return "Redis does not answer"
        return None

    async def add(self, jobs: t.Sequence[JobToAdd], idempotency: Idempotency | None = None) -> list[AddResult]:
        """Add jobs in one step. Raises IdempotencyKeyReused, UnusableParent, RedisError or ConnectionLost."""
        queues = {job.queue for job in jobs}
        await self._directory.note(queues)
        added = await self.jobs.add(jobs, idempotency)
        self.quota.count(len(jobs), sum(job.escaped_size for job in jobs))
        for queue in queues:
            await self.workers.unattended.check(queue)
        return added

    async def upsert_scheduler(
        self, queue: str, id: str, repeat: dict[str, t.Any], template: Template
    ) -> SchedulerState:
        """Create or change a job scheduler. If an app declares one with this id, its next registration takes over.

        Raises InvalidSchedule, WrongState, NoSuchScheduler, RedisError or ConnectionLost.
        """
        await self._directory.note({queue})
        await self.workers.schedules.release(queue, id)
        scheduler = await self.schedulers.upsert(queue, id, repeat, template)
        await self.workers.unattended.check(queue)
        return scheduler

    async def redrive(self, queue: str, wanted: RedriveBody, *, now: int) -> list[str]:
        """Send the wanted dead letters in `queue` back to their queues; return their ids.

        `now` is ms since the epoch. Raises RedisError or ConnectionLost.
        """
        redriven = await self.redriver.redrive(queue, wanted, now=now)
        for target in set(redriven.values()):
            await self.workers.unattended.check(target)
        return list(redriven)

    def _on_outcome(self, queue: str, fingerprint: str, secret_id: str) -> None:
        self.credentials.note_signer(queue, secret_id)
        self.workers.hear(queue, fingerprint, secret_id)

    async def _on_bulk(self, queue: str) -> None:
        self.results.look_again(queue)
        await self.workers.unattended.check(queue)

    async def queue_names(self) -> list[str]:
        """Return the queues that have a worker or to which jobs were added."""
        return sorted(await self._directory.names() | self.registry.all().keys())

    async def obliterate(self, queue: str, *, force: bool) -> None:
        """Remove the queue with all its jobs. Raises WrongState if jobs are active, unless `force`."""
        await self.queues.obliterate(queue, force=force)
        await self.limit_changes.end_rest(queue)  # BullMQ leaves the limiter's key, which may be that of a hold
        if queue not in {worker.options.dead_letter for worker in self.registry.all().values()}:
            await self._directory.forget(queue)
            await self._last_deliveries.forget(queue)
        worker = self.registry.get(queue)
        if worker is not None:  # its concurrency was kept in a key that has just been removed
            await apply_worker_concurrency(self.jobs.scripts(queue), worker.options.concurrency)
