"""How a job scheduler continues, as the queue server and the simulator apply it. `repeat` has BullMQ's names."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from .cron import next_run

MAX_TRIES = 32
"""How many times in a row may have had their jobs before a new scheduler is refused."""

OVERDUE_AFTER = 30_000
"""A run that starts this late, in ms, is not overdue yet."""

NO_TIME = "has had jobs at its next times already: remove those, or choose another id"
NO_RUN = "endDate: the schedule has no run before it"


@dataclass(frozen=True)
class Template:
    """What the jobs of a scheduler are made of, with BullMQ's long option names."""

    name: str
    data: t.Any
    opts: dict[str, t.Any]


def next_of_pattern(repeat: t.Mapping[str, t.Any], after: int) -> int:
    """Return the first time of the pattern after `after` and `startDate`, ms since the epoch.

    Raises InvalidSchedule.
    """
    return next_run(repeat["pattern"], repeat.get("tz"), max(after, repeat.get("startDate") or 0))


def has_ended(repeat: t.Mapping[str, t.Any], iterations: int, now: int) -> bool:
    """Return whether the scheduler's limit or end is reached. `now` is ms since the epoch."""
    limit, end = repeat.get("limit"), repeat.get("endDate")
    return bool((limit and iterations >= limit) or (end and now > end))


def overdue_by(due: int | None, now: int) -> int | None:
    """Return for how many ms a run that has not started is overdue, None if it is not; the times are ms."""
    return now - due if due is not None and now - due > OVERDUE_AFTER else None


def is_same_scheduler(
    held: t.Mapping[str, t.Any], template: Template, new: t.Mapping[str, t.Any], new_template: Template
) -> bool:
    """Return whether two schedulers are the same, from the times and the template of each.

    A new one without an offset keeps the offset that BullMQ gave the held one.
    """
    names = ("every", "pattern", "tz", "limit", "startDate", "endDate")
    if any(held.get(name) != new.get(name) for name in names):
        return False
    if new.get("offset") is not None and held.get("offset") != new["offset"]:
        return False
    return _canonical(template) == _canonical(new_template)


def _canonical(template: Template) -> str:
    # In JSON 1 and 1.0 are one number, which Lua writes as 1; True is another value.
    data: t.Any = {} if template.data is None else template.data
    text = json.dumps([template.name, data, template.opts])
    return json.dumps(json.loads(text, parse_float=_number), sort_keys=True)


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number
