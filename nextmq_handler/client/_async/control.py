"""The producer's queue: control it and its job schedulers."""

from __future__ import annotations

import typing as t

from ...protocol.arguments import timestamp_ms
from ...rules.limits import MAX_PAGE
from ...rules.log_text import log_row
from ...rules.options import Duration, JobTemplate, Moment, Repeat, check_list, milliseconds, to_wire
from .._http.answer import listed, member
from ..generics import Data, Result
from ..job_fields import UNCHANGED
from ..views import (
    EndpointProbe,
    FinishedState,
    JobScheduler,
    RateLimit,
    StartedRun,
    endpoint_probe,
    job_scheduler,
    rate_limit,
)
from .resource import AsyncQueueBase

CleanState = t.Literal["completed", "wait", "waiting", "active", "paused", "prioritized", "delayed", "failed"]


class AsyncQueueControl(AsyncQueueBase[Data, Result]):
    """What changes a queue, many of its jobs, or its job schedulers."""

    async def pause(self) -> None:
        """Start no more jobs; jobs that are being processed finish."""
        await self._do("POST", "pause", is_repeatable=True)

    async def resume(self) -> None:
        """Start jobs again."""
        await self._do("POST", "resume", is_repeatable=True)

    async def drain(self, *, delayed: bool = False) -> None:
        """Remove all waiting jobs, and with `delayed` the delayed ones."""
        await self._do("POST", "drain", content={"delayed": delayed}, is_repeatable=True)

    async def clean(self, grace: Duration, limit: int, state: CleanState = "completed") -> list[str]:
        """Remove up to `limit` jobs (0: all) in `state` that are older than `grace`, ms or a timedelta.

        Return their ids. It takes one request for each 1000 jobs.
        """
        body = {"grace": milliseconds("clean", grace), "state": "wait" if state == "waiting" else state}
        reader = member("removed", list[str])
        removed: list[str] = []
        while True:
            size = min(MAX_PAGE, limit - len(removed)) if limit else MAX_PAGE
            content = {**body, "limit": size}
            ids = await self._ask("POST", "clean", reader=reader, content=content, is_repeatable=True)
            removed += ids
            if len(ids) < size or len(removed) == limit:
                return removed

    async def obliterate(self, *, force: bool = False) -> None:
        """Remove the queue with everything in it; with `force` even while jobs are being processed.

        Raises NextMQHTTPError 409 `wrong_state` if jobs are being processed and `force` is not set. The queue is
        paused then, as in BullMQ.
        """
        await self._do("POST", "obliterate", content={"force": force}, is_repeatable=True)

    async def retry_jobs(self, state: FinishedState = "failed", *, timestamp: Moment | None = None) -> None:
        """Run all jobs again that finished in `state`; with `timestamp` only those that finished before it."""
        ms = None if timestamp is None else timestamp_ms("retry_jobs", timestamp)
        await self._do("POST", "retry-jobs", content={"state": state, "timestamp": ms})

    async def promote_jobs(self) -> None:
        """Let all delayed jobs run now."""
        await self._do("POST", "promote-jobs", is_repeatable=True)

    async def redrive(
        self,
        ids: t.Sequence[str] | None = None,
        *,
        name: str | None = None,
        reason: str | None = None,
        limit: int = 1000,
        data: t.Any = UNCHANGED,
    ) -> list[str]:
        """Run the jobs of dead letters of this dead-letter queue again, in the queues that they failed in.

        A job that is still there is retried, another one is added again; each has all its attempts.
        Choose them by `ids`, or up to `limit` by the job name `name` and by the text `reason` in their failure.
        With one id, `data` replaces the data of its job. Return their ids in this queue.
        """
        if ids is not None:
            check_list("redrive", ids, "ids")
        content: dict[str, t.Any] = {"ids": ids, "name": name, "reason": reason, "limit": limit}
        if data is not UNCHANGED:
            content["data"] = data
        return await self._ask("POST", "redrive", reader=member("redriven", list[str]), content=content)

    async def probe(self) -> EndpointProbe:
        """Let the server send a signed delivery without a job to the queue's app, and return what it found.

        No processor runs. Raises NotFoundError if no app has registered the queue.
        """
        return await self._ask("POST", "worker", "probe", reader=endpoint_probe)

    async def set_global_concurrency(self, concurrency: int) -> None:
        """Process at most `concurrency` jobs at once."""
        await self._do("PUT", "concurrency", content={"concurrency": concurrency})

    async def remove_global_concurrency(self) -> None:
        """Process as many jobs at once as the worker allows."""
        await self._do("DELETE", "concurrency")

    async def set_global_rate_limit(self, max: int, duration: Duration) -> None:
        """Start at most `max` jobs in each `duration`, ms or a timedelta."""
        ms = milliseconds("set_global_rate_limit", duration)
        await self._do("PUT", "rate-limit", content={"max": max, "duration": ms})

    async def get_global_rate_limit(self) -> RateLimit | None:
        """Return how many jobs may start in which time, None if that is not set."""
        return await self._ask("GET", "rate-limit", reader=rate_limit)

    async def remove_global_rate_limit(self) -> None:
        """Remove what `set_global_rate_limit` set."""
        await self._do("DELETE", "rate-limit")

    async def rate_limit(self, duration: Duration) -> None:
        """Start no jobs for `duration`, ms or a timedelta."""
        await self._do("PUT", "rate-limited", content={"duration": milliseconds("rate_limit", duration)})

    async def remove_rate_limit_key(self) -> bool:
        """End what `rate_limit` began. Return whether the queue was rate-limited."""
        return await self._ask("DELETE", "rate-limited", reader=member("removed", bool))

    async def remove_deduplication_key(self, deduplication_id: str) -> bool:
        """Release a deduplication id. Return whether a job held it."""
        return await self._ask("DELETE", "deduplication", deduplication_id, reader=member("removed", bool))

    async def trim_events(self, max_length: int) -> int:
        """Keep about the newest `max_length` events. Return how many were removed."""
        content, reader = {"maxLength": max_length}, member("removed", int)
        return await self._ask("POST", "trim-events", reader=reader, content=content, is_repeatable=True)

    async def update_job_progress(self, job_id: str, progress: t.Any) -> None:
        """Store a job's progress, any JSON. Raises NotFoundError."""
        await self._do("PUT", "jobs", job_id, "progress", content={"progress": progress})

    async def add_job_log(self, job_id: str, row: object, keep_logs: int | None = None) -> int:
        """Add a row to a job's log, and keep only the newest `keep_logs` rows. Return how many the log has.

        `row` is as in `Job.log`. Raises NotFoundError.
        """
        content = {"row": log_row(row), "keepLogs": keep_logs}
        return await self._ask("POST", "jobs", job_id, "logs", reader=member("count", int), content=content)

    async def upsert_job_scheduler(
        self, scheduler_id: str, repeat: Repeat, template: JobTemplate | None = None
    ) -> JobScheduler:
        """Create or change a job scheduler. It adds a job made from `template` at each time of `repeat`."""
        content = {
            "repeat": to_wire(Repeat, repeat, kind="member of repeat"),
            "template": to_wire(JobTemplate, template or {}, kind="member of a job template"),
        }
        reader = member("scheduler", JobScheduler)
        return await self._ask("PUT", "schedulers", scheduler_id, reader=reader, content=content)

    async def get_job_scheduler(self, scheduler_id: str) -> JobScheduler | None:
        """Return a job scheduler, None if it does not exist."""
        return await self._find("GET", "schedulers", scheduler_id, reader=job_scheduler)

    async def get_job_schedulers(self, start: int = 0, end: int = 99, *, asc: bool = False) -> list[JobScheduler]:
        """List job schedulers `start` to `end` (included) by their next job; `asc` puts the earliest first."""
        query = {"start": start, "end": end, "asc": asc}
        return await self._ask("GET", "schedulers", reader=listed("schedulers", job_scheduler), query=query)

    async def get_job_schedulers_count(self) -> int:
        """Count the job schedulers."""
        return await self._ask("GET", "schedulers", reader=member("count", int), query={"start": 0, "end": 0})

    async def run_scheduler(self, scheduler_id: str) -> str:
        """Add a job of a job scheduler now, and return its id. The times of the scheduler stay as they are.

        Raises NotFoundError if the scheduler does not exist, and QueueFullError.
        """
        path, reader = ("schedulers", scheduler_id, "run"), member("job", StartedRun)
        return (await self._add(self.name, scheduler_id, *path, reader=reader, key=None))["id"]

    async def remove_job_scheduler(self, scheduler_id: str) -> bool:
        """Remove a job scheduler and the next job that it has added. Return whether it existed."""
        return bool(await self._find("DELETE", "schedulers", scheduler_id, reader=member("removed", bool)))
