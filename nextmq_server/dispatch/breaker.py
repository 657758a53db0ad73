"""The circuit breaker's count: whether an endpoint fails so often that its jobs had better wait."""

from __future__ import annotations

import collections

WINDOW = 60
"""How far back, in s, deliveries count."""

IN_A_ROW = 5
"""So many failures in a row open the circuit."""

MIN_DELIVERIES = 10
"""From so many deliveries in the window on, it opens when half of them failed."""


class _Second:
    def __init__(self, at: int) -> None:
        self.at = at
        self.deliveries = 0
        self.failures = 0


class Breaker:
    """Counts the deliveries of one endpoint by the second: what a busy one costs is bounded. `now` is s."""

    def __init__(self) -> None:
        self._seconds: collections.deque[_Second] = collections.deque()
        self._in_a_row = 0

    def succeeded(self, now: float) -> None:
        """A delivery was answered as it should be."""
        self._in_a_row = 0
        self._second(now).deliveries += 1

    def failed(self, now: float) -> bool:
        """A delivery failed; whether the circuit opens."""
        self._in_a_row += 1
        second = self._second(now)
        second.deliveries += 1
        second.failures += 1
        deliveries = sum(second.deliveries for second in self._seconds)
        failures = sum(second.failures for second in self._seconds)
        return self._in_a_row >= IN_A_ROW or (deliveries >= MIN_DELIVERIES and 2 * failures >= deliveries)

    def reset(self) -> None:
        """Count from nothing again."""
        self._seconds.clear()
        self._in_a_row = 0

    def _second(self, now: float) -> _Second:
        at = int(now)
        while self._seconds and self._seconds[0].at <= at - WINDOW:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1].at != at:
            self._seconds.append(_Second(at))
        return self._seconds[-1]
