"""The triggers of a project: create, show, change, fire and remove them. They run on a queue of the hub."""

from __future__ import annotations

import asyncio
import logging
import secrets
import typing as t

from nextmq_handler.protocol.signing import generate_secret
from nextmq_handler.rules.cron import InvalidSchedule

from ..dispatch.http.client import DeliveryClient
from ..dispatch.reports import Reporter
from ..engine.queues.jobs import Jobs
from ..engine.worker.hub import Hub
from ..engine.worker.options import RunnerOptions
from ..redis.connection import ConnectionLost, RedisError
from ..tasks import end_tasks
from ..timers import now_ms
from .processor import TriggerProcessor
from .records import NoSuchTrigger, StoredRun, StoredTrigger, TriggerOptions, TriggerRecords
from .schedules import QUEUE, TriggerSchedules

logger = logging.getLogger("nextmq_server.triggers")

CONCURRENCY = 50
"""How many requests of a project run at once: a few slow receivers must not delay the others."""

LOOK_INTERVAL = 10.0
"""How often, in s, a server without triggers checks whether another one has created some."""


class ShownTrigger(t.NamedTuple):
    """A trigger, when it runs next (ms since the epoch), and its last run."""

    trigger: StoredTrigger
    next: int | None
    last_run: StoredRun | None


class Triggers:
    """The triggers of one project. Each call raises RedisError or ConnectionLost too."""

    def __init__(self, hub: Hub, jobs: Jobs, *, reporter: Reporter) -> None:
        self._hub = hub
        self._reporter = reporter
        self._records = TriggerRecords(hub.scripts)
        self._schedules = TriggerSchedules(jobs, self._records)
        self._process: TriggerProcessor
        self._beginning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self, client: DeliveryClient) -> None:
        """Run the queue if there are triggers, otherwise as soon as any server process creates one."""
        self._process = TriggerProcessor(self._records, client, self._reporter)
        if await self._records.exist():
            await self._begin()
        else:
            self._task = asyncio.create_task(self._begin_once_there_are_any())

    async def stop(self) -> None:
        """Look for triggers no longer; the hub ends the requests in flight."""
        await end_tasks(self._task)

    async def create(self, options: TriggerOptions) -> ShownTrigger:
        """Create a trigger with a new secret. Raises TooManyTriggers or InvalidSchedule."""
        await self._begin()
        trigger = StoredTrigger(
            **options.model_dump(),
            id=f"trg_{secrets.token_urlsafe(12)}",
            created_at=now_ms(),
            secret=generate_secret(),
        )
        await self._records.add(trigger)
        try:
            await self._schedules.settle(trigger.id)
        except InvalidSchedule:
            await self._records.remove(trigger.id)
            raise
        return (await self._show([trigger]))[0]

    async def get(self, id: str) -> ShownTrigger:
        """Return a trigger. Raises NoSuchTrigger."""
        return (await self._show([await self._held(id)]))[0]

    async def all(self) -> list[ShownTrigger]:
        """Return all triggers, the oldest first."""
        return await self._show(await self._records.all())

    async def runs(self, id: str) -> list[StoredRun]:
        """Return the last runs of a trigger, the newest first. Raises NoSuchTrigger."""
        await self._held(id)
        return await self._records.runs(id)

    async def remove(self, id: str) -> None:
        """Remove a trigger and its waiting jobs; a request in flight ends by itself. Raises NoSuchTrigger."""
        found = await self._records.remove(id)
        await self._schedules.settle(id)
        if not found:
            raise NoSuchTrigger(id)
        await self._schedules.remove_jobs(id)

    async def set_paused(self, id: str, is_paused: bool) -> None:
        """Pause or resume the schedule of a trigger. Raises NoSuchTrigger."""
        await self._begin()
        await self._records.change(id, lambda held: held.model_copy(update={"is_paused": is_paused}))
        await self._schedules.settle(id)

    async def fire(self, id: str) -> None:
        """Run a trigger now, paused or not, in addition to its schedule. Raises NoSuchTrigger."""
        await self._begin()
        await self._schedules.fire(await self._held(id))

    async def rotate_secret(self, id: str) -> str:
        """Give a trigger a new secret; the old one signs too for a day. Raises NoSuchTrigger."""
        secret = generate_secret()
        await self._records.change(id, lambda held: held.rotated(secret, now=now_ms()))
        return secret

    async def _begin(self) -> None:
        """Run the queue unless it runs already."""
        async with self._beginning:
            if QUEUE not in self._hub.queues:
                await self._schedules.settle_all()
                await self._hub.add(QUEUE, RunnerOptions(concurrency=CONCURRENCY), self._process)

    async def _begin_once_there_are_any(self) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            try:
                if await self._records.exist():
                    await self._begin()
                    return
            except ConnectionLost:
                await self._hub.connection.ready()
            except RedisError as exc:
                logger.error("cannot look for triggers, trying again: %s", exc)

    async def _held(self, id: str) -> StoredTrigger:
        trigger = await self._records.get(id)
        if trigger is None:
            raise NoSuchTrigger(id)
        return trigger

    async def _show(self, triggers: t.Sequence[StoredTrigger]) -> list[ShownTrigger]:
        next_runs = await self._schedules.next_runs()
        last_runs = await self._records.last_runs([trigger.id for trigger in triggers])
        return [
            ShownTrigger(trigger, next_runs.get(trigger.id), last_run)
            for trigger, last_run in zip(triggers, last_runs, strict=True)
        ]
