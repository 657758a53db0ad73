"""How many jobs of a queue may start in which time: BullMQ's limiter."""

from __future__ import annotations

import typing as t

UNLIMITED = 2**53 - 1


class Rate(t.NamedTuple):
    """At most `max` starts in each `duration` ms."""

    max: int
    duration: int


NO_RATE = Rate(UNLIMITED, 1000)


class StartCounter:
    """Counts the starts of a window that begins with the first of them."""

    __slots__ = ("_count", "_until")

    def __init__(self) -> None:
        self._count = 0
        self._until = 0

    def note(self, duration: int, now: int) -> None:
        """A job starts at `now`; a window that begins with it lasts `duration` ms."""
        if self._until <= now:
            self._count, self._until = 0, now + duration
        self._count += 1

    def rest(self, duration: int, now: int) -> None:
        """Let nothing start for `duration` ms."""
        self._count, self._until = UNLIMITED, now + duration

    def rest_left(self, limit: int, now: int) -> int:
        """For how many ms nothing starts, where up to `limit` may in a window."""
        return max(0, self._until - now) if self._count >= limit else 0

    def forget(self, now: int) -> bool:
        """Count anew; whether there was anything to forget."""
        was_counting = self._until > now
        self._count = self._until = 0
        return was_counting
