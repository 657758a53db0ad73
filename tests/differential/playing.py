"""Plays the producers' part of a history through the SDK, and looks at what became of it, on both sides alike."""

from __future__ import annotations

import json
import re
import typing as t

from nextmq_handler import FlowProducer, JobNode, JobRemovedError, NextMQHTTPError, Queue, QueueJob

from .acting import Cast, data_of
from .histories import History, Op, PlannedJob

_Cleaned = t.Literal["waiting", "prioritized", "delayed", "failed", "completed"]

STATES: t.Final = ("waiting", "active", "prioritized", "delayed", "waiting-children", "completed", "failed")

_MADE_UP = re.compile(r"[0-9a-f]{32}|[0-9a-f]{16}|\d{13}")


class Player:
    """The producer of one history."""

    def __init__(self, history: History, cast: Cast) -> None:
        self.history = history
        self.cast = cast
        self.answers: list[t.Any] = []
        self.queues: dict[str, Queue[t.Any, t.Any]] = {
            name: cast.queue(f"{cast.prefix}-{name}") for name in (*history.queues, "a-dlq")
        }
        self._flows = FlowProducer(url=cast.url)
        self._jobs: dict[str, QueueJob[t.Any, t.Any]] = {}

    def play(self, phase: list[Op]) -> None:
        """Pause, do what the phase says, go on."""
        for name in self.history.worked_on:
            self.queues[name].pause()
        for step in phase:
            try:
                answer = getattr(self, step.name)(**step.arguments)
            except NextMQHTTPError as exc:
                answer = exc.code
            except JobRemovedError:
                answer = "gone"
            self.answers.append((step.name, answer))
        for name in self.history.worked_on:
            self.queues[name].resume()

    def report(self) -> dict[str, t.Any]:
        """Return how the history ended."""
        starts = self.cast.starts
        return {
            "answers": self.answers,
            "starts": starts if self.history.is_ordered else sorted(starts),
            "jobs": {name: self._look(self.queues[name]) for name in self.history.queues},
        }

    def add(self, jobs: list[PlannedJob]) -> list[t.Any]:
        add = self.queues["a"].add
        return [self._added(job.name, add(job.name, data_of(job), **job.opts)) for job in jobs]

    def add_bulk(self, jobs: list[PlannedJob]) -> list[t.Any]:
        sent: list[t.Any] = [{"name": job.name, "data": data_of(job), "opts": job.opts} for job in jobs]
        added = self.queues["a"].add_bulk(sent)
        return [self._added(job.name, one) for job, one in zip(jobs, added, strict=True)]

    def add_flow(self, job: PlannedJob) -> t.Any:
        node = self._flows.add(self._node(job))
        self._remember(job, node)
        return self._added(job.name, node.job)

    def change_priority(self, job: str, priority: int, lifo: bool) -> None:
        self._jobs[job].change_priority(priority, lifo=lifo)

    def change_delay(self, job: str, delay: int) -> None:
        self._jobs[job].change_delay(delay)

    def remove(self, job: str) -> None:
        self._jobs[job].remove()

    def promote(self, job: str) -> None:
        self._jobs[job].promote()

    def promote_jobs(self) -> None:
        self.queues["a"].promote_jobs()

    def drain(self, delayed: bool) -> None:
        self.queues["a"].drain(delayed=delayed)

    def clean(self, state: _Cleaned) -> list[t.Any]:
        removed: list[str] = self._seen(self.queues["a"].clean(0, 0, state))
        return removed if state == "waiting" else sorted(removed)

    def obliterate(self) -> None:
        self.queues["a"].obliterate()

    def remove_unprocessed_children(self, job: str) -> None:
        self._jobs[job].remove_unprocessed_children()

    def retry(self, job: str, state: t.Literal["failed", "completed"], made: bool, started: bool) -> None:
        self._jobs[job].retry(state, reset_attempts_made=made, reset_attempts_started=started)

    def retry_jobs(self, state: t.Literal["failed", "completed"]) -> None:
        for name in self.history.worked_on:
            self.queues[name].retry_jobs(state)

    def redrive(self) -> list[str]:
        return [_MADE_UP.sub("…", letter) for letter in self._seen(self.queues["a-dlq"].redrive())]

    def remove_deduplication_key(self, id: str) -> bool:
        return self.queues["a"].remove_deduplication_key(id)

    def upsert_scheduler(self, id: str, repeat: t.Any, script: t.Any, opts: t.Any) -> t.Any:
        template: t.Any = {"data": {"script": script}, "opts": opts}
        made = self.queues["a"].upsert_job_scheduler(id, repeat, template)
        return made.name, made.every, made.pattern, made.limit, made.iteration_count, made.next is not None

    def remove_scheduler(self, id: str) -> bool:
        return self.queues["a"].remove_job_scheduler(id)

    def _node(self, job: PlannedJob) -> t.Any:
        return {
            "name": job.name,
            "queue_name": self.queues[job.queue].name,
            "data": data_of(job),
            "opts": job.opts,
            "children": [self._node(child) for child in job.children],
        }

    def _added(self, name: str, job: QueueJob[t.Any, t.Any]) -> t.Any:
        self._jobs.setdefault(name, job)
        return job.name, job.deduplicated, _MADE_UP.sub("…", job.id), job.priority

    def _remember(self, job: PlannedJob, node: JobNode) -> None:
        self._jobs[job.name] = node.job
        for child, below in zip(job.children, node.children, strict=True):
            self._remember(child, below)

    def _look(self, queue: Queue[t.Any, t.Any]) -> list[t.Any]:
        found = [self._seen(_view(job)) for job in queue.get_jobs(STATES, asc=True)]
        return sorted(found, key=self._place)

    def _place(self, view: dict[str, t.Any]) -> str:
        """Return the sort key of a job: empty if its place in the list is determined."""
        if self.history.is_ordered and view["state"] not in _BY_TIME:
            return ""
        return json.dumps(view, sort_keys=True)

    def _seen(self, value: t.Any) -> t.Any:
        """`value` without what is each side's own: the name of the history, ids and times that were made up."""
        if isinstance(value, str):
            return _MADE_UP.sub("…", value.replace(f"{self.cast.prefix}-", ""))
        if isinstance(value, dict):
            members = t.cast("dict[str, t.Any]", value)
            return {name: self._seen(member) for name, member in members.items() if name not in _OWN}
        if isinstance(value, list):
            return [self._seen(member) for member in value]
        return value


# Redis sorts those of the same ms by their ids, which may be made up; a parent fails in the ms of its child.
_BY_TIME = frozenset(("waiting-children", "completed", "failed"))

# Times, and what is a stack.
_OWN = frozenset(("timestamp", "failedAt", "stacktrace", "prevMillis", "offset"))


def _view(job: QueueJob[t.Any, t.Any]) -> dict[str, t.Any]:
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "data": job.data,
        "opts": {name: value for name, value in job.opts.items() if job.repeat_job_key is None or name != "delay"},
        "progress": job.progress,
        "attempts": [job.attempts_made, job.attempts_started, job.stalled_counter],
        "delay": job.delay if job.repeat_job_key is None else None,
        "priority": job.priority,
        "return_value": job.return_value,
        "failed_reason": job.failed_reason,
        "stacks": len(job.stacktrace),
        "parent": job.parent,
        "repeat_job_key": job.repeat_job_key,
        "deduplication_id": job.deduplication_id,
        "is_finished": [job.processed_on is not None, job.finished_on is not None],
        "logs": job.get_logs()["logs"] if job.progress or job.attempts_made else [],
    }
