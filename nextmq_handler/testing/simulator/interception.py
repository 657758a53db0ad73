"""Take over the SDK's calls in this process, and give them back afterwards."""

from __future__ import annotations

import threading
import typing as t

from ... import _overrides
from ...errors import NextMQError
from .api.routes import ROUTER

if t.TYPE_CHECKING:
    from .engine.simulation import Simulation

_lock = threading.Lock()


class Interception:
    """Answers the SDK's calls between `start` and `stop`, in virtual time. It implements `ServerStandIn`."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._real_clocks = (_overrides.monotonic, _overrides.wall_clock)

    def start(self) -> None:
        """Take over the calls of this process. Raises NextMQError if another test double has them."""
        with _lock:
            if _overrides.server is not None:
                raise NextMQError("another LocalNextMQ is active already: leave it first, or use that one")
            if _overrides.url is not None:
                raise NextMQError(
                    "a live_nextmq is active already: use either queues in process or a real server in a test"
                )
            self._real_clocks = (_overrides.monotonic, _overrides.wall_clock)
            _overrides.monotonic = _overrides.wall_clock = self._simulation.clock.seconds
            _overrides.server, _overrides.url = self, self._simulation.app.url

    def stop(self) -> None:
        """Give the calls back. Does nothing after the first time."""
        with _lock:
            if _overrides.server is self:
                _overrides.monotonic, _overrides.wall_clock = self._real_clocks
                _overrides.server = _overrides.url = None

    def answer(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        """Answer a call with a status and content. Raises NotSimulatedError."""
        return self._simulation.drive(ROUTER.answer(self._simulation, method, url, headers, body))

    async def async_answer(
        self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        """Answer an awaited call as `answer` does."""
        return await self._simulation.drive_awaited(ROUTER.answer(self._simulation, method, url, headers, body))
