"""The steps of the scenario that call a queue."""

from __future__ import annotations

import typing as t

from .stage import Stage
from .views import scheduler_view, snake_keys


class QueueCalls(Stage):
    """One method for each step, called as Node's is."""

    def pause(self, queue: str = "main") -> None:
        self._queues[queue].pause()

    def resume(self, queue: str = "main") -> None:
        self._queues[queue].resume()

    def drain(self, queue: str = "main", delayed: bool = False) -> None:
        self._queues[queue].drain(delayed=delayed)

    def clean(self, grace: int, limit: int, state: t.Any = "completed", queue: str = "main") -> list[str]:
        return sorted(map(self._alias, self._queues[queue].clean(grace, limit, state)))

    def obliterate(self, queue: str = "main", force: bool = False) -> None:
        self._queues[queue].obliterate(force=force)

    def retry_jobs(self, queue: str = "main", state: t.Any = "failed", timestamp: int | None = None) -> None:
        self._queues[queue].retry_jobs(state, timestamp=timestamp)

    def promote_jobs(self, queue: str = "main") -> None:
        self._queues[queue].promote_jobs()

    def get_jobs(
        self, states: t.Any, start: int = 0, end: int = 99, asc: bool = False, queue: str = "main"
    ) -> list[str]:
        return [job.id for job in self._queues[queue].get_jobs(states, start, end, asc=asc)]

    def getters(self, start: int = 0, end: int = 99, queue: str = "main") -> dict[str, list[str]]:
        of = self._queues[queue]
        found = {
            "getWaiting": of.get_waiting(start, end),
            "getActive": of.get_active(start, end),
            "getDelayed": of.get_delayed(start, end),
            "getPrioritized": of.get_prioritized(start, end),
            "getWaitingChildren": of.get_waiting_children(start, end),
            "getCompleted": of.get_completed(start, end),
            "getFailed": of.get_failed(start, end),
        }
        return {getter: [job.id for job in jobs] for getter, jobs in found.items()}

    def counts(self, queue: str = "main") -> dict[str, t.Any]:
        of = self._queues[queue]
        return {
            "count": of.count(),
            "getJobCounts": of.get_job_counts("waiting", "failed"),
            "getJobCountByTypes": of.get_job_count_by_types("waiting", "failed"),
            "getWaitingCount": of.get_waiting_count(),
            "getActiveCount": of.get_active_count(),
            "getDelayedCount": of.get_delayed_count(),
            "getPrioritizedCount": of.get_prioritized_count(),
            "getWaitingChildrenCount": of.get_waiting_children_count(),
            "getCompletedCount": of.get_completed_count(),
            "getFailedCount": of.get_failed_count(),
        }

    def get_counts_per_priority(self, priorities: list[int], queue: str = "main") -> dict[str, int]:
        counts = self._queues[queue].get_counts_per_priority(priorities)
        return {str(priority): count for priority, count in counts.items()}

    def get_deduplication_job_id(self, id: str, queue: str = "main") -> str | None:
        return self._queues[queue].get_deduplication_job_id(id)

    def remove_deduplication_key(self, id: str, queue: str = "main") -> bool:
        return self._queues[queue].remove_deduplication_key(id)

    def get_metrics(self, state: t.Any, queue: str = "main") -> dict[str, int]:
        metrics = self._queues[queue].get_metrics(state)
        return {"total": metrics["meta"]["count"], "minutes": metrics["count"]}

    def set_global_concurrency(self, concurrency: int, queue: str = "main") -> None:
        self._queues[queue].set_global_concurrency(concurrency)

    def get_global_concurrency(self, queue: str = "main") -> int | None:
        return self._queues[queue].get_global_concurrency()

    def remove_global_concurrency(self, queue: str = "main") -> None:
        self._queues[queue].remove_global_concurrency()

    def is_maxed(self, queue: str = "main") -> bool:
        return self._queues[queue].is_maxed()

    def set_global_rate_limit(self, max: int, duration: int, queue: str = "main") -> None:
        self._queues[queue].set_global_rate_limit(max, duration)

    def get_global_rate_limit(self, queue: str = "main") -> t.Any:
        return self._queues[queue].get_global_rate_limit()

    def remove_global_rate_limit(self, queue: str = "main") -> None:
        self._queues[queue].remove_global_rate_limit()

    def rate_limit(self, duration: int, queue: str = "main") -> None:
        self._queues[queue].rate_limit(duration)

    def get_rate_limit_ttl(self, maxJobs: int | None = None, queue: str = "main") -> bool:
        return self._queues[queue].get_rate_limit_ttl(maxJobs) > 0

    def remove_rate_limit_key(self, queue: str = "main") -> bool:
        return self._queues[queue].remove_rate_limit_key()

    def trim_events(self, maxLength: int, queue: str = "main") -> None:
        self._queues[queue].trim_events(maxLength)

    def get_workers_count(self, queue: str = "main") -> int:
        return self._queues[queue].get_workers_count()


class SchedulerCalls(Stage):
    """One method for each step, called as Node's is."""

    def upsert_job_scheduler(self, id: str, repeat: t.Any, template: t.Any = None, queue: str = "main") -> None:
        times, made = snake_keys(repeat), snake_keys(template or {})
        self._queues[queue].upsert_job_scheduler(id, t.cast("t.Any", times), t.cast("t.Any", made))

    def get_job_scheduler(self, id: str, queue: str = "main") -> t.Any:
        found = self._queues[queue].get_job_scheduler(id)
        return found and scheduler_view(found)

    def get_job_schedulers(
        self, start: int = 0, end: int = 99, asc: bool = False, queue: str = "main"
    ) -> list[t.Any]:
        return [scheduler_view(one) for one in self._queues[queue].get_job_schedulers(start, end, asc=asc)]

    def get_job_schedulers_count(self, queue: str = "main") -> int:
        return self._queues[queue].get_job_schedulers_count()

    def remove_job_scheduler(self, id: str, queue: str = "main") -> bool:
        return self._queues[queue].remove_job_scheduler(id)
