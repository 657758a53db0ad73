"""Worker: a queue's processors and the options that the server enforces for it."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from ..protocol.names import check_queue_name
from ..protocol.times import duration_ms, shown
from .processor import BoundProcessor, bind

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import date, time, timedelta
    from decimal import Decimal
    from enum import Enum
    from uuid import UUID

    from ..job import AsyncJob, Job
    from .schedules import Schedule, ScheduledProcessor, ScheduleOptions

    class _Model(t.Protocol):
        def model_dump(self) -> dict[str, t.Any]: ...

    class _Dataclass(t.Protocol):
        __dataclass_fields__: t.ClassVar[dict[str, t.Any]]

    # What can be sent as JSON. It names no coroutine, so that an async def with a Job fits nowhere.
    _Plain = str | float | date | time | timedelta | Decimal | Enum | UUID | None
    Result = _Plain | Mapping[t.Any, t.Any] | Sequence[t.Any] | AbstractSet[t.Any] | _Model | _Dataclass

    SyncProcessor = t.Callable[[Job[t.Any]], Result]
    AsyncProcessor = t.Callable[[AsyncJob[t.Any]], t.Coroutine[t.Any, t.Any, t.Any]]
    Processor = SyncProcessor | AsyncProcessor


Async = t.TypeVar("Async", bound="AsyncProcessor")
Sync = t.TypeVar("Sync", bound="SyncProcessor")

_MAX_MS = 7 * 86_400_000


class Limiter(t.TypedDict):
    """At most `max` jobs start in each `duration`, ms or a timedelta."""

    max: int
    duration: int | timedelta


class Worker:
    """The worker of queue `name`: what runs its jobs, and how many at once.

    `concurrency` is how many jobs run at once over all server processes; `limiter` bounds how many start in a
    time; `timeout` (float s or a timedelta) is how long the server waits for one delivery. `lock_duration`,
    `stalled_interval` (int ms or a timedelta) and `max_stalled_count` are BullMQ's; leave them at its
    defaults. `dead_letter` names the queue that gets a letter for each job that failed for good; True is
    `<name>-dlq`. `backoff_strategies` are types of backoff beside BullMQ's own: `{"slow": [1_000, 60_000]}` is
    how long (int ms or a timedelta) a job with `backoff={"type": "slow"}` waits after its first failed attempt,
    and after each later one. `errors` maps exception types to what they mean, such as
    `{httpx.TimeoutException: lambda exc: RateLimitError(5000)}`. `schedules` are Every and Cron, by which the
    server makes jobs by itself. Raises ConfigurationError, naming the argument, for a value that cannot work.

    A processor takes the job and returns its result: given here, or with the `processor` decorator. Options and
    processors are fixed once a handler has been made of the worker.
    """

    def __init__(
        self,
        name: str,
        processor: Processor | None = None,
        *,
        concurrency: int = 1,
        limiter: Limiter | None = None,
        timeout: float | timedelta = 30.0,
        lock_duration: int | timedelta | None = None,
        stalled_interval: int | timedelta | None = None,
        max_stalled_count: int | None = None,
        dead_letter: bool | str = False,
        backoff_strategies: Mapping[str, Sequence[int | timedelta]] | None = None,
        errors: t.Mapping[type[BaseException], t.Callable[[t.Any], BaseException]] | None = None,
        schedules: t.Iterable[Schedule] = (),
    ) -> None:
        self.name: str = check_queue_name(name)
        self._frozen = False
        self._named: dict[str, BoundProcessor] = {}
        self._fallback: BoundProcessor | None = None
        options: dict[str, t.Any] = {
            "concurrency": _whole(f"{self}: concurrency", concurrency, low=1, high=10_000),
            "timeout": _timeout_ms(f"{self}: timeout", timeout),
        }
        if limiter is not None:
            options["limiter"] = _limiter(f"{self}: limiter", limiter)
        if lock_duration is not None:
            options["lockDuration"] = duration_ms(f"{self}: lock_duration", lock_duration, low=1000, high=_MAX_MS)
        if stalled_interval is not None:
            options["stalledInterval"] = duration_ms(
                f"{self}: stalled_interval", stalled_interval, low=1000, high=_MAX_MS
            )
        if max_stalled_count is not None:
            options["maxStalledCount"] = _whole(f"{self}: max_stalled_count", max_stalled_count, low=0, high=1000)
        if dead_letter is not False:
            options["deadLetter"] = _dead_letter(self, dead_letter)
        if backoff_strategies is not None:
            from .backoff_strategies import checked

            options["backoffStrategies"] = checked(f"{self}: backoff_strategies", backoff_strategies)
        self.options: t.Mapping[str, t.Any] = options
        """The options as the registration carries them: camelCase, ms (protocol section 4)."""
        self._errors = dict(errors or {})
        for kind in self._errors:
            if not _is_exception_type(kind):
                raise ConfigurationError(f"{self}: errors maps exception types, not {kind!r}")
        if processor is not None:
            self.add(None, processor)
        self._schedules: dict[str, Schedule] = {}
        for schedule in schedules:
            self.add_schedule(schedule)

    @t.overload
    def processor(self, name: str, /) -> NamedProcessor: ...
    @t.overload
    def processor(self, function: Async, /) -> Async: ...
    @t.overload
    def processor(self, function: Sync, /) -> Sync: ...
    def processor(self, target: t.Any, /) -> t.Any:
        """`@worker.processor("name")` runs the jobs of that name, `@worker.processor` all others.

        The function is returned unchanged, so that a test can call it. Raises ConfigurationError for one that
        does not take exactly the job, for a second one of the same name, and after the worker was mounted.
        """
        if not isinstance(target, str):
            self.add(None, target)
            return target

        return NamedProcessor(self, target)

    def every(
        self,
        interval: int | timedelta,
        /,
        *,
        name: str | None = None,
        id: str | None = None,
        data: t.Any = None,
        limit: int | None = None,
        offset: int | timedelta | None = None,
        **opts: t.Unpack[ScheduleOptions],
    ) -> ScheduledProcessor:
        """`@worker.every(timedelta(hours=1))` runs the function so often: the processor of the jobs called `name`.

        `name` is the function's own without, and the schedule's `id` is `name`; the rest is as for Every. The
        function is returned unchanged, so several schedules, and `@worker.processor`, can be put on it. Raises
        ConfigurationError as `processor` does, for a second schedule of one id, and for a value that cannot work.
        """
        from .schedules import Every, ScheduledProcessor

        more: dict[str, t.Any] = {"data": data, "limit": limit, "offset": offset, **opts}
        return ScheduledProcessor(self, Every, interval, id=id, name=name, **more)

    def cron(
        self,
        pattern: str,
        /,
        *,
        tz: str | None = None,
        name: str | None = None,
        id: str | None = None,
        data: t.Any = None,
        limit: int | None = None,
        **opts: t.Unpack[ScheduleOptions],
    ) -> ScheduledProcessor:
        """`@worker.cron("0 8 * * 1", tz="Europe/Berlin")` is as `every`, by the clock: see Cron."""
        from .schedules import Cron, ScheduledProcessor

        more: dict[str, t.Any] = {"tz": tz, "data": data, "limit": limit, **opts}
        return ScheduledProcessor(self, Cron, pattern, id=id, name=name, **more)

    def add(self, job_name: str | None, function: t.Callable[..., t.Any]) -> None:
        """What the decorator does; `job_name` None is for all names without a processor of their own."""
        if self._frozen:
            raise ConfigurationError(f"{self} is mounted already: add its processors before")
        bound = bind(function, str(self))
        if job_name is None:
            if self._fallback is not None:
                raise ConfigurationError(f"{self} has a processor for all jobs already; give this one a job name")
            self._fallback = bound
            return
        held = self._named.get(job_name)
        if held is None:
            self._named[job_name] = bound
        elif held.function is not function:  # it may be here again with a schedule
            raise ConfigurationError(f"{self} has a processor for jobs named {job_name!r} already")

    def add_schedule(self, schedule: Schedule) -> None:
        """What `schedules` and the decorators do. Raises ConfigurationError."""
        from .schedules import Schedule

        if self._frozen:
            raise ConfigurationError(f"{self} is mounted already: add its schedules before")
        if not isinstance(schedule, Schedule):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{self}: schedules takes Every and Cron, not {type(schedule).__name__}")
        if schedule.id in self._schedules:
            raise ConfigurationError(f"{self} has two schedules with the id {schedule.id!r}: give one another id=")
        self._schedules[schedule.id] = schedule

    def freeze(self) -> None:
        """No processor can be added from here on. Raises ConfigurationError where there is none."""
        if self._fallback is None and not self._named:
            raise ConfigurationError(
                f"{self} has no processor: Worker({self.name!r}, function), or decorate one with @….processor"
            )
        for processor in self._processors():
            _ = processor.signature  # an annotation that cannot work is an error at start
        for schedule in self._schedules.values():
            if self.find(schedule.name) is None:
                raise ConfigurationError(
                    f"{self}: {schedule} makes jobs named {schedule.name!r}, which have no processor: give it the "
                    "name of one with name="
                )
        self._frozen = True

    def translate(self, exc: BaseException) -> BaseException:
        """What `exc` means by the worker's `errors`: `exc` itself where nothing is said about its type."""
        make = next((make for kind, make in self._errors.items() if isinstance(exc, kind)), None)
        if make is None:
            return exc
        try:
            meaning = t.cast("object", make(exc))
        except BaseException as raised:  # noqa: BLE001 - raising is a way of saying it too
            meaning = raised
        if not isinstance(meaning, BaseException):
            given = type(meaning).__name__
            meaning = TypeError(f"{self}: errors[{type(exc).__name__}] gave {given}, not an exception")
        if meaning is not exc and meaning.__cause__ is None:
            meaning.__cause__ = exc
        return meaning

    def schemas(self) -> dict[str, t.Any] | None:
        """The JSON Schema of each job name's data, "*" for all other names; None where nothing is typed."""
        schemas = {name: bound.signature.schema() for name, bound in self._named.items()}
        if self._fallback is not None:
            schemas["*"] = self._fallback.signature.schema()
        return {name: schema for name, schema in schemas.items() if schema is not None} or None

    def schedules(self) -> list[dict[str, t.Any]]:
        """The schedules as the registration carries them (protocol section 4)."""
        return [schedule.to_wire() for schedule in self._schedules.values()]

    def find(self, job_name: str) -> BoundProcessor | None:
        """The processor for jobs called `job_name`: its own, or the one for all others."""
        return self._named.get(job_name) or self._fallback

    @property
    def job_names(self) -> tuple[str, ...]:
        """The job names that have a processor of their own."""
        return tuple(self._named)

    def __repr__(self) -> str:
        return f"Worker({self.name!r})"

    def _processors(self) -> t.Iterator[BoundProcessor]:
        yield from self._named.values()
        if self._fallback is not None:
            yield self._fallback


