"""Holds: how long a queue rests when its endpoint is not there, and when that ends."""

from __future__ import annotations

import logging
import random
import time
import typing as t
from dataclasses import dataclass

from ..engine.verdicts import Fail, Hold

logger = logging.getLogger("nextmq_server.dispatch")

MAX_HOLD_TIME = 86_400.0
"""After so long, in s, in which no delivery ran, one that cannot burns an attempt (protocol section 3)."""

FIRST_HOLD = 1.0
FIRST_THROTTLE = 5.0
MAX_BACKOFF = 900.0


@dataclass
class _Hold:
    since: float
    until: float = 0.0
    count: int = 0


class HoldBook:
    """The holds of all queues. `max_backoff` is the longest pause between two tries, in s."""

    def __init__(
        self,
        *,
        max_backoff: float = MAX_BACKOFF,
        monotonic: t.Callable[[], float] = time.monotonic,
        rand: t.Callable[[], float] = random.random,
    ) -> None:
        self._holds: dict[str, _Hold] = {}
        self._max_backoff = max_backoff
        self._monotonic = monotonic
        self._rand = rand

    def not_run(self, queue: str, detail: str) -> Hold | Fail:
        """The delivery provably did not run: hold, or after 24 h of it burn an attempt."""
        hold = self._holds.get(queue)
        if hold is not None and self._monotonic() - hold.since >= MAX_HOLD_TIME:
            return Fail("EndpointUnavailable", f"{detail}; it has been so for a day")
        return self._rest(queue, detail, first=FIRST_HOLD)

    def throttled(self, queue: str, retry_after: float | None, detail: str) -> Hold:
        """The platform throttles: hold for its `retry_after` s, else for 5 s, doubling."""
        return self._rest(queue, detail, first=FIRST_THROTTLE, at_least=retry_after)

    def gone(self, queue: str) -> Hold:
        """The endpoint wants no more: hold until its app registers again."""
        return self._rest(queue, "the app answered 410, until it registers again", at_least=MAX_HOLD_TIME)

    def clear(self, queue: str) -> None:
        """A delivery reached the processor, or the app registered: the hold is over."""
        if self._holds.pop(queue, None) is not None:
            logger.warning("queue %s is no longer held", queue)

    def _rest(self, queue: str, detail: str, *, first: float = 0.0, at_least: float | None = None) -> Hold:
        now = self._monotonic()
        hold = self._holds.setdefault(queue, _Hold(since=now))
        # Several deliveries fail together when an app goes: that is one reason to rest, not several.
        if now >= hold.until:
            hold.count += 1
            hold.until = now + (self._backoff(first, hold.count) if at_least is None else at_least)
        elif at_least is not None:
            hold.until = max(hold.until, now + at_least)
        if hold.count == 1:
            logger.error("queue %s is held, its jobs wait and burn no attempts: %s", queue, detail)
        return Hold(hold.until - now, detail)

    def _backoff(self, first: float, count: int) -> float:
        seconds = min(self._max_backoff, first * 2.0 ** min(count - 1, 30))
        return seconds * (0.75 + 0.25 * self._rand())
