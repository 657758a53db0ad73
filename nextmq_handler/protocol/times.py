"""Check the durations and moments that the caller gives, and convert them to the protocol's ms."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError

if t.TYPE_CHECKING:
    from datetime import datetime, timedelta

MAX_RATE_LIMIT_MS = 86_400_000
"""The longest rate limit of an outcome: one day (protocol section 3)."""

MAX_TIMESTAMP_MS = 2_100_000_000_000
"""Timestamps stay below this (protocol section 3): later ones do not fit BullMQ's score."""

_MAX_TIMEOUT = 10 * 365 * 86_400


def timeout_seconds(name: str, value: float | timedelta, *, low: float = 0.0, high: float = _MAX_TIMEOUT) -> float:
    """Return `value` in s: a number is s already, a timedelta is converted.

    Raises ConfigurationError if it is not positive or not from `low` to `high`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        value = _total_seconds(name, value, "a number of s or a timedelta")
    if not (value > 0 and low <= value <= high):
        bounds = f"{low} to" if low else "more than 0 and up to"
        raise ConfigurationError(f"{name} takes {bounds} {high} s, not {shown(value)}")
    return float(value)


def duration_ms(name: str, value: int | timedelta, *, low: int, high: int) -> int:
    """Return `value` in whole ms: an int is ms already, a timedelta is converted.

    Raises ConfigurationError if it is not from `low` to `high`.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        value = round(_total_seconds(name, value, "a whole number of ms or a timedelta") * 1000)
    if not low <= value <= high:
        raise ConfigurationError(f"{name} takes {low} to {high} ms, not {shown(value)}")
    return value


def timestamp_ms(name: str, value: int | datetime) -> int:
    """Return `value` in ms since the epoch: an int is that already, an aware datetime is converted.

    Raises ConfigurationError for another value.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        value = _moment_ms(name, value)
    if not 0 <= value < MAX_TIMESTAMP_MS:
        raise ConfigurationError(
            f"{name} takes ms since the epoch, 0 to {MAX_TIMESTAMP_MS - 1}, not {shown(value)}"
        )
    return value


def shown(value: object) -> str:
    """Return `value` for an error message; repr() of an int beyond 4300 digits raises."""
    return repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a far larger number"


def _total_seconds(name: str, value: t.Any, expected: str) -> float:
    try:
        return float(value.total_seconds())
    except (AttributeError, TypeError):
        raise _wrong_type(name, value, expected) from None


def _moment_ms(name: str, value: t.Any) -> int:
    if getattr(value, "tzinfo", "") is None:
        raise ConfigurationError(f"{name} takes an aware datetime: give this one a time zone")
    try:
        return round(float(value.timestamp()) * 1000)
    except (AttributeError, TypeError):
        raise _wrong_type(name, value, "ms since the epoch or an aware datetime") from None


def _wrong_type(name: str, value: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{name} takes {expected}, not {type(value).__name__}")
