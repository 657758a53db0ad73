"""Refused callers: each is told in the log, not each time; one that is refused all the time waits."""

from __future__ import annotations

import logging

from . import bounds

logger = logging.getLogger("nextmq_server.front")

_MINUTE = 60.0


class Refusals:
    """What was refused lately. Times are in s on the event loop's clock."""

    def __init__(self) -> None:
        self._attempts: dict[str, list[float]] = {}  # a caller: the begin of its minute, requests since
        self._told: dict[tuple[str, str], list[float]] = {}  # caller and offence: when told, times since
        self._lines: list[float] = [0.0, 0.0]  # the begin of the minute, lines since
        self._untold = 0

    def delay(self, caller: str, now: float) -> float:
        """Return how long, in s, one more refusal of `caller` waits."""
        begin, count = self._attempts.pop(caller, (now, 0.0))
        if now - begin > _MINUTE:
            begin, count = now, 0.0
        if len(self._attempts) >= bounds.MAX_ADDRESSES:
            del self._attempts[next(iter(self._attempts))]
        self._attempts[caller] = [begin, count + 1]
        return bounds.REFUSAL_DELAY if count >= bounds.FREE_REFUSALS else 0.0

    def log(self, caller: str, offence: str, now: float) -> None:
        """Log what a caller did: at once for the first time, then once a minute with how often."""
        told = self._told.get((caller, offence))
        if told is not None:
            told[1] += 1
        elif len(self._told) < bounds.MAX_ADDRESSES and self._may_write(now):
            self._told[caller, offence] = [now, 0]
            logger.warning("a caller at %s %s", caller or "a socket", offence)
        else:
            self._untold += 1

    def sweep(self, now: float) -> None:
        """Log what happened again in the last minute, and forget what did not."""
        for (caller, offence), (since, times) in tuple(self._told.items()):
            if now - since <= _MINUTE:
                continue
            if not times:
                del self._told[caller, offence]
            elif self._may_write(now):
                self._told[caller, offence] = [now, 0]
                logger.warning("a caller at %s %s: %d times more", caller or "a socket", offence, times)
        if self._untold and self._may_write(now):
            logger.warning(
                "%d more requests or connections were refused, of too many callers to list", self._untold
            )
            self._untold = 0

    def _may_write(self, now: float) -> bool:
        """Count a line of the log, unless there were MAX_LINES in the last minute."""
        if now - self._lines[0] > _MINUTE:
            self._lines = [now, 0]
        self._lines[1] += 1
        return self._lines[1] <= bounds.MAX_LINES
