"""Schedules, times of day and sizes as the pages say them."""

from __future__ import annotations

import re
import typing as t
from datetime import UTC, datetime

from ..words import counted, span_text

MAX_TIMES = 4
"""Of how many times of day a sentence is made; with more of them the pattern is shown as it is."""

_SHORT_FORMS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_WEEKDAY_NAMES = {name[:3].lower(): str(number) for number, name in enumerate(_WEEKDAYS)}
_MONTH_NAMES = {name[:3].lower(): str(number) for number, name in enumerate(_MONTHS, 1)}
_STEP = re.compile(r"\*/(\d{1,2})")
_RANGE = re.compile(r"(\d{1,2})-(\d{1,2})")
_WITH_SECONDS = 6


def cron_text(pattern: str, tz: str | None) -> str:
    """Return a cron pattern as a sentence: `at 03:00 every day, Europe/Berlin`. What has none stays as it is."""
    fields = _SHORT_FORMS.get(pattern, pattern).lower().split()
    if len(fields) == _WITH_SECONDS and fields[0] == "0":
        fields = fields[1:]
    sentence = _sentence(*fields) if len(fields) == len(("minute", "hour", "day", "month", "weekday")) else None
    return f"{sentence or pattern}, {tz or 'UTC'}"


def schedule_text(every: int | None, pattern: str | None, tz: str | None) -> str:
    """Return when a scheduler runs. `every` is ms."""
    return cron_text(pattern, tz) if pattern else f"every {span_text(every or 0)}"


def clock(at: int) -> str:
    """Return the time of day in UTC, `12:48:33`; empty for a time outside of the calendar."""
    moment = _moment(at)
    return f"{moment:%H:%M:%S}" if moment else ""


def size(octets: int) -> str:
    """Return a number of bytes as people say it: `61 MB`."""
    rest, units = float(octets), ["bytes", "kB", "MB", "GB", "TB"]
    while rest >= 1000 and len(units) > 1:
        rest, units = rest / 1000, units[1:]
    return f"{rest:.1f} {units[0]}" if rest < 10 and units[0] != "bytes" else f"{rest:.0f} {units[0]}"


def _moment(at: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(at / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _sentence(minute: str, hour: str, day: str, month: str, weekday: str) -> str | None:
    days = _days(day, month, weekday)
    if days is None:
        return None
    step, hours_step = _STEP.fullmatch(minute), _STEP.fullmatch(hour)
    if hour == "*" and (minute == "*" or (step and step[1] == "1")):
        return _on("every minute", days)
    if hour == "*" and step and _divides(step[1], 60):
        return _on(f"every {counted(int(step[1]), 'minute')}", days)
    minutes = _numbers(minute, 59)
    if minutes is None:
        return None
    if hour == "*":
        past = ", ".join(f":{one:02}" for one in minutes)
        return _on(f"every hour at {past}", days) if len(minutes) <= MAX_TIMES else None
    if hours_step and len(minutes) == 1 and _divides(hours_step[1], 24):
        return _on(f"every {counted(int(hours_step[1]), 'hour')} at :{minutes[0]:02}", days)
    hours = _numbers(hour, 23)
    if hours is None or len(hours) * len(minutes) > MAX_TIMES:
        return None
    return f"at {_listed([f'{one:02}:{past:02}' for one in hours for past in minutes])} {days}"


def _on(often: str, days: str) -> str:
    return often if days == "every day" else f"{often}, {days}"


def _days(day: str, month: str, weekday: str) -> str | None:
    """Return the days that three fields mean; None if there is no short sentence for them."""
    if month != "*":
        months, days = _numbers(_named(month, _MONTH_NAMES), 12), _numbers(day, 31)
        if weekday not in ("*", "?") or not months or not days or min(*months, *days, 1) < 1:
            return None
        return f"on {_listed([str(one) for one in days])} {_listed([_MONTHS[one - 1] for one in months])}"
    if weekday in ("*", "?"):
        if day in ("*", "?"):
            return "every day"
        if day == "l":
            return "on the last day of the month"
        days = _numbers(day, 31)
        return f"on day {_listed([str(one) for one in days])} of the month" if days and min(days) else None
    if day not in ("*", "?"):
        return None  # cron means either of the two
    text = _named(weekday, _WEEKDAY_NAMES)
    span = _RANGE.fullmatch(text)
    if span and int(span[1]) < int(span[2]) <= len(_WEEKDAYS):
        return f"{_weekday(int(span[1]))} to {_weekday(int(span[2]))}"
    wanted = _numbers(text, len(_WEEKDAYS))
    return f"every {_listed([_weekday(one) for one in wanted])}" if wanted else None


def _weekday(number: int) -> str:
    return _WEEKDAYS[number % len(_WEEKDAYS)]


def _named(text: str, names: t.Mapping[str, str]) -> str:
    return re.sub(r"[a-z]{3}", lambda found: names.get(found[0], found[0]), text)


def _numbers(text: str, most: int) -> list[int] | None:
    """Return the numbers of a list such as `8,20`; None if it is something else."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() and len(part) <= 2 for part in parts):
        return None
    numbers = [int(part) for part in parts]
    return numbers if max(numbers) <= most else None


def _divides(text: str, whole: int) -> bool:
    return int(text) > 0 and whole % int(text) == 0


def _listed(words: t.Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
