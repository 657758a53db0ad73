"""Slots: how many deliveries are in flight, over all projects and queues of this process and to one origin.

A queue takes a slot before it fetches a job, so no fetched job waits for one. If no slot is free, queues wait in
line. A free slot goes to the waiting project that has the fewest in flight, then to the one that waits longest;
within a project each queue gets one slot a turn.

Deliveries may last for minutes, so a project that took all slots would stop the others until one ends. The last
free slots are a reserve, which only projects with few in flight may take.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import typing as t
import weakref

MAX_IN_FLIGHT = 1000
"""How many deliveries a process has in flight at once, by default."""

RESERVED_PART = 8
"""One slot in so many is in the reserve, and at least one."""

FEW_PART = 64
"""A project with fewer in flight than one slot in so many, or with none, may take from the reserve."""


Shortage = t.Literal["process", "project", "origin"]
"""What has no slot for a queue: the whole process, the share of its project, or the origin of its app."""


class _Turn:
    """A queue's place in line. `number` tells who came first."""

    __slots__ = ("number", "taken")

    def __init__(self, number: int) -> None:
        self.number = number
        self.taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()


class _Share:
    """What one project has of a limit: how many slots it holds, and the line of its queues."""

    __slots__ = ("__weakref__", "in_flight", "line")

    def __init__(self) -> None:
        self.in_flight = 0
        self.line: collections.deque[_Turn] = collections.deque()

    def first(self) -> _Turn | None:
        """Return who is first in line, without those that gave up."""
        while self.line and self.line[0].taken.done():
            self.line.popleft()
        return self.line[0] if self.line else None


