"""Schedules from code: what a worker declares when it registers, and the server runs (protocol section 4)."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from ..protocol.times import duration_ms, shown

if t.TYPE_CHECKING:
    from datetime import timedelta

    from ..rules.options import Backoff, CustomBackoff, KeepJobs
    from .worker import Async, Sync, Worker

_MAX_MS = 10 * 365 * 86_400_000
_MAX_ID, _MAX_PATTERN, _MAX_TZ, _MAX_LIMIT = 256, 200, 64, 10**12


class ScheduleOptions(t.TypedDict, total=False):
    """The options of a schedule's jobs: those of `Queue.add` that can be of more than one job."""

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
    """What the server makes jobs by: Every or Cron."""

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
        self.id: str = _text(f"{self}: id", id, _MAX_ID)
        """It is unique in its queue: who registers it again changes it."""
        if ":" in id:
            raise ConfigurationError(f"{self}: id must not contain a colon, which BullMQ makes its keys with")
        self.name: str = id if name is None else _text(f"{self}: name", name, _MAX_ID)
        """The name of its jobs."""
        self._wire: dict[str, t.Any] = {"id": id, **times}
        if name is not None:
            self._wire["name"] = name
        if data is not None:
            self._wire["data"] = _json(f"{self}: data", data)
        if limit is not None:
            self._wire["limit"] = _whole(f"{self}: limit", limit)
        if opts:
            self._wire["opts"] = _options(f"{self}", opts)

    def to_wire(self) -> dict[str, t.Any]:
        """The schedule as the registration carries it: camelCase, ms (protocol section 4)."""
        return self._wire

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(getattr(self, 'id', '…'))})"


class Every(Schedule):
    """A job each `interval`, int ms or a timedelta, counted from the epoch; `offset` shifts it by so much.

    `data` is any JSON, `limit` how many jobs there are at most, `name` theirs where it is not `id`. Raises
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
        times = {"every": duration_ms(f"Every({shown(id)}): interval", interval, low=1, high=_MAX_MS)}
        if offset is not None:
            longest = times["every"] - 1
            times["offset"] = duration_ms(f"Every({shown(id)}): offset", offset, low=0, high=longest)
        super().__init__(id, times, name=name, data=data, limit=limit, opts=t.cast("dict[str, t.Any]", opts))


class Cron(Schedule):
    """A job by the cron `pattern`, "minute hour day month weekday", or six fields with the second first.

    `tz` is the IANA name of the time zone whose clocks it goes by, UTC without. The rest is as for Every. The
    server knows what patterns and zones there are, and refuses the registration with others.
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
        times = {"pattern": _text(f"Cron({shown(id)}): pattern", pattern, _MAX_PATTERN)}
        if not pattern.startswith("@") and len(pattern.split()) not in (5, 6):
            raise ConfigurationError(
                f"Cron({shown(id)}): pattern {pattern!r} has {len(pattern.split())} fields; write five, "
                '"minute hour day month weekday", or six with the second first'
            )
        if tz is not None:
            times["tz"] = _text(f"Cron({shown(id)}): tz", tz, _MAX_TZ)
        super().__init__(id, times, name=name, data=data, limit=limit, opts=t.cast("dict[str, t.Any]", opts))


class ScheduledProcessor:
    """The decorator that `worker.every(…)` and `worker.cron(…)` are."""

    __slots__ = ("_arguments", "_id", "_kind", "_name", "_when", "_worker")

    def __init__(
        self,
        worker: Worker,
        kind: t.Callable[..., Schedule],
        when: object,
        *,
        id: str | None,
        name: str | None,
        **arguments: t.Any,
    ) -> None:
        self._worker = worker
        self._kind = kind
        self._when = when
        self._id = id
        self._name = name
        self._arguments = arguments

    @t.overload
    def __call__(self, function: Async, /) -> Async: ...
    @t.overload
    def __call__(self, function: Sync, /) -> Sync: ...
    def __call__(self, function: t.Any, /) -> t.Any:
        name = self._name if self._name is not None else getattr(function, "__name__", "<")
        if self._name is None and not name.isidentifier():
            raise ConfigurationError(f"{self._worker}: {function!r} has no name to call its jobs by: give name=…")
        id = name if self._id is None else self._id
        schedule = self._kind(id, self._when, name=None if id == name else name, **self._arguments)
        self._worker.add(name, function)
        self._worker.add_schedule(schedule)
        return function


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


def _whole(argument: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_LIMIT:
        raise ConfigurationError(f"{argument} takes a whole number of jobs from 1 up, not {shown(value)}")
    return value


def _json(argument: str, data: t.Any) -> t.Any:
    from ..protocol import strict_json

    try:
        return strict_json.loads(strict_json.dumps(data))  # what is changed later is not meant
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"{argument} is not JSON: {exc}") from None


def _options(owner: str, opts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    from ..rules.options import to_wire  # only for those who give some

    try:
        return to_wire(ScheduleOptions, dict(opts), kind="option of a schedule")
    except ConfigurationError as exc:
        raise ConfigurationError(f"{owner}: {exc}") from None
