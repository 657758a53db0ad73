"""The producer's queue: look at its jobs and counts."""

from __future__ import annotations

import typing as t

from ..._deprecated import deprecated
from ...errors import ConfigurationError
from ...rules.options import check_list
from .._http.answer import listed, member, optional
from ..generics import Data, Result
from ..remote import Remote
from ..views import (
    FinishedState,
    JobLogs,
    JobState,
    Metrics,
    QueueView,
    WhyCause,
    causes,
    job_logs,
    metrics,
    queue_view,
)
from .queue_job import AsyncQueueJob
from .resource import AsyncQueueBase
from .transport import request_all

LAST = 99
"""Where a range of jobs ends by default: a hundred jobs."""


async def get_queues(remote: Remote) -> list[QueueView]:
    """Return all queues of a project. Raises NextMQHTTPError or NextMQConnectionError."""
    parts = await request_all(remote.caller(), ("v1", "queues"), listed("queues", queue_view))
    return [queue for part in parts for queue in part]


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
        """List jobs `start` to `end` of each of the states, by default of all; `asc` puts the oldest first."""
        wanted: str | None
        if states is None or isinstance(states, str):
            wanted = states
        else:
            check_list("get_jobs", states, "states")
            wanted = ",".join(map(str, states))
        if wanted == "":
            return []
        query = {"states": wanted, "start": start, "end": end, "asc": asc}
        parts = await self._ask_all("jobs", reader=listed("jobs", self._job), query=query)
        return [job for part in parts for job in part]

    async def get_waiting(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """List waiting jobs, the next one first."""
        return await self.get_jobs("waiting", start, end, asc=True)

    async def get_active(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """List jobs that are being processed, the oldest first."""
        return await self.get_jobs("active", start, end, asc=True)

    async def get_completed(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """List completed jobs, the latest first."""
        return await self.get_jobs("completed", start, end)

    async def get_failed(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """List failed jobs, the latest first."""
        return await self.get_jobs("failed", start, end)

    async def get_delayed(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """List delayed jobs, the next one first."""
        return await self.get_jobs("delayed", start, end, asc=True)

    async def get_prioritized(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """List waiting jobs with a priority, the next one first."""
        return await self.get_jobs("prioritized", start, end, asc=True)

    async def get_waiting_children(self, start: int = 0, end: int = LAST) -> list[AsyncQueueJob[Data, Result]]:
        """List jobs that wait for their children, the oldest first."""
        return await self.get_jobs("waiting-children", start, end, asc=True)

    async def get_job_state(self, job_id: str) -> JobState:
        """Return the state of a job, `unknown` if the job does not exist."""
        job_state = t.cast("t.Callable[[t.Any], JobState]", member("state", str))
        return await self._find("GET", "jobs", job_id, reader=job_state) or "unknown"

    async def get_job_logs(self, job_id: str, start: int = 0, end: int = -1, *, asc: bool = True) -> JobLogs:
        """Return rows `start` to `end` (included) of a job's log, at most 1000. Raises NotFoundError."""
        query = {"start": start, "end": end, "asc": asc}
        parts = await self._ask_all("jobs", job_id, "logs", reader=job_logs, query=query)
        return {"logs": [row for part in parts for row in part["logs"]], "count": parts[-1]["count"]}

    async def get_job_counts(self, *states: str) -> dict[str, int]:
        """Count the jobs in each of `states`, by default in every state."""
        counts: dict[str, int] = await self._ask("GET", "counts", reader=dict)
        unknown = [str(state) for state in states if state not in counts]
        if unknown:
            raise ConfigurationError(f"unknown state {', '.join(unknown)}: choose from {', '.join(counts)}")
        return {state: counts[state] for state in states} if states else counts

    async def get_job_count_by_types(self, *states: str) -> int:
        """Count the jobs in `states` together, by default all jobs."""
        return sum((await self.get_job_counts(*states)).values())

    async def count(self) -> int:
        """Count the jobs to be processed: waiting, paused, delayed, prioritized, or waiting for children."""
        return await self.get_job_count_by_types("waiting", "paused", "delayed", "prioritized", "waiting-children")

    async def get_waiting_count(self) -> int:
        """Count the waiting jobs."""
        return await self.get_job_count_by_types("waiting", "paused")

    async def get_active_count(self) -> int:
        """Count the jobs that are being processed."""
        return await self.get_job_count_by_types("active")

    async def get_completed_count(self) -> int:
        """Count the completed jobs that are kept."""
        return await self.get_job_count_by_types("completed")

    async def get_failed_count(self) -> int:
        """Count the failed jobs that are kept."""
        return await self.get_job_count_by_types("failed")

    async def get_delayed_count(self) -> int:
        """Count the delayed jobs."""
        return await self.get_job_count_by_types("delayed")

    async def get_prioritized_count(self) -> int:
        """Count the waiting jobs with a priority."""
        return await self.get_job_count_by_types("prioritized")

    async def get_waiting_children_count(self) -> int:
        """Count the jobs that wait for their children."""
        return await self.get_job_count_by_types("waiting-children")

    async def get_counts_per_priority(self, priorities: t.Iterable[int]) -> dict[int, int]:
        """Count the waiting jobs with each of `priorities`."""
        wanted = ",".join(map(str, dict.fromkeys(priorities)))
        if not wanted:
            return {}

        def read(answer: t.Any) -> dict[int, int]:
            return {int(priority): int(count) for priority, count in answer["counts"].items()}

        return await self._ask("GET", "counts-per-priority", reader=read, query={"priorities": wanted})

    async def get_deduplication_job_id(self, deduplication_id: str) -> str | None:
        """Return the id of the job that holds a deduplication id, None if no job does."""
        return await self._find("GET", "deduplication", deduplication_id, reader=member("jobId", str))

    async def get_metrics(self, kind: FinishedState, start: int = 0, end: int = -1) -> Metrics:
        """Count the jobs that completed, or failed, in each of the last minutes `start` to `end`."""
        return await self._ask("GET", "metrics", kind, reader=metrics, query={"start": start, "end": end})

    async def get_workers(self) -> list[dict[str, t.Any]]:
        """List BullMQ's workers on the queue: their connections as Redis lists them."""
        return await self._ask("GET", "workers", reader=member("workers", list[dict[str, t.Any]]))

    async def get_workers_count(self) -> int:
        """Count BullMQ's workers on the queue."""
        return len(await self.get_workers())

    async def info(self) -> QueueView:
        """Return the queue as it is now: its counts, its limits, and the worker that is registered for it."""
        return await self._ask("GET", reader=queue_view)

    @deprecated("get_queue() is now info()")
    async def get_queue(self) -> QueueView:
        """Call `info`."""
        return await self.info()

    async def why(self) -> list[WhyCause]:
        """Return all that keeps the queue's jobs from starting, what must end first in front; [] for nothing."""
        return await self._ask("GET", "why", reader=causes)

    async def is_paused(self) -> bool:
        """Whether the queue is paused."""
        return await self._ask("GET", reader=member("isPaused", bool))

    async def is_maxed(self) -> bool:
        """Whether as many jobs are being processed as the global concurrency allows."""
        return await self._ask("GET", "maxed", reader=member("isMaxed", bool))

    async def get_global_concurrency(self) -> int | None:
        """Return how many jobs may be processed at once, None if that is not set."""
        return await self._ask("GET", "concurrency", reader=optional("concurrency", int))

    async def get_rate_limit_ttl(self, max_jobs: int | None = None) -> int:
        """Return for how many ms more a rate limit lets no job start, 0 if it does not prevent one."""
        return await self._ask("GET", "rate-limited", reader=member("ttl", int), query={"maxJobs": max_jobs})
