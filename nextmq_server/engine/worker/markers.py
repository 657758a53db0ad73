"""Wake-ups: BullMQ's markers of many cold queues, watched by few blocking connections.

A marker is popped by whoever waits for it, so only a queue that is cold (its last fetch found nothing) and has
room is watched: popping another's marker would steal a wake-up from a worker that could use it.
"""

from __future__ import annotations

import asyncio
import logging
import time
import typing as t

from ...redis.address import Address
from ...redis.connection import Connection, ConnectionLost
from ..scripts.scripts import ScriptRunner
from .runner import QueueRunner

logger = logging.getLogger("nextmq_server.engine")

QUEUES_PER_WATCHER = 128
BLOCK_TIME = 5
"""How long, in s, one wait for markers lasts at most."""

_GATHER_TIME = 0.001  # lets more queues turn cold, and more markers come, before the wait is armed again

# KEYS: markers. Each one that was there, followed by its score.
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
    """One blocking connection that watches the markers of up to 128 queues."""

    def __init__(self, address: Address, commands: Connection, *, name: str) -> None:
        self.queues: dict[str, QueueRunner] = {}
        self._commands = commands
        self._connection = Connection(address, name=name)
        self._scripts = ScriptRunner(self._connection)
        self._wake_key = f"nextmq:wake:{name}"
        self._armed: frozenset[str] | None = None
        self._woken = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect and watch. Raises ConfigurationError."""
        await self._connection.connect()
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._connection.close()

    def on_cold(self, queue: QueueRunner) -> None:
        """A queue turned cold: if the wait that runs now does not cover its marker, start that wait anew."""
        if self._armed is not None and queue.marker not in self._armed and not self._woken:
            self._woken = True
            self._commands.execute("ZADD", self._wake_key, 0, "0").add_done_callback(_ignore_loss)

    async def _watch(self) -> None:
        while True:
            try:
                await self._wait_once()
            except ConnectionLost:
                await self._connection.ready()
            except Exception:
                logger.exception("cannot watch for jobs, trying again; meanwhile the sweep finds them")
                await asyncio.sleep(1)
            finally:
                self._armed = None

    async def _wait_once(self) -> None:
        """Wait for a marker, then wake the queues of all that are there by then."""
        cold = self._cold()
        markers = list(cold)
        self._armed, self._woken = frozenset(markers), False
        popped: list[t.Any] | None = await self._connection.execute(
            "BZPOPMIN", self._wake_key, *markers, BLOCK_TIME
        )
        self._armed = None
        if not popped:
            return
        if popped[0] in cold:
            _wake(cold[popped[0]], float(popped[2]))
        await asyncio.sleep(_GATHER_TIME)
        await self._wake_all()

    async def _wake_all(self) -> None:
        cold = self._cold()
        if not cold or not await self._connection.execute("EXISTS", *cold):
            return
        popped: list[str] = await self._scripts.run_composed("nextmqPopMarkers", _POP, list(cold), ())
        for marker, score in zip(popped[::2], popped[1::2], strict=True):
            _wake(cold[marker], float(score))

    def _cold(self) -> dict[str, QueueRunner]:
        return {queue.marker: queue for queue in self.queues.values() if queue.is_cold and queue.has_room}


def _wake(queue: QueueRunner, due: float) -> None:
    """`due` is a marker's score: the time of the next delayed job in ms, or 0 for now."""
    if due > time.time() * 1000:
        queue.poke_at(due)
    else:
        queue.poke()


def _ignore_loss(answer: asyncio.Future[t.Any]) -> None:
    if not answer.cancelled():
        answer.exception()  # the sweep covers a wake-up that was lost
