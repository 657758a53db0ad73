"""The job schedulers of triggers, kept in step with the trigger records, and their jobs."""

from __future__ import annotations

import contextlib
import logging
import typing as t

from nextmq_handler.rules.cron import InvalidSchedule
from nextmq_handler.rules.scheduling import Template

from ..engine.queues.jobs import Jobs, NoSuchJob, WrongState
from ..engine.queues.schedulers import JobSchedulers, NoSuchScheduler
from ..engine.scripts.scripts import fields_of
from ..timers import now_ms
from .records import StoredTrigger, TriggerRecords

logger = logging.getLogger("nextmq_server.triggers")

QUEUE = "@triggers"
"""The queue of the triggers' jobs, a BullMQ queue under the project's prefix.

No route reaches it, because the API accepts no name with an "@". BullMQ's own tools show it like any other queue.
"""

_PAGE = 1000
_UNFINISHED = ("waiting", "paused", "prioritized", "delayed")


class TriggerSchedules:
    """The schedulers of one project's triggers. Each call raises RedisError or ConnectionLost too."""

    def __init__(self, jobs: Jobs, records: TriggerRecords) -> None:
        self._jobs = jobs
        self._records = records
        self._schedulers = JobSchedulers(jobs)

    async def settle(self, id: str) -> None:
        """Create the scheduler of a trigger that exists and is not paused; otherwise remove it.

        Another process may do the same, so this checks again after each change. Raises InvalidSchedule or
        WrongState if the schedule has ended.
        """
        while True:
            trigger = await self._records.get(id)
            scheduler = await self._schedulers.find(QUEUE, id)
            if trigger is None or trigger.is_paused:
                if scheduler is None:
                    return
                await self._schedulers.remove(QUEUE, id)
            elif scheduler is not None and scheduler.next_job is not None:
                return
            else:
                with contextlib.suppress(NoSuchScheduler):  # another process has removed it again
                    await self._schedulers.upsert(QUEUE, id, _repeat_of(trigger), template_of(trigger))

    async def settle_all(self) -> None:
        """Settle all triggers: a killed server may have left one without a scheduler, or a scheduler alone."""
        for id in await self._records.ids() | (await self.next_runs()).keys():
            try:
                await self.settle(id)
            except (InvalidSchedule, WrongState) as exc:
                logger.error("trigger %s does not run by its schedule: %s", id, exc)

    async def next_runs(self) -> dict[str, int]:
        """Return when each trigger that has a scheduler runs next, ms since the epoch."""
        flat: list[str] = await self._jobs.scripts(QUEUE).execute("ZRANGE", "repeat", 0, -1, "WITHSCORES")
        return {id: int(float(score)) for id, score in fields_of(flat).items()}

    async def fire(self, trigger: StoredTrigger) -> None:
        """Add a job in addition to the scheduler's."""
        template = template_of(trigger)
        data = {**template.data, "isFired": True}
        job = self._jobs.new(QUEUE, template.name, data, template.opts, now=now_ms())
        await self._jobs.add([job])

    async def remove_jobs(self, id: str) -> None:
        """Remove the trigger's jobs that have not started."""
        found: list[str] = []
        start = 0
        while page := await self._jobs.page(QUEUE, _UNFINISHED, start, start + _PAGE - 1, ascending=True):
            found += [job["id"] for job in page if trigger_of(job["data"]) == id]
            start += _PAGE
        for job_id in found:  # afterwards, because removing jobs shifts the pages
            with contextlib.suppress(NoSuchJob, WrongState):  # it has started, and sends nothing now
                await self._jobs.remove(QUEUE, job_id, with_children=False)


def _repeat_of(trigger: StoredTrigger) -> dict[str, t.Any]:
    every = trigger.repeat.get("every")
    if every is None:
        return trigger.repeat
    # Count from the trigger's creation, so that neither creating nor resuming it sends anything by itself.
    return {"every": every, "offset": trigger.created_at % every or every}


def template_of(trigger: StoredTrigger) -> Template:
    """Return the template of the trigger's jobs."""
    # Finished jobs need not stay: the trigger's runs tell how they ended.
    opts = {"attempts": trigger.attempts, "removeOnComplete": True, "removeOnFail": True}
    if trigger.backoff is not None:
        opts["backoff"] = trigger.backoff
    return Template(trigger.name or trigger.id, {"trigger": trigger.id}, opts)


def trigger_of(data: t.Any) -> str:
    """Return the id of the trigger from a job's data; "" for a job that another BullMQ client may have added."""
    id = t.cast("dict[str, t.Any]", data).get("trigger") if isinstance(data, dict) else None
    return id if isinstance(id, str) else ""
