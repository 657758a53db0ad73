"""The workers of a project: apps register them, here or through another server process, and their queues run."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time

from nextmq_handler.rules import refusals
from nextmq_handler.rules.limits import MAX_TIMEOUT_MS

from ..dispatch.dispatcher import Dispatcher
from ..dispatch.egress.rules import EgressRules
from ..dispatch.health import MAX_BACKOFF, Health, end_hold
from ..dispatch.probe import Probe
from ..engine.queues.job import EngineJob
from ..engine.queues.jobs import Jobs
from ..engine.queues.queues import Limits, Queues
from ..engine.queues.schedulers import JobSchedulers
from ..engine.verdicts import Hold, Verdict
from ..engine.worker.hub import Hub
from ..redis.connection import ConnectionLost, RedisError
from ..tasks import end_tasks
from .directory import QueueDirectory
from .registration import Registration
from .registry import Registry
from .schedules import DeclaredSchedules
from .unattended import UnattendedQueues
from .versions import HEARD_INTERVAL

logger = logging.getLogger("nextmq_server")

UNREGISTERED_HOLD = 1.0
"""How long, in s, a queue is held at a time while it has no worker."""

MAX_HEARD = 10_000
"""How many versions a process remembers to have recorded: deliveries may tell any number of them."""


class Workers:
    """Run the queues of one project that have a worker. Calls raise RedisError or ConnectionLost too.

    With `newest_wins` the app's process that started last has the queue, at whatever URL. `max_hold` is the
    longest pause between two tries of an endpoint, in s; `max_timeout` is the longest timeout of a delivery, in
    ms.
    """

    def __init__(
        self,
        hub: Hub,
        jobs: Jobs,
        directory: QueueDirectory,
        *,
        egress: EgressRules,
        newest_wins: bool = False,
        max_hold: float = MAX_BACKOFF,
        max_timeout: int = MAX_TIMEOUT_MS,
    ) -> None:
        self.registry = Registry(hub.connection, hub.scripts.keys)
        self.schedules = DeclaredSchedules(hub.connection, hub.scripts.keys, self.registry, JobSchedulers(jobs))
        self.unattended = UnattendedQueues(Queues(jobs), self.registry)
        self._hub = hub
        self._directory = directory
        self._limits = Limits(jobs)
        self._egress = egress
        self._newest_wins = newest_wins
        self._max_hold = max_hold
        self._max_timeout = max_timeout
        self._told_of_timeout: set[str] = set()
        self._dispatcher: Dispatcher
        self._healths: dict[str, Health] = {}
        self._follower: asyncio.Task[None] | None = None
        self._heard_at: dict[tuple[str, str, str], float] = {}
        self._hearing: set[asyncio.Task[None]] = set()

    async def start(self, dispatcher: Dispatcher) -> None:
        """Run the registered queues, and those that any server process registers from now on."""
        self._dispatcher = dispatcher
        for queue, registration in (await self.registry.load()).items():
            await self._limits.take_over_concurrency(queue, registration.options.concurrency)
            await self._run(queue, registration)
        self._follower = asyncio.create_task(self.registry.follow(self._on_registered_elsewhere))

    async def stop(self) -> None:
        """Follow the registrations of other server processes no longer; the hub stops the queues."""
        await end_tasks(self._follower, *self._hearing)

    async def register(self, queue: str, registration: Registration, *, replace: str | None) -> Registration:
        """Register a worker; run its queue and its schedules; return the registration as it is held.

        Raises EgressRefused; Refusal if the timeout is too long; OlderVersion if a newer version of the app holds
        the queue; and WorkerConflict for another URL or other secrets, unless `replace` is the fingerprint of the
        registration held.
        """
        self.check(registration)
        changed = await self.registry.put(
            queue, registration, replace=replace or False, newest_wins=self._newest_wins
        )
        held = self.registry.get(queue)
        assert held is not None
        if changed or queue not in self._hub.queues:
            logger.info("queue %s: worker registered at %s", queue, registration.url)
            await self._run(queue, held)
        await end_hold(self._limits, queue)
        self._look_again(queue)
        await self.schedules.apply(queue)
        return held

    def check(self, registration: Registration) -> None:
        """Raise EgressRefused, or Refusal if the timeout is longer than this server allows."""
        self._egress.check_url(registration.url)
        if registration.options.timeout > self._max_timeout:
            raise refusals.invalid(
                "options.timeout",
                f"{registration.options.timeout} ms is longer than this server allows: at most "
                f"{self._max_timeout} ms (the server's option --max-timeout)",
            )

    async def unregister(self, queue: str) -> bool:
        """Remove a registration; return whether there was one. Waiting jobs stay, active deliveries finish."""
        found = await self.registry.delete(queue)
        if found:
            self._hub.pause(queue)
        await end_hold(self._limits, queue)
        await self.schedules.apply(queue)
        return found

    async def probe(self, queue: str) -> Probe | None:
        """Return what a probe of the endpoint of the queue's worker finds; None if it has no worker."""
        registration = self.registry.get(queue)
        return None if registration is None else await self._dispatcher.probe(registration.url)

    def hear(self, queue: str, fingerprint: str, secret_id: str) -> None:
        """Record, without waiting, that a version of the app answered a delivery under a webhook secret."""
        heard, now = (queue, fingerprint, secret_id), time.monotonic()
        if now - self._heard_at.get(heard, -HEARD_INTERVAL) < HEARD_INTERVAL:
            return
        if len(self._heard_at) >= MAX_HEARD:
            self._heard_at.clear()
        self._heard_at[heard] = now
        task = asyncio.create_task(self._hear(*heard))
        self._hearing.add(task)
        task.add_done_callback(self._hearing.discard)

    async def _hear(self, queue: str, fingerprint: str, secret_id: str) -> None:
        try:
            await self.registry.hear(queue, fingerprint, secret_id)
        except (RedisError, ConnectionLost) as exc:
            self._heard_at.pop((queue, fingerprint, secret_id), None)  # the next outcome is recorded
            logger.warning("queue %s: cannot record which version of its app answers: %s", queue, exc)

    async def _on_registered_elsewhere(self, queue: str, before: Registration | None) -> None:
        now = self.registry.get(queue)
        if now is None:
            self._hub.pause(queue)
            return
        if before is None or not before.runs_as(now) or queue not in self._hub.queues:
            await self._run(queue, now)
        self._look_again(queue)

    def _look_again(self, queue: str) -> None:
        """Fetch at once: the app has just registered, so whatever the queue waited for is over."""
        self.unattended.forget(queue)
        self._hub.queues[queue].look_again()

    async def _run(self, queue: str, registration: Registration) -> None:
        timeout = registration.options.timeout
        if timeout > self._max_timeout and queue not in self._told_of_timeout:
            self._told_of_timeout.add(queue)
            logger.warning(
                "queue %s: its worker was registered with a timeout of %d ms, and this server ends deliveries "
                "after %d ms: give the worker a shorter timeout, or raise --max-timeout",
                queue,
                timeout,
                self._max_timeout,
            )
        if registration.options.dead_letter is not None:
            await self._directory.note({registration.options.dead_letter})
        await self._hub.add(queue, registration.for_engine(), functools.partial(self._deliver, queue))

    async def _deliver(self, queue: str, job: EngineJob) -> Verdict:
        """Deliver `job` to the app that is registered at the moment; without one, hold the queue."""
        # Looked up for each delivery: the registration may change while jobs wait.
        registration = self.registry.get(queue)
        if registration is None:
            return Hold(UNREGISTERED_HOLD, "the worker was unregistered")
        if queue not in self._healths:
            self._healths[queue] = Health(queue, self._hub.queues[queue].gate, max_backoff=self._max_hold)
        verdict = await self._dispatcher.deliver(
            registration.endpoint(queue, max_timeout=self._max_timeout), self._healths[queue], job
        )
        if self.registry.get(queue) is None:
            # Unregistered during the delivery: nothing else would end a hold that this one began.
            with contextlib.suppress(RedisError, ConnectionLost):
                await end_hold(self._limits, queue)
        return verdict
