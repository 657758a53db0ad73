"""Check the names, numbers, durations and moments that the caller gives; convert times to the protocol's ms."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError

if t.TYPE_CHECKING:
    from datetime import datetime, timedelta

MAX_RATE_LIMIT_MS = 86_400_000
"""The longest rate limit of an outcome: one day (protocol section 3)."""

MAX_RELEASE = 200
"""The longest name of a release, in characters."""

MAX_TIMESTAMP_MS = 2_100_000_000_000
"""Timestamps stay below this (protocol section 3): later ones do not fit BullMQ's score."""

MIN_TIMESTAMP_MS = 978_307_200_000
"""Earlier moments than 2001 are durations, or s, that were taken for timestamps."""

_MOST_S = 3600.0
"""A longer time in s, given as a number, is taken for ms by mistake. A timedelta says what it means."""

_MAX_TIMEOUT = 10 * 365 * 86_400
_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"


def is_queue_name(name: object) -> bool:
    """Return whether `name` passes every router and proxy unescaped (protocol section 1)."""
    if not isinstance(name, str) or name in (".", ".."):
        return False
    return 1 <= len(name) <= 100 and not name.lstrip(_CHARACTERS)


def check_queue_name(name: object, *, argument: str = "", what: str = "queue name") -> str:
    """Return `name`. Raises ConfigurationError, `argument` first, which states the rule, if it cannot be one."""
    if not isinstance(name, str) or not is_queue_name(name):
        text = repr(name) if len(repr(name)) <= 120 else repr(name)[:120] + "…"
        raise ConfigurationError(
            f"{argument}{text} is not a {what}: use 1 to 100 of the characters A-Z a-z 0-9 . _ ~ - "
            '(and not "." or ".." alone)'
        )
    return name


def whole_number(name: str, value: object, *, low: int, high: int) -> int:
    """Return `value`. Raises ConfigurationError if it is not an int from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationError(f"{name} takes a whole number from {low} to {high}, not {shown(value)}")
    return value


def timeout_seconds(
    name: str, value: float | timedelta, *, low: float = 0.0, high: float = _MAX_TIMEOUT, most: float = _MOST_S
) -> float:
    """Return `value` in s: a number is s already, a timedelta is converted.

    Raises ConfigurationError if it is not positive or not from `low` to `high`, and for a number over `most`: that
    was meant as ms.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        value = _number_of(name, value, "total_seconds", "a number of s or a timedelta")
    elif most < value <= high:
        raise ConfigurationError(
            f"{name} is in s, and {shown(value)} is over {most:g}: did you mean {value / 1000}? If not, give a "
            "timedelta"
        )
    if not (value > 0 and low <= value <= high):
        bounds = f"{low} to" if low else "more than 0 and up to"
        raise ConfigurationError(f"{name} takes {bounds} {high} s, not {shown(value)}")
    return float(value)


def duration_ms(name: str, value: int | timedelta, *, low: int, high: int) -> int:
    """Return `value` in whole ms: an int is ms already, a timedelta is converted.

    Raises ConfigurationError if it is not from `low` to `high`.
    """
    if isinstance(value, float):
        raise ConfigurationError(
            f"{name} takes a whole number of ms or a timedelta, not {shown(value)}: if these are s, write "
            f"timedelta(seconds={shown(value)})"
        )
    if isinstance(value, bool) or not isinstance(value, int):
        value = round(_number_of(name, value, "total_seconds", "a whole number of ms or a timedelta") * 1000)
    if not low <= value <= high:
        raise ConfigurationError(f"{name} takes {low} to {high} ms, not {shown(value)}")
    return value


def timestamp_ms(name: str, value: int | datetime) -> int:
    """Return `value` in ms since the epoch: an int is that already, an aware datetime is converted.

    Raises ConfigurationError for another value, and for a number of s since the epoch.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        if getattr(value, "tzinfo", "") is None:
            raise ConfigurationError(f"{name} takes an aware datetime: give this one a time zone")
        value = round(_number_of(name, value, "timestamp", "ms since the epoch or an aware datetime") * 1000)
    refuse_s(name, value)
    if not 0 <= value < MAX_TIMESTAMP_MS:
        raise ConfigurationError(
            f"{name} takes ms since the epoch, 0 to {MAX_TIMESTAMP_MS - 1}, not {shown(value)}"
        )
    return value


def refuse_s(name: str, value: int) -> None:
    """Raise ConfigurationError if `value`, which should be ms since the epoch, is s."""
    if MIN_TIMESTAMP_MS <= value * 1000 < MAX_TIMESTAMP_MS:
        raise ConfigurationError(
            f"{name} takes ms since the epoch, and {value} are s: did you mean {value * 1000}? An aware datetime "
            "needs no unit"
        )


def moment_ms(name: str, value: int | datetime, *, now: float, instead: str) -> int:
    """Return what `timestamp_ms` does, for a moment to come. `now` is s since the epoch.

    Raises ConfigurationError also for one before 2001: that is a duration by mistake, which `instead` takes.
    """
    ms = timestamp_ms(name, value)
    if ms < MIN_TIMESTAMP_MS <= now * 1000:
        raise ConfigurationError(
            f"{name} takes a moment, in ms since the epoch or as an aware datetime, and {ms} is before 2001: to "
            f"wait for a while, call {instead}"
        )
    return ms


def shown(value: object) -> str:
    """Return `value` for an error message; repr() of an int beyond 4300 digits raises."""
    return repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a far larger number"


def _number_of(name: str, value: object, method: str, expected: str) -> float:
    """Return what the method of a timedelta or datetime returns."""
    try:
        return float(getattr(value, method)())
    except (AttributeError, TypeError):
        raise ConfigurationError(f"{name} takes {expected}, not {type(value).__name__}") from None
