# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""The producer's queue: the job schedulers that add jobs to it."""

from __future__ import annotations

import typing as t

from ...rules.options import JobTemplate, Repeat, to_wire
from .._http.answer import listed, member
from ..generics import Data, Result
from ..views import JobScheduler, job_scheduler
from .base import QueueBase


class QueueSchedulers(QueueBase[Data, Result]):
    """The job schedulers of a queue."""

    def upsert_job_scheduler(
        self, scheduler_id: str, repeat: Repeat, template: JobTemplate | None = None
    ) -> JobScheduler:
        """Create or change a job scheduler. It adds a job made from `template` at each time of `repeat`."""
        content = {
            "repeat": to_wire(Repeat, repeat, kind="member of repeat"),
            "template": to_wire(JobTemplate, template or {}, kind="member of a job template"),
        }

        def reader(answer: t.Any) -> JobScheduler:
            return job_scheduler(answer["scheduler"])

        return self._ask("PUT", "schedulers", scheduler_id, reader=reader, content=content)

    def get_job_scheduler(self, scheduler_id: str) -> JobScheduler | None:
        """Return a job scheduler, None if it does not exist."""
        return self._find("GET", "schedulers", scheduler_id, reader=job_scheduler)

    def get_job_schedulers(self, start: int = 0, end: int = 99, *, asc: bool = False) -> list[JobScheduler]:
        """List job schedulers `start` to `end` (included) by their next job; `asc` puts the earliest first."""
        query = {"start": start, "end": end, "asc": asc}
        return self._ask("GET", "schedulers", reader=listed("schedulers", job_scheduler), query=query)

    def get_job_schedulers_count(self) -> int:
        """Count the job schedulers."""
        return self._ask("GET", "schedulers", reader=member("count", int), query={"start": 0, "end": 0})

    def remove_job_scheduler(self, scheduler_id: str) -> bool:
        """Remove a job scheduler and the next job that it has added. Return whether it existed."""
        return bool(self._find("DELETE", "schedulers", scheduler_id, reader=member("removed", bool)))
