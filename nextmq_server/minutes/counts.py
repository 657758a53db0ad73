"""What is counted of a queue: how jobs ended, what the app answered, how long jobs waited and ran."""

from __future__ import annotations

import bisect
import typing as t
from collections import defaultdict

BOUNDS = (
    20, 30, 45, 65, 100, 150, 225, 335, 500, 750, 1100, 1700, 2500, 3800, 5750, 8500, 13_000, 20_000, 30_000,
    45_000, 65_000, 100_000, 150_000, 225_000, 335_000,
)  # fmt: skip
"""The upper bounds of the buckets of durations, in ms; the last of the 26 buckets has none."""

BUCKETS = len(BOUNDS) + 1
COMPLETED, FAILED, RETRIED = 0, 1, 2
CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
"""The classes of a status; `none` is without an HTTP answer."""

_FIRST_CLASS = 3
_FIRST_WAIT = _FIRST_CLASS + len(CLASSES)
_FIRST_RUN = _FIRST_WAIT + BUCKETS
_OLDEST = "o"  # the oldest waiting job: of several values the largest counts

PERCENTILES = (50, 95, 99)


class Counts:
    """Counters by their position, as they are written to Redis: `3=1 17=4`. A counter of 0 is not there.

    `oldest` is how long, in ms, the oldest waiting job had waited at most.
    """

    __slots__ = ("numbers", "oldest")

    def __init__(self) -> None:
        self.numbers: defaultdict[int, int] = defaultdict(int)
        self.oldest: int | None = None

    def add_status(self, status: int | None) -> None:
        """Count a delivery by the class of its status."""
        digit = 0 if status is None else status // 100
        self.numbers[_FIRST_CLASS + (digit if digit < len(CLASSES) else 0)] += 1

    def add_wait(self, ms: float) -> None:
        """Count how long a job waited after it was due."""
        self.numbers[_FIRST_WAIT + bisect.bisect_left(BOUNDS, ms)] += 1

    def add_run(self, ms: float) -> None:
        """Count how long a delivery took."""
        self.numbers[_FIRST_RUN + bisect.bisect_left(BOUNDS, ms)] += 1

    def take(self, text: str) -> None:
        """Add what a text from Redis holds. What another version counts besides is left out."""
        for part in text.split():
            name, _, number = part.partition("=")
            if not number.isdecimal():
                continue
            if name == _OLDEST:
                self.oldest = max(self.oldest or 0, int(number))
            elif name.isdecimal():
                self.numbers[int(name)] += int(number)

    def text(self) -> str:
        """Return the counters as Redis holds them."""
        parts = [f"{position}={number}" for position, number in self.numbers.items()]
        if self.oldest is not None:
            parts.append(f"{_OLDEST}={self.oldest}")
        return " ".join(parts)

    def view(self) -> dict[str, t.Any]:
        """Return the counters for the API. Durations are ms."""
        numbers = self.numbers
        return {
            "completed": numbers.get(COMPLETED, 0),
            "failed": numbers.get(FAILED, 0),
            "retried": numbers.get(RETRIED, 0),
            "deliveries": {name: numbers.get(_FIRST_CLASS + place, 0) for place, name in enumerate(CLASSES)},
            "wait": self._percentiles(_FIRST_WAIT),
            "run": self._percentiles(_FIRST_RUN),
            "oldestWaiting": self.oldest,
        }

    def _percentiles(self, first: int) -> dict[str, int] | None:
        buckets = [self.numbers.get(first + place, 0) for place in range(BUCKETS)]
        if not any(buckets):
            return None
        return {f"p{wanted}": percentile(buckets, wanted / 100) for wanted in PERCENTILES}


def percentile(buckets: t.Sequence[int], share: float) -> int:
    """Return about the duration, in ms, below which `share` of the values in the buckets are.

    Interpolated in its bucket, so it may be wrong by a quarter. Above the last bound it is that bound.
    """
    wanted, below = share * sum(buckets), 0
    for place, number in enumerate(buckets):
        if number and below + number >= wanted:
            low = BOUNDS[place - 1] if place else 0
            high = BOUNDS[min(place, len(BOUNDS) - 1)]
            return round(low + (high - low) * (wanted - below) / number)
        below += number
    return BOUNDS[-1]
