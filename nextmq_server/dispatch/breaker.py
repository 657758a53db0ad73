"""The circuit breaker: decide whether an endpoint fails so often that its jobs should wait."""

from __future__ import annotations

WINDOW = 60
"""How far back, in s, deliveries count."""

IN_A_ROW = 5
"""This many failures in a row open the circuit."""

MIN_DELIVERIES = 10
"""With at least this many deliveries in the window, the circuit opens when half of them failed."""


class Breaker:
    """Count the deliveries of one endpoint per second, so that a busy one costs no more. `now` is s."""

    def __init__(self) -> None:
        self._latest = 0
        self.reset()

    def succeeded(self, now: float) -> None:
        """Count a delivery that was answered properly."""
        self._in_a_row = 0
        self._deliveries[self._second(now)] += 1

    def failed(self, now: float) -> bool:
        """Count a failed delivery; return whether the circuit opens."""
        self._in_a_row += 1
        second = self._second(now)
        self._deliveries[second] += 1
        self._failures[second] += 1
        deliveries = sum(self._deliveries)
        return self._in_a_row >= IN_A_ROW or (
            deliveries >= MIN_DELIVERIES and 2 * sum(self._failures) >= deliveries
        )

    def reset(self) -> None:
        """Forget everything counted so far."""
        self._deliveries = [0] * WINDOW
        self._failures = [0] * WINDOW
        self._in_a_row = 0

    def _second(self, now: float) -> int:
        """Return the index of the current second, after clearing those that have left the window."""
        at = int(now)
        for second in range(max(self._latest + 1, at - WINDOW + 1), at + 1):
            self._deliveries[second % WINDOW] = self._failures[second % WINDOW] = 0
        self._latest = max(self._latest, at)
        return at % WINDOW
