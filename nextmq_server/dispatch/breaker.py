"""The circuit breaker's count: whether an endpoint fails so often that its jobs had better wait."""

from __future__ import annotations

WINDOW = 60
"""How far back, in s, deliveries count."""

IN_A_ROW = 5
"""So many failures in a row open the circuit."""

MIN_DELIVERIES = 10
"""From so many deliveries in the window on, it opens when half of them failed."""


class Breaker:
    """Counts the deliveries of one endpoint by the second: what a busy one costs is bounded. `now` is s."""

    def __init__(self) -> None:
        self._deliveries = [0] * WINDOW
        self._failures = [0] * WINDOW
        self._latest = 0
        self._in_a_row = 0

    def succeeded(self, now: float) -> None:
        """A delivery was answered as it should be."""
        self._in_a_row = 0
        self._deliveries[self._second(now)] += 1

    def failed(self, now: float) -> bool:
        """A delivery failed; whether the circuit opens."""
        self._in_a_row += 1
        second = self._second(now)
        self._deliveries[second] += 1
        self._failures[second] += 1
        deliveries = sum(self._deliveries)
        return self._in_a_row >= IN_A_ROW or (
            deliveries >= MIN_DELIVERIES and 2 * sum(self._failures) >= deliveries
        )

    def reset(self) -> None:
        """Count from nothing again."""
        self._deliveries = [0] * WINDOW
        self._failures = [0] * WINDOW
        self._in_a_row = 0

    def _second(self, now: float) -> int:
        """Where the current second is counted, once those that have left the window count no more."""
        at = int(now)
        for second in range(max(self._latest + 1, at - WINDOW + 1), at + 1):
            self._deliveries[second % WINDOW] = self._failures[second % WINDOW] = 0
        self._latest = max(self._latest, at)
        return at % WINDOW
