"""When a call is tried again, and how long to wait before that."""

from __future__ import annotations

import math
import typing as t
from datetime import UTC, datetime

from ... import _overrides

MAX_PAUSE = 5.0
"""The longest pause of our own, in s, between two attempts; the server may ask for a longer one."""

_FIRST_PAUSE = 0.2

RETRIED_STATUSES = frozenset((429, 502, 503, 504))


def failures() -> tuple[type[Exception], ...]:
    """What ends an attempt: what httpx raises, and what it lets through from below."""
    import httpx

    return httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, UnicodeError


def may_have_been_sent(exc: Exception) -> bool:
    """Whether something of the request may have left before the attempt ended."""
    import httpx

    return not isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def is_transient(exc: Exception) -> bool:
    """Whether another attempt may end otherwise."""
    import httpx

    is_hopeless = isinstance(exc, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
    return isinstance(exc, httpx.TransportError) and not is_hopeless


def pause_of(attempts: int, retry_after: float | None) -> float:
    """How long, in s, to wait after so many attempts: exponential, full jitter, or longer if the server says."""
    pause = _overrides.uniform(0, min(MAX_PAUSE, _FIRST_PAUSE * 2 ** min(attempts - 1, 10)))
    return max(pause, retry_after or 0.0)


def parse_retry_after(value: str | None) -> float | None:
    """The s that a `retry-after` header asks for, as a number or as a date; None for what is neither."""
    if value is None:
        return None
    if value.isascii() and value.isdecimal():
        return float(value)
    from email.utils import parsedate_to_datetime

    try:
        moment: datetime = parsedate_to_datetime(value)
        if moment.tzinfo is None:  # what "-0000" means: UTC, from an unknown place
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - _overrides.wall_clock()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


class Budget(t.NamedTuple):
    """Until when (monotonic s) a call may be tried, and how long one attempt may take, in s."""

    deadline: float
    attempt: float

    def left(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self.deadline - _overrides.monotonic()
