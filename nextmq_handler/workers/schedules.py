"""Schedules in code: a worker declares them in its registration, and the server runs them (protocol section 4)."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from ..protocol.arguments import duration_ms, shown, whole_number
from ..rules.limits import MAX_DELAY_MS, MAX_NAME, MAX_NUMBER, MAX_PATTERN, MAX_TIME_ZONE

if t.TYPE_CHECKING:
    from datetime import timedelta

    from ..rules.options import ScheduleOptions

    class ScheduledJob(ScheduleOptions, total=False):
        """The jobs of a schedule: their `name` (by default the schedule's id), `data` (any JSON) and options.

        `limit` is how many of them to add at most.
        """

        name: str | None
        data: t.Any
        limit: int | None


class Schedule:
    """When the server adds jobs, and which: Every or Cron."""

    def __init__(
        self,
        id: str,
        *,
        name: str | None = None,
        data: t.Any = None,
        limit: int | None = None,
        **opts: t.Unpack[ScheduleOptions],
    ) -> None:
        self.id: str = _text(f"{self}: id", id, MAX_NAME)
        """Unique in the queue: registering another schedule with this id changes it."""
        if ":" in id:
            raise ConfigurationError(f"{self}: id must not contain a colon: BullMQ uses it in its keys")
        self.name: str = id if name is None else _text(f"{self}: name", name, MAX_NAME)
        """The name of its jobs."""
        self._wire: dict[str, t.Any] = {"id": id}
        if name is not None:
            self._wire["name"] = name
        if data is not None:
            self._wire["data"] = _json(f"{self}: data", data)
        if limit is not None:
            self._wire["limit"] = whole_number(f"{self}: limit", limit, low=1, high=MAX_NUMBER)
        if opts:
            self._wire["opts"] = _options(f"{self}", opts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(getattr(self, 'id', '…'))})"


class Every(Schedule):
    """Add a job every `interval`, int ms or a timedelta, counted from the epoch; `offset` shifts it.

    The rest is as in ScheduledJob. Raises ConfigurationError, naming the argument, for a value that cannot work.
    """

    def __init__(
        self,
        id: str,
        interval: int | timedelta,
        *,
        offset: int | timedelta | None = None,
        **job: t.Unpack[ScheduledJob],
    ) -> None:
        super().__init__(id, **job)
        every = self._wire["every"] = duration_ms(f"{self}: interval", interval, low=1, high=MAX_DELAY_MS)
        if offset is not None:
            self._wire["offset"] = duration_ms(f"{self}: offset", offset, low=0, high=every - 1)


class Cron(Schedule):
    """Add a job by the cron `pattern`, "minute hour day month weekday", or six fields with the second first.

    `tz` is the IANA name of the pattern's time zone, by default UTC. The rest is as for Every. The server checks
    the pattern and the zone when the worker registers.
    """

    def __init__(self, id: str, pattern: str, *, tz: str | None = None, **job: t.Unpack[ScheduledJob]) -> None:
        super().__init__(id, **job)
        self._wire["pattern"] = _text(f"{self}: pattern", pattern, MAX_PATTERN)
        if not pattern.startswith("@") and len(pattern.split()) not in (5, 6):
            raise ConfigurationError(
                f"{self}: pattern {pattern!r} has {len(pattern.split())} fields; write five, "
                '"minute hour day month weekday", or six with the second first'
            )
        if tz is not None:
            self._wire["tz"] = _text(f"{self}: tz", tz, MAX_TIME_ZONE)


def _text(argument: str, value: object, longest: int) -> str:
    # What changes when it is encoded has lone surrogates, and cannot be sent.
    if isinstance(value, str) and 0 < len(value) <= longest and value.encode(errors="ignore").decode() == value:
        return value
    raise ConfigurationError(f"{argument} takes text of 1 to {longest} characters, not {shown(value)}")


def _json(argument: str, data: t.Any) -> t.Any:
    from ..protocol import strict_json

    try:
        return strict_json.loads(strict_json.dumps(data))  # a copy: the caller may change its own later
    except (TypeError, ValueError):
        from ..protocol.plain import problem_of

        raise ConfigurationError(f"{argument} is not JSON: {problem_of(data)}") from None


def _options(owner: str, opts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    from ..rules import options  # loaded only if a schedule has some

    try:
        return options.to_wire(options.ScheduleOptions, dict(opts), kind="option of a schedule")
    except ConfigurationError as exc:
        raise ConfigurationError(f"{owner}: {exc}") from None
