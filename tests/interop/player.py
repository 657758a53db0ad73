"""Play a chapter through the SDK, step by step, as scenario.mjs does with Node's BullMQ."""

from __future__ import annotations

import time
import typing as t

from nextmq_handler import ConfigurationError, JobFailedError, JobRemovedError, NextMQHTTPError, Queue

from .job_calls import PATIENCE, FlowCalls, JobCalls
from .queue_calls import QueueCalls, SchedulerCalls
from .steps import Step
from .views import job_view, snake, snake_keys

STATES: t.Final = ("waiting", "active", "prioritized", "delayed", "waiting-children", "completed", "failed")
RUNNING: t.Final = ("start", "release")
"""Steps after which jobs may still be changing."""

CODES = {"job_locked": "locked", "invalid_request": "invalid"}


class Player(JobCalls, FlowCalls, QueueCalls, SchedulerCalls):
    """A chapter, played."""

    def play(self) -> list[dict[str, t.Any]]:
        """Run the steps; return the result of each, and the state of the queues after it."""
        return [
            {"result": self._do(step), "queues": {} if step["op"] in RUNNING else self._look()}
            for step in self._chapter.steps
        ]

    def _do(self, step: Step) -> dict[str, t.Any]:
        arguments = {name: value for name, value in step.items() if name not in ("op", "differs")}
        try:
            return {"ok": getattr(self, snake(step["op"]))(**arguments)}
        except NextMQHTTPError as exc:
            return {"error": CODES.get(exc.code, exc.code), "message": str(exc)}
        except JobRemovedError as exc:
            return {"error": "not_found", "message": str(exc)}
        except JobFailedError as exc:
            return {"error": "job_failed", "message": exc.reason}
        except ConfigurationError as exc:
            return {"error": "invalid", "message": str(exc)}

    def _look(self) -> dict[str, t.Any]:
        return {name: self._look_at(queue) for name, queue in self._queues.items()}

    def _look_at(self, queue: Queue) -> dict[str, t.Any]:
        jobs: dict[str, list[t.Any]] = {state: [] for state in STATES}
        for job in queue.get_jobs(STATES, 0, 99, asc=True):
            jobs[job.state].append(job_view(job))
        seen = queue.info()
        return {"isPaused": seen.is_paused, "counts": seen.counts, "jobs": jobs}

    def start(self, queues: t.Sequence[str] = ("main",), options: t.Any = None) -> None:
        for queue in queues:
            self._app.start_worker(self._full(queue), self._play, **snake_keys(options or {}))
            self._working.append(queue)

    def stop(self, isOrdered: bool = False) -> list[str]:
        for queue in self._working:
            self._app.stop_worker(self._full(queue))
        self._working.clear()
        ran = list(self._play.ran)
        self._play.ran.clear()
        return ran if isOrdered else sorted(ran)

    def until(self, jobs: t.Mapping[str, str] | None = None, queues: t.Sequence[str] = ("main",)) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._is_reached(jobs or {}, queues):
            if time.monotonic() > deadline:
                raise AssertionError(f"not in time: {jobs or queues}\n{self._look()}")
            time.sleep(0.01)

    def _is_reached(self, jobs: t.Mapping[str, str], queues: t.Sequence[str]) -> bool:
        if jobs:
            return all(self._job(alias).state == state for alias, state in jobs.items())
        states = ("waiting", "active", "delayed", "prioritized")
        return not any(self._queues[queue].get_job_count_by_types(*states) for queue in queues)

    def release(self, gate: str) -> None:
        self._play.gate(gate).set()