class _SlotLimit:
    """A number of slots, which projects share. No project waits while it may take a slot."""

    __slots__ = ("__weakref__", "_few", "_free", "_kept", "_numbers", "_projects", "_reserve", "_waiting", "size")

    def __init__(self, slots: int) -> None:
        self.size = slots
        self._free = slots
        self._reserve = max(1, slots // RESERVED_PART)
        self._few = max(1, slots // FEW_PART)
        self._kept = 0  # of the reserve: a project alone may take all, because nobody else could use it
        self._projects = 0
        self._waiting: set[_Share] = set()
        self._numbers = itertools.count()

    def join(self) -> _Share:
        """Return the share of one more project."""
        share = _Share()
        weakref.finalize(share, self._count, -1)
        self._count(1)
        return share

    def open_to(self, share: _Share) -> int:
        """Return how many slots the project may take now."""
        free = self._free
        unreserved, few = free - self._kept, self._few - share.in_flight
        most = few if few > unreserved else unreserved
        return 0 if most < 0 else free if most > free else most

    def take(self, share: _Share, slots: int) -> None:
        self._free -= slots
        share.in_flight += slots

    async def take_turn(self, share: _Share, wait: t.Callable[[_Turn], None]) -> bool:
        """Take a slot, in line if all are taken. `wait` is told the turn. Return False if that was given up."""
        if self.open_to(share):
            self.take(share, 1)
            return True
        turn = _Turn(next(self._numbers))
        share.line.append(turn)
        self._waiting.add(share)
        wait(turn)
        return await turn.taken

    def release(self, share: _Share, slots: int) -> None:
        self._free += slots
        share.in_flight -= slots
        while self._waiting and self._free and (next_one := self._next()) is not None:
            self.take(next_one, 1)
            next_one.line.popleft().taken.set_result(True)

    @property
    def in_flight(self) -> int:
        """How many slots are taken, over all projects."""
        return self.size - self._free

    @property
    def has_line(self) -> bool:
        """Whether somebody waits for a slot, or did so lately."""
        return bool(self._waiting)

    def is_wanted(self, share: _Share, own: _Turn | None) -> bool:
        """Whether a slot of the project, once free, would go to another queue than that of the turn `own`."""
        if any(turn is not own and not turn.taken.done() for turn in share.line):
            return True
        return any(other is not share and other.in_flight < share.in_flight for other in self._in_line())

    def _count(self, change: int) -> None:
        self._projects += change
        self._kept = self._reserve if self._projects > 1 else 0

    def _next(self) -> _Share | None:
        """Return the project that gets a free slot."""
        able = [share for share in self._in_line() if self.open_to(share)]
        return min(able, key=_precedence, default=None)

    def _in_line(self) -> list[_Share]:
        """Return the projects that wait."""
        waiting = [share for share in self._waiting if share.first() is not None]
        if len(waiting) < len(self._waiting):
            self._waiting = set(waiting)
        return waiting


def _precedence(share: _Share) -> tuple[int, int]:
    return share.in_flight, share.line[0].number


class QueueSlots:
    """The slots that one queue may take: each counts against the limit of the origin and that of the process."""

    def __init__(self, *limits: tuple[_SlotLimit, _Share]) -> None:
        self._limits = limits
        self._turn: _Turn | None = None

    def take(self, wanted: int) -> int:
        """Take up to `wanted` slots, as many as are open to the queue now. Return how many were taken."""
        slots = wanted
        for limit, share in self._limits:
            slots = min(slots, limit.open_to(share))
        if slots:
            for limit, share in self._limits:
                limit.take(share, slots)
        return slots

    async def take_turn(self) -> bool:
        """Wait in line for one slot. Return whether it was taken: False after `give_up`."""
        for number, (limit, share) in enumerate(self._limits):
            if not await limit.take_turn(share, self._wait):
                for passed, passed_share in self._limits[:number]:
                    passed.release(passed_share, 1)
                return False
        return True

    def give_up(self) -> None:
        """Leave the line."""
        if self._turn is not None and not self._turn.taken.done():
            self._turn.taken.set_result(False)

    def release(self, slots: int = 1) -> None:
        """Give slots back. Queues that wait get them first."""
        if slots:
            for limit, share in self._limits:
                limit.release(share, slots)

    @property
    def is_wanted(self) -> bool:
        """Whether another queue should get a slot that this queue holds."""
        for limit, share in self._limits:  # noqa: SIM110 - each job comes by, and a generator costs most of this
            if limit.has_line and limit.is_wanted(share, self._turn):
                return True
        return False

    @property
    def shortage(self) -> Shortage | None:
        """What is full while the queue waits in line for a slot."""
        if self._turn is None or self._turn.taken.done():
            return None
        *origins, (total, share) = self._limits
        if any(not limit.open_to(own) for limit, own in origins):
            return "origin"
        if total.open_to(share):
            return None
        return "process" if total.in_flight >= total.size else "project"

    def _wait(self, turn: _Turn) -> None:
        self._turn = turn


class ProjectSlots:
    """The slots of one project: what its queues take counts together."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._share = slots.total.join()
        self._origins: t.MutableMapping[str, _Share] = weakref.WeakValueDictionary()

    def for_origin(self, origin: str | None) -> QueueSlots:
        """Return the slots of a queue that delivers to `origin`; None if the origin differs from job to job."""
        total = (self._slots.total, self._share)
        limit = None if origin is None else self._slots.origin(origin)
        if origin is None or limit is None:
            return QueueSlots(total)
        share = self._origins.get(origin)
        if share is None:
            share = self._origins[origin] = limit.join()
        # In this order: a queue that waits for its origin holds no slot of the process.
        return QueueSlots((limit, share), total)


class Slots:
    """The limits of a process: `in_flight` deliveries at once, and `per_origin` to one scheme, host and port."""

    def __init__(self, in_flight: int = MAX_IN_FLIGHT, per_origin: int | None = None) -> None:
        self.total = _SlotLimit(in_flight)
        self._per_origin = per_origin
        self._origins: t.MutableMapping[str, _SlotLimit] = weakref.WeakValueDictionary()

    def for_project(self) -> ProjectSlots:
        """Return the slots of one more project."""
        return ProjectSlots(self)

    def origin(self, origin: str) -> _SlotLimit | None:
        """Return the limit of an origin, if origins are limited."""
        if self._per_origin is None:
            return None
        limit = self._origins.get(origin)
        if limit is None:
            limit = self._origins[origin] = _SlotLimit(self._per_origin)
        return limit
