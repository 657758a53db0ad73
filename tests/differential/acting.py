"""The processor of every history: it does what the job's script says for this start, and notes that it started."""

from __future__ import annotations

import json
import time
import typing as t

from nextmq_handler import Job, ParentJob, Queue, RateLimitError, UnrecoverableJobError

from .histories import PlannedJob


class Start(t.NamedTuple):
    """A start, as the processor saw its job."""

    name: str
    attempts_started: int
    attempts_made: int
    priority: int
    delay: int


class Cast:
    """What the processors of one history share. `clock` gives s since the epoch."""

    def __init__(self, prefix: str, url: str | None, clock: t.Callable[[], float] = time.time) -> None:
        self.prefix = prefix
        self.url = url
        self.starts: list[Start] = []
        self._clock = clock

    def run(self, job: Job[t.Any]) -> t.Any:
        """Do what the script says."""
        seen = Start(job.name, job.attempts_started, job.attempts_made, job.priority, job.delay)
        self.starts.append(seen)
        script = job.data["script"]
        result: t.Any = None
        for act, value in script[min(job.attempts_started, len(script)) - 1]:
            result = self._do(job, act, value)
        return result

    def _do(self, job: Job[t.Any], act: str, value: t.Any) -> t.Any:
        match act:
            case "return":
                return value
            case "throw":
                raise RuntimeError(value)
            case "unrecoverable":
                raise UnrecoverableJobError(value)
            case "rate_limit":
                raise RateLimitError(value)
            case "put_off":
                return job.move_to_delayed(round(self._clock() * 1000) + value)
            case "wait_for_children":
                return job.move_to_waiting_children()
            case "log":
                return job.log(value)
            case "progress":
                return job.update_progress(value)
            case "children":
                values = sorted(json.dumps(value) for value in job.get_children_values().values())
                failures = sorted(job.get_ignored_children_failures().values())
                return {"values": values, "failures": failures}
            case "add":
                return self.queue(job.queue_name).add(value["name"], value["data"], **value["opts"]).name
            case "child":
                parent: ParentJob = {"id": job.id, "queue_name": job.queue_name}
                queue = self.queue(f"{self.prefix}-{value['queue']}")
                return queue.add(value["name"], value["data"], parent=parent, **value["opts"]).name
            case _:
                raise AssertionError(f"no such act: {act}")

    def queue(self, name: str) -> Queue[t.Any, t.Any]:
        return Queue(name, url=self.url)


def data_of(job: PlannedJob) -> dict[str, t.Any]:
    """Return the data that tells the processor what to do; the jobs it adds are in it as they will be added."""
    return {"script": [[(act, _sent(value)) for act, value in start] for start in job.script]}


def _sent(value: t.Any) -> t.Any:
    if not isinstance(value, PlannedJob):
        return value
    return {"name": value.name, "data": data_of(value), "opts": value.opts, "queue": value.queue}
