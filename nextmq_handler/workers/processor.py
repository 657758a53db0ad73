"""A processor bound to its worker: whether it is sync or async, and what its annotations promise."""

from __future__ import annotations

import functools
import typing as t

from ..errors import ConfigurationError

if t.TYPE_CHECKING:
    from collections import abc
    from datetime import date, time, timedelta
    from decimal import Decimal
    from enum import Enum
    from uuid import UUID

    from ..job import AsyncJob, Job
    from ..protocol.values import Signature

    class _Model(t.Protocol):
        def model_dump(self) -> dict[str, t.Any]: ...

    class _Dataclass(t.Protocol):
        __dataclass_fields__: t.ClassVar[dict[str, t.Any]]

    # What can be sent as JSON. It names no coroutine, so that checkers refuse an async def with a Job.
    _Plain = str | float | date | time | timedelta | Decimal | Enum | UUID | None
    Result = _Plain | abc.Mapping[t.Any, t.Any] | abc.Sequence[t.Any] | abc.Set[t.Any] | _Model | _Dataclass

    SyncProcessor = t.Callable[[Job[t.Any]], Result]
    AsyncProcessor = t.Callable[[AsyncJob[t.Any]], t.Coroutine[t.Any, t.Any, t.Any]]
    Processor = SyncProcessor | AsyncProcessor

    class ProcessorDecorator(t.Protocol):
        """Add a function to a worker, and return it: `@worker.processor("name")`, `@worker.every(…)`."""

        @t.overload
        def __call__(self, function: Async, /) -> Async: ...
        @t.overload
        def __call__(self, function: Sync, /) -> Sync: ...


Async = t.TypeVar("Async", bound="AsyncProcessor")
Sync = t.TypeVar("Sync", bound="SyncProcessor")

_CO_COROUTINE, _CO_GENERATOR, _CO_ASYNC_GENERATOR = 0x80, 0x20, 0x200


class Untyped:
    """The signature of a processor without annotations: data and result are plain JSON."""

    data_type = result_type = t.Any

    def load(self, data: t.Any) -> t.Any:
        """Return the data as it is."""
        return data

    def dump(self, result: t.Any) -> t.Any:
        """Return the result as it is."""
        return result

    def schema(self) -> None:
        """Return no schema."""
        return


_UNTYPED = Untyped()


class BoundProcessor:
    """A processor, and whether it is async. `label` names it in errors."""

    def __init__(self, function: t.Callable[..., t.Any], is_async: bool, label: str) -> None:
        self.function: t.Callable[..., t.Any] = function
        self.is_async: bool = is_async
        self.label: str = label

    @functools.cached_property
    def signature(self) -> Signature | Untyped:
        """What the annotations promise. Raises ConfigurationError for annotations that cannot work."""
        function: t.Any = self.function
        is_plain = hasattr(function, "__code__") and not hasattr(function, "__wrapped__")
        if is_plain and not function.__annotations__:
            return _UNTYPED
        from .annotations import signature_of

        signature = signature_of(function, is_async=self.is_async, owner=self.label)
        signature.check(self.label)
        return signature


def bind(function: t.Callable[..., t.Any], owner: str) -> BoundProcessor:
    """Bind `function`, a processor. Raises ConfigurationError if it cannot be called with one job."""
    label = getattr(function, "__qualname__", None) or repr(function)
    if not callable(function):
        raise ConfigurationError(f"{owner}: {label} is not callable; a processor is a function of one job")
    flags = _code_flags(function)
    if flags & (_CO_GENERATOR | _CO_ASYNC_GENERATOR):
        raise ConfigurationError(f"{owner}: {label} is a generator; a processor returns its result")
    if not takes(function, 1):
        name = label.rpartition(".")[2]
        shape = f"def {name if name.isidentifier() else 'processor'}(job): …"
        raise ConfigurationError(f"{owner}: {label} must take exactly one positional argument, the job: {shape}")
    return BoundProcessor(function, bool(flags & _CO_COROUTINE), f"{owner}: {label}")


def _code_flags(function: t.Any) -> int:
    while isinstance(function, (functools.partial, staticmethod)):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    if not hasattr(function, "__code__") and not isinstance(function, type):
        function = function.__call__  # a callable object: its method tells whether it is async
    return int(getattr(getattr(function, "__code__", None), "co_flags", 0))


def is_coroutine_function(function: t.Any) -> bool:
    """Tell whether a call of `function` returns a coroutine: an `async def`, or what wraps one."""
    return bool(_code_flags(function) & _CO_COROUTINE)


def takes(function: t.Any, count: int) -> bool:
    """Tell whether `function` can be called with `count` positional arguments."""
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__") or isinstance(function, type):
        return _signature_takes(function, count)
    is_bound = getattr(function, "__self__", None) is not None
    positional = code.co_argcount - is_bound
    required = positional - len(function.__defaults__ or ())
    keyword_only = code.co_kwonlyargcount - len(function.__kwdefaults__ or ())
    has_varargs = bool(code.co_flags & 0x04)
    return required <= count and keyword_only <= 0 and (positional >= count or has_varargs)


def _signature_takes(function: t.Any, count: int) -> bool:
    import inspect  # slow to import, and needed only for partials and callable objects

    try:
        inspect.signature(function).bind(*[object()] * count)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True
