"""The app side of the scenario: a handler for each queue that a chapter starts, whose jobs say what to do."""

from __future__ import annotations

import threading
import time
import typing as t

import uvicorn
from starlette.types import Receive, Scope, Send

from nextmq_handler import (
    Job,
    NextMQHandler,
    Queue,
    RateLimitError,
    UnrecoverableJobError,
    Worker,
    create_nextmq_handler,
    ensure_workers_registered,
    unregister_workers,
)
from nextmq_server.testing.processes import free_port

GATE_TIME = 20.0
"""How long, in s, a job may stand before a gate."""


class Play(t.NamedTuple):
    """What the jobs of a chapter share: its name, who ran, the gates, how a job that is added is noted."""

    chapter: str
    ran: list[str]
    gates: dict[str, threading.Event]
    note: t.Callable[[str, str, str], object]

    def gate(self, name: str) -> threading.Event:
        """Return the gate called `name`."""
        return self.gates.setdefault(name, threading.Event())


class App:
    """Serves deliveries in a thread, and registers queues with the server at `url` one by one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.app_url = f"http://127.0.0.1:{(port := free_port())}"
        self._handlers: dict[str, tuple[Worker, NextMQHandler]] = {}
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._serve,
                port=port,
                interface="asgi3",
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
            )
        )
        self._thread = threading.Thread(target=self._server.run)

    def start(self) -> None:
        """Serve."""
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the app's server ended before it served"
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join()

    def start_worker(self, queue: str, play: Play, **options: t.Any) -> None:
        """Register a worker for `queue`: the server delivers its jobs here."""
        worker = Worker(queue, lambda job: run(job, play, self.url), **options)
        handler = create_nextmq_handler([worker], url=self.url, app_url=self.app_url)
        self._handlers[queue] = worker, handler
        ensure_workers_registered([worker], url=self.url, app_url=self.app_url)

    def stop_worker(self, queue: str) -> None:
        """Remove the registration of `queue`."""
        unregister_workers([self._handlers[queue][0]], url=self.url)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        queue = scope["path"].rpartition("/")[2]
        await self._handlers[queue][1](scope, receive, send)


def run(job: Job[t.Any], play: Play, url: str) -> t.Any:
    """Do what the job's data says for this attempt, and note that it ran."""
    play.ran.append(f"{job.name} {job.attempts_started}")
    attempts = (job.data or {}).get("attempts", [{}])
    result: t.Any = None
    for act, value in attempts[min(job.attempts_started, len(attempts)) - 1].items():
        match act:
            case "gate":
                assert play.gate(value).wait(GATE_TIME)
            case "updateProgress":
                job.update_progress(value)
            case "log":
                job.log(value)
            case "updateData":
                job.update_data(value)
            case "getChildrenValues":
                result = job.get_children_values()
            case "getIgnoredChildrenFailures":
                result = job.get_ignored_children_failures()
            case "child":
                add_child(job, play, value, url)
            case "removeUnprocessedChildren":
                remove_children(job, url)
            case "return":
                result = value
            case "throw":
                raise RuntimeError(value)
            case "unrecoverable":
                raise UnrecoverableJobError(value)
            case "moveToDelayed":
                job.move_to_delayed(round(time.time() * 1000) + value)
            case "rateLimit":
                raise RateLimitError(value)
            case "moveToWaitingChildren":
                job.move_to_waiting_children()
            case _:
                raise AssertionError(f"unknown act {act}")
    return result


def remove_children(job: Job[t.Any], url: str) -> None:
    """Remove the children of `job` that have not finished."""
    seen = Queue(job.queue_name, url=url).get_job(job.id)
    assert seen is not None
    seen.remove_unprocessed_children()


def add_child(job: Job[t.Any], play: Play, child: t.Mapping[str, t.Any], url: str) -> None:
    """Add a job that `job` waits for."""
    queue = Queue(f"{play.chapter}-{child['queue']}", url=url)
    added = queue.add(child["name"], child.get("data"), parent={"id": job.id, "queue_name": job.queue_name})
    play.note(child["name"], child["queue"], added.id)
