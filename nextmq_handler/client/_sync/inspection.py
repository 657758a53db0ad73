# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
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
from .queue_job import QueueJob
from .resource import QueueBase
from .transport import request_all

LAST = 99
"""Where a range of jobs ends by default: a hundred jobs."""


def get_queues(remote: Remote) -> list[QueueView]:
    """Return all queues of a project. Raises NextMQHTTPError or NextMQConnectionError."""
    parts = request_all(remote.caller(), ("v1", "queues"), listed("queues", queue_view))
    return [queue for part in parts for queue in part]


class QueueInspection(QueueBase[Data, Result]):
    """The getters of a queue. Ranges count from 0, include their `end`, and hold up to 1000 jobs."""

    def get_jobs(
        self,
        states: JobState | t.Sequence[JobState] | None = None,
        start: int = 0,
        end: int = LAST,
        *,
        asc: bool = False,
    ) -> list[QueueJob[Data, Result]]:
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
        parts = self._ask_all("jobs", reader=listed("jobs", self._job), query=query)
        return [job for part in parts for job in part]

    def get_waiting(self, start: int = 0, end: int = LAST) -> list[QueueJob[Data, Result]]:
        """List waiting jobs, the next one first."""
        return self.get_jobs("waiting", start, end, asc=True)

    def get_active(self, start: int = 0, end: int = LAST) -> list[QueueJob[Data, Result]]:
        """List jobs that are being processed, the oldest first."""
        return self.get_jobs("active", start, end, asc=True)

    def get_completed(self, start: int = 0, end: int = LAST) -> list[QueueJob[Data, Result]]:
        """List completed jobs, the latest first."""
        return self.get_jobs("completed", start, end)

    def get_failed(self, start: int = 0, end: int = LAST) -> list[QueueJob[Data, Result]]:
        """List failed jobs, the latest first."""
        return self.get_jobs("failed", start, end)

    def get_delayed(self, start: int = 0, end: int = LAST) -> list[QueueJob[Data, Result]]:
        """List delayed jobs, the next one first."""
        return self.get_jobs("delayed", start, end, asc=True)

    def get_prioritized(self, start: int = 0, end: int = LAST) -> list[QueueJob[Data, Result]]:
        """List waiting jobs with a priority, the next one first."""
        return self.get_jobs("prioritized", start, end, asc=True)

    def get_waiting_children(self, start: int = 0, end: int = LAST) -> list[QueueJob[Data, Result]]:
        """List jobs that wait for their children, the oldest first."""
        return self.get_jobs("waiting-children", start, end, asc=True)

    def get_job_state(self, job_id: str) -> JobState:
        """Return the state of a job, `unknown` if the job does not exist."""
        job_state = t.cast("t.Callable[[t.Any], JobState]", member("state", str))
        return self._find("GET", "jobs", job_id, reader=job_state) or "unknown"

    def get_job_logs(self, job_id: str, start: int = 0, end: int = -1, *, asc: bool = True) -> JobLogs:
        """Return rows `start` to `end` (included) of a job's log, at most 1000. Raises NotFoundError."""
        query = {"start": start, "end": end, "asc": asc}
        parts = self._ask_all("jobs", job_id, "logs", reader=job_logs, query=query)
        return {"logs": [row for part in parts for row in part["logs"]], "count": parts[-1]["count"]}

    def get_job_counts(self, *states: str) -> dict[str, int]:
        """Count the jobs in each of `states`, by default in every state."""
        counts: dict[str, int] = self._ask("GET", "counts", reader=dict)
        unknown = [str(state) for state in states if state not in counts]
        if unknown:
            raise ConfigurationError(f"unknown state {', '.join(unknown)}: choose from {', '.join(counts)}")
        return {state: counts[state] for state in states} if states else counts

    def get_job_count_by_types(self, *states: str) -> int:
        """Count the jobs in `states` together, by default all jobs."""
        return sum((self.get_job_counts(*states)).values())

    def count(self) -> int:
        """Count the jobs to be processed: waiting, paused, delayed, prioritized, or waiting for children."""
        return self.get_job_count_by_types("waiting", "paused", "delayed", "prioritized", "waiting-children")

    def get_waiting_count(self) -> int:
        """Count the waiting jobs."""
        return self.get_job_count_by_types("waiting", "paused")

    def get_active_count(self) -> int:
        """Count the jobs that are being processed."""
        return self.get_job_count_by_types("active")

    def get_completed_count(self) -> int:
        """Count the completed jobs that are kept."""
        return self.get_job_count_by_types("completed")

    def get_failed_count(self) -> int:
        """Count the failed jobs that are kept."""
        return self.get_job_count_by_types("failed")

    def get_delayed_count(self) -> int:
        """Count the delayed jobs."""
        return self.get_job_count_by_types("delayed")

    def get_prioritized_count(self) -> int:
        """Count the waiting jobs with a priority."""
        return self.get_job_count_by_types("prioritized")

    def get_waiting_children_count(self) -> int:
        """Count the jobs that wait for their children."""
        return self.get_job_count_by_types("waiting-children")

    def get_counts_per_priority(self, priorities: t.Iterable[int]) -> dict[int, int]:
        """Count the waiting jobs with each of `priorities`."""
        wanted = ",".join(map(str, dict.fromkeys(priorities)))
        if not wanted:
            return {}

        def read(answer: t.Any) -> dict[int, int]:
            return {int(priority): int(count) for priority, count in answer["counts"].items()}

        return self._ask("GET", "counts-per-priority", reader=read, query={"priorities": wanted})

    def get_deduplication_job_id(self, deduplication_id: str) -> str | None:
        """Return the id of the job that holds a deduplication id, None if no job does."""
        return self._find("GET", "deduplication", deduplication_id, reader=member("jobId", str))

    def get_metrics(self, kind: FinishedState, start: int = 0, end: int = -1) -> Metrics:
        """Count the jobs that completed, or failed, in each of the last minutes `start` to `end`."""
        return self._ask("GET", "metrics", kind, reader=metrics, query={"start": start, "end": end})

    def get_workers(self) -> list[dict[str, t.Any]]:
        """List BullMQ's workers on the queue: their connections as Redis lists them."""
        return self._ask("GET", "workers", reader=member("workers", list[dict[str, t.Any]]))

    def get_workers_count(self) -> int:
        """Count BullMQ's workers on the queue."""
        return len(self.get_workers())

    def info(self) -> QueueView:
        """Return the queue as it is now: its counts, its limits, and the worker that is registered for it."""
        return self._ask("GET", reader=queue_view)

    @deprecated("get_queue() is now info()")
    def get_queue(self) -> QueueView:
        """Call `info`."""
        return self.info()

    def why(self) -> list[WhyCause]:
        """Return all that keeps the queue's jobs from starting, what must end first in front; [] for nothing."""
        return self._ask("GET", "why", reader=causes)

    def is_paused(self) -> bool:
        """Whether the queue is paused."""
        return self._ask("GET", reader=member("isPaused", bool))

    def is_maxed(self) -> bool:
        """Whether as many jobs are being processed as the global concurrency allows."""
        return self._ask("GET", "maxed", reader=member("isMaxed", bool))

    def get_global_concurrency(self) -> int | None:
        """Return how many jobs may be processed at once, None if that is not set."""
        return self._ask("GET", "concurrency", reader=optional("concurrency", int))

    def get_rate_limit_ttl(self, max_jobs: int | None = None) -> int:
        """Return for how many ms more a rate limit lets no job start, 0 if it does not prevent one."""
        return self._ask("GET", "rate-limited", reader=member("ttl", int), query={"maxJobs": max_jobs})
