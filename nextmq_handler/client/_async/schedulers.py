"""The producer's queue: the schedulers that add jobs to it."""

from __future__ import annotations

from ...errors import NotFoundError
from ...rules.options import JobTemplate, Repeat, to_wire
from .._http.answer import listed, member
from ..generics import Data, Result
from ..views import JobScheduler, job_scheduler
from .base import AsyncQueueBase


class AsyncQueueSchedulers(AsyncQueueBase[Data, Result]):
    """The job schedulers of a queue."""

    async def upsert_job_scheduler(
        self, scheduler_id: str, repeat: Repeat, template: JobTemplate | None = None
    ) -> JobScheduler:
        """Make or change a job scheduler: it adds a job made of `template` each time that `repeat` says."""
        content = {
            "repeat": to_wire(Repeat, repeat, kind="member of repeat"),
            "template": to_wire(JobTemplate, template or {}, kind="member of a job template"),
        }
        return await self._ask(
            "PUT",
            "schedulers",
            scheduler_id,
            reader=lambda answer: job_scheduler(answer["scheduler"]),
            content=content,
        )

    async def get_job_scheduler(self, scheduler_id: str) -> JobScheduler | None:
        """The job scheduler, None where there is none."""
        try:
            return await self._ask("GET", "schedulers", scheduler_id, reader=job_scheduler)
        except NotFoundError:
            return None

    async def get_job_schedulers(self, start: int = 0, end: int = 99, *, asc: bool = False) -> list[JobScheduler]:
        """Job schedulers `start` to `end`, both included, by their next job; `asc` has the earliest first."""
        query = {"start": start, "end": end, "asc": asc}
        return await self._ask("GET", "schedulers", reader=listed("schedulers", job_scheduler), query=query)

    async def get_job_schedulers_count(self) -> int:
        """How many job schedulers there are."""
        return await self._ask("GET", "schedulers", reader=member("count", int), query={"start": 0, "end": 0})

    async def remove_job_scheduler(self, scheduler_id: str) -> bool:
        """Remove a job scheduler and the job that it has added for its next time. Returns whether it was there."""
        try:
            return await self._ask("DELETE", "schedulers", scheduler_id, reader=member("removed", bool))
        except NotFoundError:
            return False
