"""Virtual time: it stands still until the test moves it."""

from __future__ import annotations

import time
import typing as t
from datetime import UTC, datetime, timedelta

from ....errors import ConfigurationError
from ....protocol.arguments import duration_ms, timestamp_ms

_MAX_MS = 100 * 365 * 86_400_000


class VirtualClock:
    """A clock that moves only when it is told to. It starts at `start` (an aware datetime), or at the real time.

    Raises ConfigurationError for a datetime without a time zone.
    """

    __slots__ = ("ms",)

    def __init__(self, start: datetime | None = None) -> None:
        self.ms: int = round(time.time() * 1000) if start is None else timestamp_ms("VirtualClock", start)
        """The time, in ms since the epoch."""

    @property
    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self.ms / 1000, UTC)

    def seconds(self) -> float:
        """Return the time, in s since the epoch, as `time.time` does."""
        return self.ms / 1000

    def __repr__(self) -> str:
        return f"<VirtualClock {self.now.isoformat()}>"


def span_ms(value: float | timedelta) -> int:
    """Return a span (s or a timedelta) in ms. Raises ConfigurationError if it is negative or of another type."""
    if isinstance(value, bool) or not isinstance(t.cast("object", value), (int, float, timedelta)):
        raise ConfigurationError(f"advance takes s or a timedelta, not {type(value).__name__}")
    span = value if isinstance(value, timedelta) else timedelta(seconds=value)
    return duration_ms("advance", span, low=0, high=_MAX_MS)
