"""The ratio of two contenders that were measured by turns, and how sure it is."""

from __future__ import annotations

import math
import statistics
import typing as t

CONFIDENCE = 0.95


class Ratio(t.NamedTuple):
    """The median of the ratios within each pair, and the interval in which the true one is with CONFIDENCE."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}]"


def ratio(pairs: t.Iterable[tuple[float, float]]) -> Ratio:
    """Return the ratio of the first of each pair to the second, as the order of the ratios gives it."""
    ratios = sorted(one / other for one, other in pairs)
    rank = _rank(len(ratios))
    return Ratio(statistics.median(ratios), ratios[rank], ratios[-1 - rank])


def _rank(count: int) -> int:
    """Return how many of so many values are left out at each end of the interval; 0 if there are too few."""
    outside = 0.0
    for rank in range(count):
        outside += 2 * math.comb(count, rank) / 2**count
        if outside > 1 - CONFIDENCE:
            return max(0, rank - 1)
    return 0
