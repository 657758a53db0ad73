"""The producer's queue: look at its jobs and counts."""

from __future__ import annotations

import typing as t

from ...errors import ConfigurationError, NotFoundError
from ...rules.options import check_list
from .._http.answer import listed, member, optional
from ..generics import Data, Result
from ..views import JobLogs, JobState, Metrics, QueueView, job_logs, metrics, queue_view
from .base import AsyncQueueBase
from .queue_job import AsyncQueueJob

LAST = 99
"""Where a range of jobs ends by default: a hundred jobs."""


class AsyncQueueInspection(AsyncQueueBase[Data, Result]):
    """The getters of a queue. Ranges count from 0, include their `end`, and hold up to 1000 jobs."""

    async def get_jobs(
        self,
        states: JobState | t.Sequence[JobState] | None = None,
        start: int = 0,
        end: int = LAST,
        *,
        asc: bool = False,
    ) -> list[AsyncQueueJob[Data, Result]]:
        """Jobs `start` to `end` of each of the states, of all states by default; `asc` has the oldest first."""
        wanted: str | None
        if states is None or isinstance(states, str):
            wanted = states
        else:
            check_list("get_jobs", states, "states")
            wanted = ",".join(map(str, states))
        if wanted == "":
            return []
        query = {"states": wanted, "start": start, "end": end, "asc": asc}
        return await self._ask("GET", "jobs", reader=listed("jobs", self._job), query=query)

    async def get_waiting(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """Waiting jobs, the next one first."""
        return await self.get_jobs("waiting", start, end, asc=True)

    async def get_active(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """Jobs that are being processed, the oldest first."""
        return await self.get_jobs("active", start, end, asc=True)

    async def get_completed(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """Jobs that have completed, the latest first."""
        return await self.get_jobs("completed", start, end)

    async def get_failed(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """Jobs that have failed, the latest first."""
        return await self.get_jobs("failed", start, end)

    async def get_delayed(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """Delayed jobs, the next one first."""
        return await self.get_jobs("delayed", start, end, asc=True)

    async def get_prioritized(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """Waiting jobs with a priority, the next one first."""
        return await self.get_jobs("prioritized", start, end, asc=True)

    async def get_waiting_children(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """Jobs that wait for their children, the oldest first."""
        return await self.get_jobs("waiting-children", start, end, asc=True)

    async def get_job_state(self, job_id: str) -> JobState:
        """The state of a job, `unknown` where there is none."""
        job_state = t.cast("t.Callable[[t.Any], JobState]", member("state", str))
        try:
            return await self._ask("GET", "jobs", job_id, reader=job_state)
        except NotFoundError:
            return "unknown"

    async def get_job_logs(self, job_id: str, start: int = 0, end: int = -1, *, asc: bool = True) -> JobLogs:
        """Rows `start` to `end`, both included, of a job's log; at most 1000 at once. Raises NotFoundError."""
        query = {"start": start, "end": end, "asc": asc}
        return await self._ask("GET", "jobs", job_id, "logs", reader=job_logs, query=query)

    async def get_job_counts(self, *states: str) -> dict[str, int]:
        """How many jobs are in each of `states`, or in each state there is."""
        counts: dict[str, int] = await self._ask("GET", "counts", reader=dict)
        unknown = [str(state) for state in states if state not in counts]
        if unknown:
            raise ConfigurationError(f"{', '.join(unknown)}: no such state; there are {', '.join(counts)}")
        return {state: counts[state] for state in states} if states else counts

    async def get_job_count_by_types(self, *states: str) -> int:
        """How many jobs are in `states` together, or in all."""
        return sum((await self.get_job_counts(*states)).values())

    async def count(self) -> int:
        """How many jobs are to be processed: waiting, paused, delayed, prioritized or waiting for children."""
        return await self.get_job_count_by_types("waiting", "paused", "delayed", "prioritized", "waiting-children")

    async def get_waiting_count(self) -> int:
        """How many jobs are waiting."""
        return await self.get_job_count_by_types("waiting", "paused")

    async def get_active_count(self) -> int:
        """How many jobs are being processed."""
        return await self.get_job_count_by_types("active")

    async def get_completed_count(self) -> int:
        """How many jobs have completed and are kept."""
        return await self.get_job_count_by_types("completed")

    async def get_failed_count(self) -> int:
        """How many jobs have failed and are kept."""
        return await self.get_job_count_by_types("failed")

    async def get_delayed_count(self) -> int:
        """How many jobs are delayed."""
        return await self.get_job_count_by_types("delayed")

    async def get_prioritized_count(self) -> int:
        """How many waiting jobs have a priority."""
        return await self.get_job_count_by_types("prioritized")

    async def get_waiting_children_count(self) -> int:
        """How many jobs wait for their children."""
        return await self.get_job_count_by_types("waiting-children")

    async def get_counts_per_priority(self, priorities: t.Iterable[int]) -> dict[int, int]:
        """How many jobs wait with each of `priorities`."""
        query = {"priorities": ",".join(map(str, dict.fromkeys(priorities)))}

        def read(answer: t.Any) -> dict[int, int]:
            return {int(priority): int(count) for priority, count in answer["counts"].items()}

        return (
            await self._ask("GET", "counts-per-priority", reader=read, query=query) if query["priorities"] else {}
        )

    async def get_deduplication_job_id(self, deduplication_id: str) -> str | None:
        """The id of the job that holds a deduplication id, None where none does."""
        try:
            return await self._ask("GET", "deduplication", deduplication_id, reader=member("jobId", str))
        except NotFoundError:
            return None

    async def get_metrics(self, kind: t.Literal["completed", "failed"], start: int = 0, end: int = -1) -> Metrics:
        """How many jobs completed, or failed, in each of the last minutes `start` to `end`."""
        return await self._ask("GET", "metrics", kind, reader=metrics, query={"start": start, "end": end})

    async def get_workers(self) -> list[dict[str, t.Any]]:
        """BullMQ's workers on the queue: their connections as Redis lists them."""
        return await self._ask("GET", "workers", reader=listed("workers", dict))

    async def get_workers_count(self) -> int:
        """How many BullMQ workers are on the queue."""
        return len(await self.get_workers())

    async def get_queue(self) -> QueueView:
        """The queue itself: counts, limits, and the worker that is registered for it."""
        return await self._ask("GET", reader=queue_view)

    async def is_paused(self) -> bool:
        """Whether the queue is paused."""
        return await self._ask("GET", reader=member("isPaused", bool))

    async def is_maxed(self) -> bool:
        """Whether as many jobs are being processed as the global concurrency allows."""
        return await self._ask("GET", "maxed", reader=member("isMaxed", bool))

    async def get_global_concurrency(self) -> int | None:
        """How many jobs are processed at once at most, None where that is not set."""
        return await self._ask("GET", "concurrency", reader=optional("concurrency", int))

    async def get_rate_limit_ttl(self, max_jobs: int | None = None) -> int:
        """For how many ms more no job starts because of a rate limit; 0 where none keeps them from it."""
        return await self._ask("GET", "rate-limited", reader=member("ttl", int), query={"maxJobs": max_jobs})