class NamedProcessor:
    """The decorator that `worker.processor("name")` is."""

    __slots__ = ("_name", "_worker")

    def __init__(self, worker: Worker, name: str) -> None:
        self._worker = worker
        self._name = name

    @t.overload
    def __call__(self, function: Async, /) -> Async: ...
    @t.overload
    def __call__(self, function: Sync, /) -> Sync: ...
    def __call__(self, function: t.Any, /) -> t.Any:
        self._worker.add(self._name, function)
        return function


def _is_exception_type(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _timeout_ms(name: str, value: float | timedelta) -> int:
    seconds = value
    if not isinstance(value, (int, float)):
        try:
            seconds = value.total_seconds()
        except AttributeError:
            raise ConfigurationError(f"{name} takes seconds or a timedelta, not {type(value).__name__}") from None
    if isinstance(seconds, bool) or not 0.001 <= t.cast("float", seconds) <= _MAX_MS / 1000:
        raise ConfigurationError(f"{name} takes 0.001 to {_MAX_MS // 1000} s, not {seconds!r}")
    return round(t.cast("float", seconds) * 1000)


def _limiter(name: str, value: t.Any) -> dict[str, int]:
    members = t.cast("dict[str, t.Any]", value) if isinstance(value, dict) else {}
    if members.keys() != {"max", "duration"}:
        raise ConfigurationError(f'{name} takes {{"max": jobs, "duration": ms}}')
    return {
        "max": _whole(f"{name}.max", members["max"], low=1, high=2**31),
        "duration": duration_ms(f"{name}.duration", members["duration"], low=1, high=_MAX_MS),
    }


def _dead_letter(worker: Worker, value: object) -> str:
    queue = f"{worker.name}-dlq" if value is True else value
    try:
        check_queue_name(queue)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{worker}: dead_letter takes True or a queue's name; {exc}") from None
    if queue == worker.name:
        raise ConfigurationError(f"{worker}: dead_letter names the worker's own queue; take another one")
    return t.cast("str", queue)


def _whole(name: str, value: object, *, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationError(f"{name} takes a whole number from {low} to {high}, not {shown(value)}")
    return value
