"""The steps of the scenario that call a job or a flow."""

from __future__ import annotations

import typing as t

from nextmq_handler import JobNode

from .stage import Stage
from .views import job_view, snake_keys

PATIENCE = 20.0
"""How long, in s, anything may take."""


class JobCalls(Stage):
    """One method for each step, called as Node's is."""

    def add(self, name: str, data: t.Any = None, opts: t.Any = None, queue: str = "main") -> str:
        return self._noted(self._queues[queue].add(name, data, **self._opts(opts)))

    def add_bulk(self, jobs: t.Sequence[t.Any], queue: str = "main") -> list[str]:
        new = [{"data": None, **job, "opts": self._opts(job.get("opts"))} for job in jobs]
        return [self._noted(job) for job in self._queues[queue].add_bulk(t.cast("t.Any", new))]

    def get_job(self, job: str, queue: str = "main") -> t.Any:
        found = self._queues[queue].get_job(self._id(job))
        return found and job_view(found)

    def remove(self, job: str, queue: str = "main", removeChildren: bool = True) -> None:
        self._job(job, queue).remove(remove_children=removeChildren)

    def remove_by_id(self, job: str, queue: str = "main", removeChildren: bool = True) -> bool:
        return self._queues[queue].remove(self._id(job), remove_children=removeChildren)

    def retry(self, job: str, state: t.Any = "failed", opts: t.Any = None) -> None:
        self._job(job).retry(state, **snake_keys(opts or {}))

    def promote(self, job: str) -> None:
        self._job(job).promote()

    def update_data(self, job: str, data: t.Any) -> None:
        self._job(job).update_data(data)

    def update_progress(self, job: str, progress: t.Any) -> None:
        self._job(job).update_progress(progress)

    def change_delay(self, job: str, delay: int) -> None:
        self._job(job).change_delay(delay)

    def change_priority(self, job: str, opts: t.Any) -> None:
        self._job(job).change_priority(**opts)

    def log(self, job: str, row: str) -> int:
        return self._job(job).log(row)

    def clear_logs(self, job: str, keep: int) -> None:
        self._job(job).clear_logs(keep)

    def add_job_log(self, job: str, row: str, keep: int | None = None, queue: str = "main") -> int:
        return self._queues[queue].add_job_log(self._id(job), row, keep)

    def update_job_progress(self, job: str, progress: t.Any, queue: str = "main") -> None:
        self._queues[queue].update_job_progress(self._id(job), progress)

    def get_job_logs(self, job: str, start: int = 0, end: int = -1, asc: bool = True) -> t.Any:
        return self._queues["main"].get_job_logs(self._id(job), start, end, asc=asc)

    def states(self, job: str, queue: str = "main") -> dict[str, t.Any]:
        found = self._job(job, queue)
        return {
            "getState": found.get_state(),
            "getJobState": self._queues[queue].get_job_state(found.id),
            "isCompleted": found.is_completed(),
            "isFailed": found.is_failed(),
            "isDelayed": found.is_delayed(),
            "isActive": found.is_active(),
            "isWaiting": found.is_waiting(),
            "isWaitingChildren": found.is_waiting_children(),
        }

    def remove_job_deduplication_key(self, job: str) -> bool:
        return self._job(job).remove_deduplication_key()

    def wait_until_finished(self, job: str) -> t.Any:
        return self._job(job).wait_until_finished(PATIENCE)


class FlowCalls(Stage):
    """One method for each step, called as Node's is."""

    def flow(self, flow: t.Any, queuesOptions: t.Any = None) -> t.Any:
        options = {self._full(queue): snake_keys(given) for queue, given in (queuesOptions or {}).items()}
        return self._tree(self._flows.add(self._node(flow), t.cast("t.Any", options)))

    def flow_bulk(self, flows: t.Sequence[t.Any]) -> list[t.Any]:
        return [self._tree(flow) for flow in self._flows.add_bulk([self._node(flow) for flow in flows])]

    def get_flow(self, job: str, depth: int = 10, maxChildren: int = 20) -> t.Any:
        queue, job_id = self._ids.get(job, ("main", job))
        found = self._flows.get_flow(
            queue_name=self._full(queue), id=job_id, depth=depth, max_children=maxChildren
        )
        return found and self._tree(found)

    def _node(self, node: t.Mapping[str, t.Any]) -> t.Any:
        sent = {"data": None, **node, "opts": self._opts(node.get("opts"))}
        sent["queue_name"] = self._full(sent.pop("queue", "main"))
        return {**sent, "children": [self._node(child) for child in node.get("children", ())]}

    def _tree(self, node: JobNode) -> dict[str, t.Any]:
        children = [self._tree(child) for child in node.children]
        return {"id": self._noted(node.job), "name": node.job.name, "children": children}

    def get_children_values(self, job: str) -> t.Any:
        return self._job(job).get_children_values()

    def get_ignored_children_failures(self, job: str) -> t.Any:
        return self._job(job).get_ignored_children_failures()

    def get_dependencies(self, job: str) -> t.Any:
        return self._job(job).get_dependencies()

    def get_dependencies_count(self, job: str) -> t.Any:
        return self._job(job).get_dependencies_count()

    def remove_child_dependency(self, job: str) -> bool:
        return self._job(job).remove_child_dependency()

    def remove_unprocessed_children(self, job: str) -> None:
        self._job(job).remove_unprocessed_children()
