"""When a cron pattern comes next in a time zone, including when clocks change."""

from __future__ import annotations

import re
import time
import typing as t
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

if t.TYPE_CHECKING:
    from croniter import croniter

_FIELDS = 'five fields, "minute hour day month weekday", or six with the second first'
_HOURS, _WEEKDAYS = 1, 4
_LAST_WEEKDAY = re.compile(r"\b([0-7])L\b")
"""Node's form of the last such weekday of a month; croniter's has the letter first."""


MAX_YEARS = 8
"""How many years ahead a pattern is looked for: 29 February may be so far away."""

CHECK_BUDGET = 1.0
"""How much time of the processor, in s, checking the patterns of one request may take."""

_NUMBERS_OF_FIELDS = (5, 6)


class InvalidSchedule(ValueError):
    """A schedule that cannot work. The message names the option and what is wrong with it."""


def next_run(pattern: str, tz: str | None, after: int) -> int:
    """Return the first time of `pattern` in the time zone `tz` after `after`; both are ms since the epoch.

    As in Node's BullMQ, a time that daylight saving skips runs after the jump, and a time that occurs twice runs
    once, unless the pattern is of every hour. Raises InvalidSchedule, or ModuleNotFoundError without croniter.
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


def first_problem(
    patterns: t.Mapping[str, tuple[str, str | None]], now: int, *, budget: float = CHECK_BUDGET
) -> tuple[str, str] | None:
    """Return the first of `patterns`, by name, that cannot work, and why. Each is a pattern with its time zone.

    Stops after `budget` s of this thread's time, which is a problem too. `now` is ms since the epoch. Raises
    ModuleNotFoundError without croniter.
    """
    end = time.thread_time() + budget
    for checked, (name, (pattern, tz)) in enumerate(patterns.items()):
        if time.thread_time() > end:
            return name, f"checking the patterns takes too long: {checked} took over {budget} s; use simpler ones"
        try:
            next_run(pattern, tz, now)
        except InvalidSchedule as exc:
            return name, str(exc)
    return None


def time_zone(name: str | None) -> tzinfo:
    """Return the time zone called `name`, UTC for None. Raises InvalidSchedule."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # no file, a folder, or a path outside of the zones
        raise InvalidSchedule(
            f'tz: "{name}" is not a time zone: use an IANA name, such as Europe/Berlin'
        ) from None


def _offset(moment: datetime, *, fold: t.Literal[0, 1]) -> timedelta:
    return moment.replace(fold=fold).utcoffset() or timedelta()


def _first(pattern: str, wall: datetime, zone: tzinfo, after: int, *, fold: t.Literal[0, 1]) -> int:
    times = _parsed(pattern, wall)
    while True:
        try:
            wall = times.get_next(datetime)
            run = round(wall.replace(tzinfo=zone, fold=fold).timestamp() * 1000)
        except (ValueError, OverflowError):
            text = f'pattern: "{pattern}" never comes: that day does not exist in the next {MAX_YEARS} years'
            raise InvalidSchedule(text) from None
        if run > after:
            return run


def _is_of_every_hour(pattern: str) -> bool:
    return bool(_parsed(pattern, datetime(2000, 1, 1)).expanded[_HOURS] == ["*"])  # noqa: DTZ001 - a wall clock


def _parsed(pattern: str, wall: datetime) -> croniter:
    from croniter import croniter  # a dependency of the server

    # Counted here: some versions of croniter take a seventh field, the year.
    if not pattern.startswith("@") and len(pattern.split()) not in _NUMBERS_OF_FIELDS:
        number = len(pattern.split())
        raise InvalidSchedule(f'pattern: "{pattern}" is not a cron pattern: it has {number} fields; use {_FIELDS}')
    try:
        times = croniter(
            _LAST_WEEKDAY.sub(r"L\1", pattern), wall, second_at_beginning=True, max_years_between_matches=MAX_YEARS
        )
    except Exception as exc:  # noqa: BLE001 - croniter raises more than its own errors
        raise InvalidSchedule(f'pattern: "{pattern}" is not a cron pattern: {exc}; use {_FIELDS}') from None
    days: list[t.Any] = times.expanded[_WEEKDAYS]
    if 7 in days:  # with six fields croniter leaves Sunday as 7, which never comes
        times.expanded[_WEEKDAYS] = sorted({day % 7 for day in days})
    return times
