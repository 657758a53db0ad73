"""Slots: how many deliveries are in flight, over all queues of this process and to one origin.

A queue takes a slot before it fetches a job, so no fetched job waits for one. If no slot is free, queues wait in
line: each gets one slot a turn.
"""

from __future__ import annotations

import asyncio
import collections
import typing as t
import weakref

MAX_IN_FLIGHT = 1000
"""How many deliveries a process has in flight at once, by default."""


class _SlotLimit:
    """A number of slots, and the line of those who wait for one. Nobody waits while a slot is free."""

    __slots__ = ("__weakref__", "free", "line")

    def __init__(self, slots: int) -> None:
        self.free = slots
        self.line: collections.deque[asyncio.Future[bool]] = collections.deque()

    def release(self, slots: int) -> None:
        while slots and self.line:
            turn = self.line.popleft()
            if not turn.done():  # or else it gave up
                turn.set_result(True)
                slots -= 1
        self.free += slots


class QueueSlots:
    """The slots that one queue may take: each counts against the limit of the process and that of the origin."""

    def __init__(self, *limits: _SlotLimit) -> None:
        self._limits = limits
        self._turn: asyncio.Future[bool] | None = None

    def take(self, wanted: int) -> int:
        """Take up to `wanted` slots, as many as are free now. Return how many were taken."""
        slots = min(wanted, *(limit.free for limit in self._limits))
        for limit in self._limits:
            limit.free -= slots
        return slots

    async def take_turn(self) -> bool:
        """Wait in line for one slot. Return whether it was taken: False after `give_up`."""
        for number, limit in enumerate(self._limits):
            if not await self._pass(limit):
                for passed in self._limits[:number]:
                    passed.release(1)
                return False
        return True

    def give_up(self) -> None:
        """Leave the line."""
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(False)

    def release(self, slots: int = 1) -> None:
        """Give slots back. Queues that wait get them first, in their order."""
        for limit in self._limits:
            limit.release(slots)

    @property
    def is_wanted(self) -> bool:
        """Whether another queue waits for a slot that this queue holds."""
        lines = (limit.line for limit in self._limits)
        return any(line and (len(line) > 1 or line[0] is not self._turn) for line in lines)

    async def _pass(self, limit: _SlotLimit) -> bool:
        if limit.free:
            limit.free -= 1
            return True
        self._turn = asyncio.get_running_loop().create_future()
        limit.line.append(self._turn)
        return await self._turn


class Slots:
    """The limits of a process: `in_flight` deliveries at once, and `per_origin` to one scheme, host and port."""

    def __init__(self, in_flight: int = MAX_IN_FLIGHT, per_origin: int | None = None) -> None:
        self._total = _SlotLimit(in_flight)
        self._per_origin = per_origin
        self._origins: t.MutableMapping[str, _SlotLimit] = weakref.WeakValueDictionary()

    def for_origin(self, origin: str | None) -> QueueSlots:
        """Return the slots of a queue that delivers to `origin`; None if the origin differs from job to job."""
        if origin is None or self._per_origin is None:
            return QueueSlots(self._total)
        limit = self._origins.get(origin)
        if limit is None:
            limit = self._origins[origin] = _SlotLimit(self._per_origin)
        # In this order: a queue that waits for its origin holds no slot of the process.
        return QueueSlots(limit, self._total)
