"""Time: the wall clock in the unit of BullMQ, and a timer that can be set again."""

from __future__ import annotations

import asyncio
import time
import typing as t


def now_ms() -> int:
    """Return the time in ms since the epoch."""
    return round(time.time() * 1000)


class Timer:
    """Calls `callback` once, at the earliest of the times that were set. Create it in a running event loop."""

    __slots__ = ("_callback", "_due", "_handle", "_loop")

    def __init__(self, callback: t.Callable[[], None]) -> None:
        self._callback = callback
        self._loop = asyncio.get_running_loop()  # asked for once: each time it is a system call
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0

    def set(self, when: float) -> None:
        """Fire at `when`, in s on the event loop's clock. Changes nothing if the timer fires earlier anyway."""
        if self._handle is not None:
            if self._due <= when:
                return
            self._handle.cancel()
        # Kept here: uvloop's handle has no `when()` shortly before it fires.
        self._handle, self._due = self._loop.call_at(when, self._fire), when

    def set_in(self, seconds: float) -> None:
        """Fire in `seconds`. Changes nothing if the timer fires earlier anyway."""
        self.set(self._loop.time() + max(0.0, seconds))

    def cancel(self) -> None:
        """Do not fire. `set` starts the timer again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._callback()
