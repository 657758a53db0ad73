"""Take over the SDK's calls in this process, and give them back afterwards."""

from __future__ import annotations

import threading
import typing as t
from urllib.parse import parse_qs, unquote, urlsplit

from ... import _overrides
from ...errors import NextMQError
from .engine.job import Key, SimulatedJob

if t.TYPE_CHECKING:
    from .engine.clock import VirtualClock
    from .engine.simulation import Simulation

_lock = threading.Lock()


class Interception:
    """Between `start` and `stop`, `server` answers the SDK's calls, and the SDK waits in virtual time."""

    def __init__(self, server: _overrides.ServerStandIn, url: str, clock: VirtualClock) -> None:
        self._server = server
        self._url = url
        self._clock = clock
        self._monotonic = _overrides.monotonic

    def start(self) -> None:
        """Take over the calls of this process. Raises NextMQError if another test double has them."""
        with _lock:
            if _overrides.server is not None:
                raise NextMQError(
                    "a LocalNextMQ is in force already: leave it first, or hand that one to whoever needs it"
                )
            if _overrides.url is not None:
                raise NextMQError(
                    "a live_nextmq is in force already: a test has its queues in process or on a real server"
                )
            self._monotonic = _overrides.monotonic
            _overrides.monotonic, _overrides.url = self._clock.seconds, self._url
            _overrides.server = self._server

    def stop(self) -> None:
        """Give the calls back. Does nothing after the first time."""
        with _lock:
            if _overrides.server is self._server:
                _overrides.monotonic, _overrides.url = self._monotonic, None
                _overrides.server = None


def wait_of(simulation: Simulation, method: str, url: str) -> tuple[SimulatedJob, int] | None:
    """Return the job that this call waits for, and until when (ms since the epoch). None for every other call."""
    parts = urlsplit(url)
    if method != "GET" or not parts.path.endswith("/result"):
        return None
    wait = int(parse_qs(parts.query).get("wait", ["0"])[0])
    _, _, _, queue, _, job_id, _ = (unquote(part) for part in parts.path.split("/"))
    with simulation.lock:
        job = simulation.store.find(Key(queue, job_id))
    return None if job is None or not wait else (job, simulation.clock.ms + wait)
