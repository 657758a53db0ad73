"""Both sides: many histories at once through a real server with real BullMQ, one through LocalNextMQ."""

from __future__ import annotations

import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn

from nextmq_handler import NextMQ, Worker, create_nextmq_handler, ensure_workers_registered
from nextmq_handler.testing import LocalNextMQ, VirtualClock
from nextmq_server.testing.processes import free_port, start_dev_server

from .acting import Cast
from .histories import History
from .playing import Player

PATIENCE = 60.0
"""How long, in s, a phase of all histories together may take."""

BETWEEN = 0.005
"""How much later, in s, the next phase begins at least: on the real side it cannot begin in the same ms."""

_PENDING = ("waiting", "active", "prioritized", "delayed", "paused")
_THREADS = 8


def play_locally(history: History) -> dict[str, t.Any]:
    """Play a history with LocalNextMQ."""
    clock = VirtualClock()
    cast = Cast("h", None, clock.seconds)
    with LocalNextMQ(workers=_workers(history, cast), clock=clock) as mq:
        player = Player(history, cast)
        for phase in history.phases:
            player.play(phase)
            mq.run_until_idle()
            mq.advance(BETWEEN)
        return player.report()


class Played(t.NamedTuple):
    """How a history ended on a real server, and what the server answered meanwhile."""

    report: dict[str, t.Any]
    log: list[str]


def play_for_real(histories: t.Sequence[History], folder: Path) -> list[Played]:
    """Play the histories on a real server, side by side, each in its own queues."""
    server, url = start_dev_server(folder)
    try:
        casts = [Cast(f"h{number}", url) for number in range(len(histories))]
        workers = [worker for each in zip(histories, casts, strict=True) for worker in _workers(*each)]
        with Served(workers, url):
            reports = _play(histories, casts, url)
        logs = [[line for line in server.lines if f"{cast.prefix}-" in line] for cast in casts]
        return [Played(*each) for each in zip(reports, logs, strict=True)]
    finally:
        server.stop()


def _play(histories: t.Sequence[History], casts: t.Sequence[Cast], url: str) -> list[dict[str, t.Any]]:
    players = [Player(history, cast) for history, cast in zip(histories, casts, strict=True)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for number in range(max(len(history.phases) for history in histories)):
            playing = [player for player in players if number < len(player.history.phases)]
            done = pool.map(lambda player: player.play(player.history.phases[number]), playing)  # noqa: B023
            for _ in done:
                pass
            _wait_until_idle(url, casts)
        return [*pool.map(Player.report, players)]


def _wait_until_idle(url: str, casts: t.Sequence[Cast]) -> None:
    """Wait until no job is on its way, twice: one may move from queue to queue between two looks."""
    deadline = time.monotonic() + PATIENCE
    before: object = None
    while True:
        queues = NextMQ(url).queues()
        busy = {queue.name: queue.counts for queue in queues if _is_busy(queue.name, queue.counts)}
        seen = ([queue.counts for queue in queues], sum(len(cast.starts) for cast in casts))
        if not busy and seen == before:
            return
        assert time.monotonic() < deadline, f"not idle within {PATIENCE:g} s: {busy}"
        before = seen
        time.sleep(0.05)


def _is_busy(queue: str, counts: t.Mapping[str, int]) -> bool:
    is_worked_on = queue.rpartition("-")[2] in ("a", "b")
    return is_worked_on and any(counts[state] for state in _PENDING)


def _workers(history: History, cast: Cast) -> list[Worker]:
    def run(job: t.Any) -> t.Any:
        return cast.run(job)

    return [Worker(f"{cast.prefix}-{name}", run, **history.worker) for name in history.worked_on]


class Served:
    """An app that serves the workers, registered; nothing runs before its queue was paused and resumed."""

    def __init__(self, workers: t.Sequence[Worker], url: str) -> None:
        self._workers = workers
        self._url = url
        self._app_url = f"http://127.0.0.1:{(port := free_port())}"
        app = create_nextmq_handler(workers, url=url, app_url=self._app_url)
        config = uvicorn.Config(
            app, port=port, interface="asgi3", log_config=None, access_log=False, lifespan="off", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> None:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the app's server ended before it served"
            time.sleep(0.01)
        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(self._register, self._workers):
                pass

    def __exit__(self, *exc_info: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _register(self, worker: Worker) -> None:
        ensure_workers_registered([worker], url=self._url, app_url=self._app_url)
