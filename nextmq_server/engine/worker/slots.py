"""How many deliveries are in flight: over all queues of this process, and to one origin.

A place is taken before a job is fetched, so that no job waits for one in our hands. Where there is none left,
queues wait in line, one place a turn.
"""

from __future__ import annotations

import asyncio
import collections
import typing as t
import weakref

MAX_IN_FLIGHT = 1000
"""How many deliveries a process has in flight at once, unless it is told otherwise."""


class _Limit:
    """So many places, and who waits for one. Nobody does while one is free."""

    __slots__ = ("__weakref__", "free", "line")

    def __init__(self, places: int) -> None:
        self.free = places
        self.line: collections.deque[asyncio.Future[bool]] = collections.deque()

    def leave(self, places: int) -> None:
        while places and self.line:
            turn = self.line.popleft()
            if not turn.done():  # or else it gave up
                turn.set_result(True)
                places -= 1
        self.free += places


class Room:
    """The places that one queue may take: each counts against the process's limit and against its origin's."""

    def __init__(self, *limits: _Limit) -> None:
        self._limits = limits
        self._turn: asyncio.Future[bool] | None = None

    def take(self, wanted: int) -> int:
        """Take up to so many places, as many as are free at once; how many."""
        places = min(wanted, *(limit.free for limit in self._limits))
        for limit in self._limits:
            limit.free -= places
        return places

    async def take_turn(self) -> bool:
        """Wait in line for one place; whether it was taken, which it is not after `give_up`."""
        for number, limit in enumerate(self._limits):
            if not await self._pass(limit):
                for passed in self._limits[:number]:
                    passed.leave(1)
                return False
        return True

    def give_up(self) -> None:
        """Wait in line no more."""
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(False)

    def leave(self, places: int = 1) -> None:
        """Give back so many places: to the queues that wait, in their order."""
        for limit in self._limits:
            limit.leave(places)

    @property
    def is_wanted(self) -> bool:
        """Whether another queue waits for a place that is taken here."""
        lines = (limit.line for limit in self._limits)
        return any(line and (len(line) > 1 or line[0] is not self._turn) for line in lines)

    async def _pass(self, limit: _Limit) -> bool:
        if limit.free:
            limit.free -= 1
            return True
        self._turn = asyncio.get_running_loop().create_future()
        limit.line.append(self._turn)
        return await self._turn


class Rooms:
    """The limits of a process: `in_flight` deliveries at once, and `per_origin` to one scheme, host and port."""

    def __init__(self, in_flight: int = MAX_IN_FLIGHT, per_origin: int | None = None) -> None:
        self._total = _Limit(in_flight)
        self._per_origin = per_origin
        self._origins: t.MutableMapping[str, _Limit] = weakref.WeakValueDictionary()

    def room(self, origin: str | None) -> Room:
        """The room of a queue whose jobs are delivered to `origin`; None where that differs from job to job."""
        if origin is None or self._per_origin is None:
            return Room(self._total)
        limit = self._origins.get(origin)
        if limit is None:
            limit = self._origins[origin] = _Limit(self._per_origin)
        return Room(limit, self._total)  # in this order: who waits for the origin keeps nobody from another
