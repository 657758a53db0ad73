"""Run the jobs of triggers: one queue of the hub, whose jobs are posted instead of delivered."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import typing as t

from ..dispatch.http.client import DeliveryClient
from ..dispatch.reports import Reporter
from ..engine.queues.job import EngineJob
from ..engine.queues.jobs import decoded
from ..engine.verdicts import Completed, Failed, Verdict
from ..engine.worker.hub import Hub
from ..engine.worker.options import RunnerOptions
from ..redis.connection import ConnectionLost, RedisError
from ..tasks import end_tasks
from .posting import post
from .records import StoredRun, StoredTrigger, TriggerRecords
from .schedules import QUEUE, TriggerSchedules, trigger_of

logger = logging.getLogger("nextmq_server.triggers")

CONCURRENCY = 50
"""How many requests of a project run at once: a few slow receivers must not delay the others."""

LOOK_INTERVAL = 10.0
"""How often, in s, a server without triggers checks whether another one has created some."""


class TriggerRunner:
    """Run the triggers of one project as soon as there are any."""

    def __init__(
        self,
        hub: Hub,
        records: TriggerRecords,
        schedules: TriggerSchedules,
        *,
        reporter: Reporter,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self._hub = hub
        self._records = records
        self._schedules = schedules
        self._reporter = reporter
        self._clock = clock
        self._client: DeliveryClient | None = None
        self._beginning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self, client: DeliveryClient) -> None:
        """Begin if there are triggers, otherwise as soon as any server process creates one."""
        self._client = client
        if await self._records.exist():
            await self.begin()
        else:
            self._task = asyncio.create_task(self._begin_once_there_are_any())

    async def stop(self) -> None:
        """Look for triggers no longer; the hub ends the requests in flight."""
        await end_tasks(self._task)

    async def begin(self) -> None:
        """Run the queue unless it runs already. Raises RedisError or ConnectionLost."""
        async with self._beginning:
            if QUEUE in self._hub.queues:
                return
            await self._schedules.settle_all()
            await self._hub.add(QUEUE, RunnerOptions(concurrency=CONCURRENCY), self._process)

    async def _begin_once_there_are_any(self) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            try:
                if await self._records.exist():
                    await self.begin()
                    return
            except (RedisError, ConnectionLost) as exc:
                logger.error("cannot look for triggers, trying again: %s", exc)

    async def _process(self, job: EngineJob) -> Verdict:
        data = decoded(job.data)
        trigger = await self._records.get(trigger_of(data))
        if trigger is None or (trigger.is_paused and not data.get("isFired")):
            return Completed(None)  # removed or paused since: the request is not wanted any more
        assert self._client is not None
        message_id = _message_id(trigger, job)
        run = await post(self._client, trigger, message_id, job.attemptsMade + 1, clock=self._clock)
        await self._note(trigger.id, run)
        verdict = Completed(None) if run.error is None else Failed("TriggerFailed", run.error, status=run.status)
        self._reporter.tell(QUEUE, job, message_id, run.status, verdict, run.duration_ms)
        return verdict

    async def _note(self, id: str, run: StoredRun) -> None:
        try:
            await self._records.note(id, run)
        except (RedisError, ConnectionLost) as exc:  # not a reason to send it again
            logger.warning("trigger %s: cannot record its last run: %s", id, exc)


def _message_id(trigger: StoredTrigger, job: EngineJob) -> str:
    """Return the same id for each attempt of a run, as Standard Webhooks asks: it reveals repetitions."""
    run = f"{trigger.id} {job.id} {job.timestamp}"
    return f"msg_{hashlib.sha256(run.encode('utf-8', 'replace')).hexdigest()[:32]}"
