"""When a cron pattern comes next in a time zone, also where its clocks change."""

from __future__ import annotations

import re
import typing as t
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from croniter import croniter

_FIELDS = 'five fields, "minute hour day month weekday", or six with the second first'
_HOURS, _WEEKDAYS = 1, 4
_LAST_WEEKDAY = re.compile(r"\b([0-7])L\b")
"""Node's word for the last such day of a month; croniter's has the letter first."""


class InvalidSchedule(ValueError):
    """A schedule that cannot be: the message says what is wrong with which of its options."""


def next_run(pattern: str, tz: str | None, after: int) -> int:
    """The first time of `pattern` on the clocks of `tz` after `after`; both are ms since the epoch.

    A time that the clocks skip comes as much later; one that they show twice comes the first time only, unless the
    pattern is of every hour. So does Node's BullMQ. Raises InvalidSchedule.
    """
    zone = time_zone(tz)
    start = datetime.fromtimestamp(after / 1000, zone)
    # Croniter gets the bare wall clock: with a zone it is an hour off after the clocks have changed.
    wall = start.replace(tzinfo=None, fold=0)
    first = _first(pattern, wall, zone, after, fold=0)
    repeated = _offset(start, fold=0) - _offset(start, fold=1)
    if not repeated or not _is_of_every_hour(pattern):
        return first
    return min(first, _first(pattern, wall - repeated, zone, after, fold=1))


def time_zone(name: str | None) -> tzinfo:
    """The time zone of this name; UTC for None. Raises InvalidSchedule."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # it may name no file, a folder, or something outside
        raise InvalidSchedule(f'tz: "{name}" is no time zone: use an IANA name, such as Europe/Berlin') from None


def _offset(moment: datetime, *, fold: t.Literal[0, 1]) -> timedelta:
    return moment.replace(fold=fold).utcoffset() or timedelta()


def _first(pattern: str, wall: datetime, zone: tzinfo, after: int, *, fold: t.Literal[0, 1]) -> int:
    times = _parsed(pattern, wall)
    while True:
        try:
            wall = times.get_next(datetime)
            run = round(wall.replace(tzinfo=zone, fold=fold).timestamp() * 1000)
        except (ValueError, OverflowError):
            raise InvalidSchedule(f'pattern: "{pattern}" never comes: there is no such day') from None
        if run > after:
            return run


def _is_of_every_hour(pattern: str) -> bool:
    return bool(_parsed(pattern, datetime(2000, 1, 1)).expanded[_HOURS] == ["*"])  # noqa: DTZ001 - a wall clock


def _parsed(pattern: str, wall: datetime) -> croniter:
    try:
        times = croniter(_LAST_WEEKDAY.sub(r"L\1", pattern), wall, second_at_beginning=True)
    except Exception as exc:  # noqa: BLE001 - croniter lets more than its own errors out
        raise InvalidSchedule(f'pattern: "{pattern}" is no cron pattern: {exc}; use {_FIELDS}') from None
    days: list[t.Any] = times.expanded[_WEEKDAYS]
    if 7 in days:  # of six fields croniter leaves Sunday as it is written, and then it never comes
        times.expanded[_WEEKDAYS] = sorted({day % 7 for day in days})
    return times
