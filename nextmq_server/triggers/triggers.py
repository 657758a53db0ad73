"""The triggers of a project: create, show, change, fire and remove them."""

from __future__ import annotations

import secrets
import time
import typing as t

from nextmq_handler.protocol.signing import generate_secret
from nextmq_handler.rules.cron import InvalidSchedule

from ..dispatch.http.client import DeliveryClient
from ..dispatch.reports import Reporter
from ..engine.queues.jobs import Jobs
from ..engine.worker.hub import Hub
from .records import StoredRun, StoredTrigger, TriggerOptions, TriggerRecords
from .runner import TriggerRunner
from .schedules import TriggerSchedules


class NoSuchTrigger(Exception):
    """The trigger does not exist."""


class ShownTrigger(t.NamedTuple):
    """A trigger, when it runs next (ms since the epoch), and its last run."""

    trigger: StoredTrigger
    next: int | None
    last_run: StoredRun | None


class Triggers:
    """The triggers of one project. Each call raises RedisError or ConnectionLost too."""

    def __init__(
        self,
        hub: Hub,
        jobs: Jobs,
        project: str,
        *,
        reporter: Reporter,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self._records = TriggerRecords(hub.connection, project)
        self._schedules = TriggerSchedules(jobs, self._records, clock=clock)
        self._runner = TriggerRunner(hub, self._records, self._schedules, reporter=reporter, clock=clock)
        self._clock = clock

    async def start(self, client: DeliveryClient) -> None:
        """Run the triggers as soon as there are any, whichever server process creates the first."""
        await self._runner.start(client)

    async def stop(self) -> None:
        """Look for triggers no longer; the hub ends the requests in flight."""
        await self._runner.stop()

    async def create(self, options: TriggerOptions) -> ShownTrigger:
        """Create a trigger with a new secret. Raises TooManyTriggers or InvalidSchedule."""
        await self._runner.begin()
        trigger = StoredTrigger(
            **options.model_dump(),
            id=f"trg_{secrets.token_urlsafe(12)}",
            created_at=self._now(),
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
        await self._runner.begin()
        await self._change(id, lambda held: held.model_copy(update={"is_paused": is_paused}))
        await self._schedules.settle(id)

    async def fire(self, id: str) -> None:
        """Run a trigger now, paused or not, in addition to its schedule. Raises NoSuchTrigger."""
        await self._runner.begin()
        await self._schedules.fire(await self._held(id))

    async def rotate_secret(self, id: str) -> str:
        """Give a trigger a new secret; the old one signs too for a day. Raises NoSuchTrigger."""
        secret = generate_secret()
        await self._change(id, lambda held: held.rotated(secret, now=self._now()))
        return secret

    async def _held(self, id: str) -> StoredTrigger:
        trigger = await self._records.get(id)
        if trigger is None:
            raise NoSuchTrigger(id)
        return trigger

    async def _change(self, id: str, change: t.Callable[[StoredTrigger], StoredTrigger]) -> None:
        if await self._records.change(id, change) is None:
            raise NoSuchTrigger(id)

    async def _show(self, triggers: t.Sequence[StoredTrigger]) -> list[ShownTrigger]:
        next_runs = await self._schedules.next_runs()
        last_runs = await self._records.last_runs([trigger.id for trigger in triggers])
        return [
            ShownTrigger(trigger, next_runs.get(trigger.id), last_run)
            for trigger, last_run in zip(triggers, last_runs, strict=True)
        ]

    def _now(self) -> int:
        return int(self._clock() * 1000)
