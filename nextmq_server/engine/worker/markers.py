"""Wake-ups: BullMQ's markers of many cold queues, watched by few blocking connections.

A marker is popped by whoever waits for it, so a queue is watched only if it is cold (its last fetch found nothing)
and has a slot: popping another's marker would steal a wake-up from a worker that could use it.
"""

from __future__ import annotations

import asyncio
import time
import typing as t

from ...redis.address import Address
from ...redis.wakeable import BLOCK_TIME, WakeableReader
from ..scripts.scripts import ScriptRunner
from .runner import QueueRunner

QUEUES_PER_WATCHER = 128

_GATHER_TIME = 0.001  # lets more queues turn cold, and more markers come, before the wait is armed again

# KEYS: the markers. No ARGV. Returns each marker that was there, followed by its score.
_POP = """
local popped = {}
for _, marker in ipairs(KEYS) do
  local score = redis.call('ZPOPMIN', marker)[2]
  if score then
    popped[#popped + 1] = marker
    popped[#popped + 1] = score
  end
end
return popped
"""


class Watcher:
    """One blocking connection that watches the markers of up to 128 queues while its `reader` runs."""

    def __init__(self, address: Address, scripts: ScriptRunner, *, name: str) -> None:
        self.queues: dict[str, QueueRunner] = {}
        wake_key = scripts.keys("wake", name)
        self.reader = WakeableReader(
            address, scripts.connection, self._wait, name=name, wake_key=wake_key, what="watch for jobs"
        )
        self._scripts = ScriptRunner(self.reader.connection, scripts.keys)

    def on_cold(self, queue: QueueRunner) -> None:
        """Watch a queue that turned cold: restart the wait of the moment if it does not cover the marker."""
        armed = self.reader.armed
        if armed is not None and queue.marker not in armed:
            self.reader.wake(("ZADD", self.reader.wake_key, 0, "0"))

    async def _wait(self) -> None:
        """Wait for a marker, then wake the queues of all the markers there are by then."""
        cold = self._cold()
        self.reader.arm(cold.keys())
        popped: list[t.Any] | None = await self.reader.connection.execute(
            "BZPOPMIN", self.reader.wake_key, *cold, BLOCK_TIME
        )
        self.reader.armed = None
        if not popped:
            return
        if popped[0] in cold:
            _wake(cold[popped[0]], float(popped[2]))
        await asyncio.sleep(_GATHER_TIME)
        await self._wake_all()

    async def _wake_all(self) -> None:
        cold = self._cold()
        if not cold or not await self.reader.connection.execute("EXISTS", *cold):
            return
        popped: list[str] = await self._scripts.run_composed(_POP, list(cold), ())
        for marker, score in zip(popped[::2], popped[1::2], strict=True):
            _wake(cold[marker], float(score))

    def _cold(self) -> dict[str, QueueRunner]:
        return {queue.marker: queue for queue in self.queues.values() if queue.is_cold and queue.has_slot}


def _wake(queue: QueueRunner, due: float) -> None:
    """Poke a queue at `due`, a marker's score: the time of the next delayed job in ms, or 0 for now."""
    if due > time.time() * 1000:
        queue.poke_at(due)
    else:
        queue.poke()
