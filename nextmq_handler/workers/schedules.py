"""Schedules in code: a worker declares them in its registration, and the server runs them (protocol section 4)."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from ..protocol.times import duration_ms, shown
from ..rules.limits import MAX_DELAY_MS, MAX_NAME, MAX_NUMBER, MAX_PATTERN, MAX_TIME_ZONE

if t.TYPE_CHECKING:
    from datetime import timedelta

    from ..rules.options import Backoff, CustomBackoff, KeepJobs


class ScheduleOptions(t.TypedDict, total=False):
    """The options of a schedule's jobs: those of `Queue.add` that several jobs can share."""

    attempts: int
    backoff: int | timedelta | Backoff | CustomBackoff
    keep_logs: int
    lifo: bool
    priority: int
    remove_on_complete: bool | int | KeepJobs
    remove_on_fail: bool | int | KeepJobs
    size_limit: int
    stack_trace_limit: int


class Schedule:
    """When the server adds jobs, and which: Every or Cron."""

    __slots__ = ("_wire", "id", "name")

    def __init__(
        self,
        id: str,
        times: dict[str, t.Any],
        *,
        name: str | None,
        data: t.Any,
        limit: int | None,
        opts: t.Mapping[str, t.Any],
    ) -> None:
        self.id: str = _text(f"{self}: id", id, MAX_NAME)
        """Unique in the queue: registering another schedule with this id changes it."""
        if ":" in id:
            raise ConfigurationError(f"{self}: id must not contain a colon: BullMQ uses it in its keys")
        self.name: str = id if name is None else _text(f"{self}: name", name, MAX_NAME)
        """The name of its jobs."""
        self._wire: dict[str, t.Any] = {"id": id, **times}
        if name is not None:
            self._wire["name"] = name
        if data is not None:
            self._wire["data"] = _json(f"{self}: data", data)
        if limit is not None:
            self._wire["limit"] = _limit(f"{self}: limit", limit)
        if opts:
            self._wire["opts"] = _options(f"{self}", opts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(getattr(self, 'id', '…'))})"


class Every(Schedule):
    """Add a job every `interval`, int ms or a timedelta, counted from the epoch; `offset` shifts it.

    `data` is any JSON, `limit` the greatest number of jobs, `name` the jobs' name (by default `id`). Raises
    ConfigurationError, naming the argument, for a value that cannot work.
    """

    __slots__ = ()

    def __init__(
        self,
        id: str,
        interval: int | timedelta,
        *,
        name: str | None = None,
        data: t.Any = None,
        limit: int | None = None,
        offset: int | timedelta | None = None,
        **opts: t.Unpack[ScheduleOptions],
    ) -> None:
        times = {"every": duration_ms(f"Every({shown(id)}): interval", interval, low=1, high=MAX_DELAY_MS)}
        if offset is not None:
            longest = times["every"] - 1
            times["offset"] = duration_ms(f"Every({shown(id)}): offset", offset, low=0, high=longest)
        super().__init__(id, times, name=name, data=data, limit=limit, opts=t.cast("dict[str, t.Any]", opts))


class Cron(Schedule):
    """Add a job by the cron `pattern`, "minute hour day month weekday", or six fields with the second first.

    `tz` is the IANA name of the pattern's time zone, by default UTC. The rest is as for Every. The server checks
    the pattern and the zone when the worker registers.
    """

    __slots__ = ()

    def __init__(
        self,
        id: str,
        pattern: str,
        *,
        tz: str | None = None,
        name: str | None = None,
        data: t.Any = None,
        limit: int | None = None,
        **opts: t.Unpack[ScheduleOptions],
    ) -> None:
        times = {"pattern": _text(f"Cron({shown(id)}): pattern", pattern, MAX_PATTERN)}
        if not pattern.startswith("@") and len(pattern.split()) not in (5, 6):
            raise ConfigurationError(
                f"Cron({shown(id)}): pattern {pattern!r} has {len(pattern.split())} fields; write five, "
                '"minute hour day month weekday", or six with the second first'
            )
        if tz is not None:
            times["tz"] = _text(f"Cron({shown(id)}): tz", tz, MAX_TIME_ZONE)
        super().__init__(id, times, name=name, data=data, limit=limit, opts=t.cast("dict[str, t.Any]", opts))


def to_wire(schedule: Schedule) -> dict[str, t.Any]:
    """Return `schedule` as the registration carries it: camelCase, ms."""
    return schedule._wire  # pyright: ignore[reportPrivateUsage]


def _text(argument: str, value: object, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest or not _is_unicode(value):
        raise ConfigurationError(f"{argument} takes text of 1 to {longest} characters, not {shown(value)}")
    return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _limit(argument: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_NUMBER:
        raise ConfigurationError(f"{argument} takes a whole number of jobs from 1 up, not {shown(value)}")
    return value


def _json(argument: str, data: t.Any) -> t.Any:
    from ..protocol import strict_json

    try:
        return strict_json.loads(strict_json.dumps(data))  # a copy: the caller may change its own later
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"{argument} is not JSON: {exc}") from None


def _options(owner: str, opts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    from ..rules import options  # loaded only if a schedule has some

    try:
        return options.to_wire(ScheduleOptions, dict(opts), kind="option of a schedule")
    except ConfigurationError as exc:
        raise ConfigurationError(f"{owner}: {exc}") from None
