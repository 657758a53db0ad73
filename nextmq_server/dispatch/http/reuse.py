"""How long an idle connection to an origin may be used again, before the app closes it.

If an app closes a connection while a request is on its way, often nobody can tell whether the request was read. So
a connection is used again only within half of the time for which the app is known to keep idle ones: the longest
that one was seen to stay open, or less if the app closed one sooner or says so (`keep-alive: timeout=`).
"""

from __future__ import annotations

import math
import re

OBSERVED = 2.0
"""How long, in s, idle connections are kept to see whether the app closes them."""

PROBATION = 0.02
"""An app must have kept an idle connection open for so long, in s, before one is used again."""

AT_ONCE = 0.005
"""For how long, in s, a connection may be idle at first, after the probation: a busy app's are not for longer."""

PROVEN = 0.1
"""After this long, in s, a connection may be idle for half of what the app was seen to keep one."""

EARLY = 0.25
"""An app that closes connections that were idle for less than this, in s, gets a new one for each request."""

MEMORY = 60.0
"""After this long, in s, what an app closed is forgotten: it may have been restarted only."""

_PARAMETER = re.compile(rb"(timeout|max)\s*=\s*\"?(\d{1,9})")


class IdleTime:
    """What is known of one origin. Times are s, `now` is on the event loop's clock."""

    __slots__ = ("_closed_at", "_limit", "_seen_open", "limit")

    def __init__(self) -> None:
        self._seen_open = 0.0
        self._limit = math.inf
        self._closed_at = 0.0
        self.limit = 0.0
        """How long a connection may have been idle to be used again; 0 if none may."""

    @property
    def is_worth_observing(self) -> bool:
        """Whether the app may turn out to keep idle connections open."""
        return self._limit >= EARLY

    @property
    def decided_after(self) -> float:
        """How long, in s, a connection has to be idle until it tells more; 0 if no hurry is needed."""
        if self._seen_open < PROBATION:
            return PROBATION
        return PROVEN if self._seen_open < PROVEN else 0.0

    def stayed_open(self, idle: float) -> None:
        """Take note that a connection is still open after being `idle`."""
        if idle > self._seen_open:
            self._seen_open = idle
            self._settle()

    def was_closed(self, idle: float, now: float) -> None:
        """Take note that the app closed a connection that had been `idle`."""
        self._closed_at = now
        self._restrict(idle)

    def was_told(self, header: bytes) -> None:
        """Take note of an answer's `keep-alive` header."""
        told = {name: int(value) for name, value in _PARAMETER.findall(header.lower())}
        if told.get(b"max") == 0:
            self._restrict(0.0)
        if b"timeout" in told:
            self._restrict(float(told[b"timeout"]))

    def is_outdated(self, now: float) -> bool:
        """Return whether the app closed a connection so long ago that it is time to observe it anew."""
        return 0 < self._closed_at < now - MEMORY

    def _restrict(self, idle: float) -> None:
        if idle < self._limit:
            self._limit = idle
            self._settle()

    def _settle(self) -> None:
        if self._limit < EARLY or self._seen_open < PROBATION:
            self.limit = 0.0
        elif self._seen_open < PROVEN:
            self.limit = AT_ONCE
        else:
            self.limit = min(self._seen_open / 2, self._limit / 2)
