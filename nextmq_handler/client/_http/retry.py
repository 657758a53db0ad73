"""Which failures of an attempt allow another one, and how long to wait before it."""

from __future__ import annotations

from ... import _overrides

MAX_PAUSE = 5.0
"""The longest pause, in s, between two attempts, unless the server asks for a longer one."""

_FIRST_PAUSE = 0.2

RETRIED_STATUSES = frozenset((429, 502, 503, 504))


def failures() -> tuple[type[Exception], ...]:
    """List what ends an attempt: what httpx raises, and what it lets through from below."""
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
    """Return the s to wait after so many attempts: exponential with full jitter, longer if the server says so."""
    pause = _overrides.uniform(0, min(MAX_PAUSE, _FIRST_PAUSE * 2 ** min(attempts - 1, 10)))
    return max(pause, retry_after or 0.0)
