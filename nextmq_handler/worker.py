"""Worker: a queue's processors and the options that the server enforces for it."""

from __future__ import annotations

import functools
import typing as t

from .errors import ConfigurationError, duration_ms
from .names import check_queue_name

if t.TYPE_CHECKING:
    from datetime import timedelta

    from .job import AsyncJob, Job

    SyncProcessor = t.Callable[[Job[t.Any]], t.Any]
    AsyncProcessor = t.Callable[[AsyncJob[t.Any]], t.Awaitable[t.Any]]
    Processor = SyncProcessor | AsyncProcessor

P = t.TypeVar("P", bound="t.Callable[..., t.Any]")

_CO_COROUTINE, _CO_GENERATOR, _CO_ASYNC_GENERATOR = 0x80, 0x20, 0x200
_MAX_MS = 7 * 86_400_000


class Limiter(t.TypedDict):
    """At most `max` jobs start in each `duration`, ms or a timedelta."""

    max: int
    duration: int | timedelta


class BoundProcessor:
    """A processor and its colour."""

    __slots__ = ("function", "is_async")

    def __init__(self, function: t.Callable[..., t.Any], is_async: bool) -> None:
        self.function = function
        self.is_async = is_async


class Worker:
    """The worker of queue `name`: what runs its jobs, and how many at once.

    `concurrency` is how many jobs run at once over all server processes; `limiter` bounds how many start in a
    time; `timeout` (float s or a timedelta) is how long the server waits for one delivery. `lock_duration`,
    `stalled_interval` (int ms or a timedelta) and `max_stalled_count` are BullMQ's; leave them at its
    defaults. Raises ConfigurationError, naming the argument, for a value that cannot work.

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
    ) -> None:
        self.name = check_queue_name(name)
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
        self.options: t.Mapping[str, t.Any] = options
        """The options as the registration carries them: camelCase, ms (protocol section 4)."""
        if processor is not None:
            self.processor(processor)

    @t.overload
    def processor(self, name: str, /) -> t.Callable[[P], P]: ...
    @t.overload
    def processor(self, function: P, /) -> P: ...
    def processor(self, target: t.Any, /) -> t.Any:
        """`@worker.processor("name")` runs the jobs of that name, `@worker.processor` all others.

        The function is returned unchanged, so that a test can call it. Raises ConfigurationError for one that
        does not take exactly the job, for a second one of the same name, and after the worker was mounted.
        """
        if not isinstance(target, str):
            self._add(None, target)
            return target

        def decorate(function: P) -> P:
            self._add(target, function)
            return function

        return decorate

    def freeze(self) -> None:
        """No processor can be added from here on. Raises ConfigurationError where there is none."""
        if self._fallback is None and not self._named:
            raise ConfigurationError(
                f"{self} has no processor: Worker({self.name!r}, function), or decorate one with @….processor"
            )
        self._frozen = True

    def find(self, job_name: str) -> BoundProcessor | None:
        """The processor for jobs called `job_name`: its own, or the one for all others."""
        return self._named.get(job_name) or self._fallback

    @property
    def job_names(self) -> tuple[str, ...]:
        """The job names that have a processor of their own."""
        return tuple(self._named)

    def __repr__(self) -> str:
        return f"Worker({self.name!r})"

    def _add(self, job_name: str | None, function: t.Callable[..., t.Any]) -> None:
        if self._frozen:
            raise ConfigurationError(f"{self} is mounted already: add its processors before")
        bound = bind(function, str(self))
        if job_name is None:
            if self._fallback is not None:
                raise ConfigurationError(f"{self} has a processor for all jobs already; give this one a job name")
            self._fallback = bound
            return
        if job_name in self._named:
            raise ConfigurationError(f"{self} has a processor for jobs named {job_name!r} already")
        self._named[job_name] = bound


def bind(function: t.Callable[..., t.Any], owner: str) -> BoundProcessor:
    """`function` with its colour. Raises ConfigurationError for what cannot be called with one job."""
    label = getattr(function, "__qualname__", None) or repr(function)
    if not callable(function):
        raise ConfigurationError(f"{owner}: {label} is not callable; a processor is a function of one job")
    flags = _code_flags(function)
    if flags & (_CO_GENERATOR | _CO_ASYNC_GENERATOR):
        raise ConfigurationError(f"{owner}: {label} is a generator; a processor returns its result")
    if not _takes_one(function):
        raise ConfigurationError(
            f"{owner}: {label} must take exactly one positional argument, the job: def {_name(label)}(job): …"
        )
    return BoundProcessor(function, bool(flags & _CO_COROUTINE))


def _code_flags(function: t.Any) -> int:
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__code__") and not isinstance(function, type):
        function = function.__call__  # a callable object: its method tells its colour
    return int(getattr(getattr(function, "__code__", None), "co_flags", 0))


def _takes_one(function: t.Any) -> bool:
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__") or isinstance(function, type):
        return _signature_takes_one(function)
    is_bound = getattr(function, "__self__", None) is not None
    positional = code.co_argcount - is_bound
    required = positional - len(function.__defaults__ or ())
    keyword_only = code.co_kwonlyargcount - len(function.__kwdefaults__ or ())
    has_varargs = bool(code.co_flags & 0x04)
    return required <= 1 and keyword_only <= 0 and (positional >= 1 or has_varargs)


def _signature_takes_one(function: t.Any) -> bool:
    import inspect  # slow to import, and needed for partials and callable objects only

    try:
        inspect.signature(function).bind(object())
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


def _name(label: str) -> str:
    name = label.rpartition(".")[2]
    return name if name.isidentifier() else "processor"


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


def _whole(name: str, value: object, *, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationError(f"{name} takes a whole number from {low} to {high}, not {value!r}")
    return value
