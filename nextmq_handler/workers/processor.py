"""A processor bound to its worker: what kind of function it is, what it takes, what its annotations say."""

from __future__ import annotations

import functools
import typing as t

from ..errors import ConfigurationError

if t.TYPE_CHECKING:
    from .annotations import Signature

_CO_COROUTINE, _CO_GENERATOR, _CO_ASYNC_GENERATOR = 0x80, 0x20, 0x200


class Untyped:
    """What a processor without annotations says: nothing, so data and result are plain JSON."""

    data_type = result_type = t.Any

    def load(self, data: t.Any) -> t.Any:
        """The data as it is."""
        return data

    def dump(self, result: t.Any) -> t.Any:
        """The result as it is."""
        return result

    def schema(self) -> None:
        """No schema."""
        return


_UNTYPED = Untyped()


class BoundProcessor:
    """A processor, its colour and, once its worker is mounted, what its annotations say."""

    __slots__ = ("_signature", "function", "is_async", "label")

    def __init__(self, function: t.Callable[..., t.Any], is_async: bool, label: str) -> None:
        self.function: t.Callable[..., t.Any] = function
        self.is_async: bool = is_async
        self.label: str = label
        self._signature: Signature | Untyped | None = None

    @property
    def signature(self) -> Signature | Untyped:
        """What the annotations say. Raises ConfigurationError for annotations that cannot work."""
        if self._signature is None:
            self._signature = self._read_signature()
        return self._signature

    def _read_signature(self) -> Signature | Untyped:
        function: t.Any = self.function
        is_plain = hasattr(function, "__code__") and not hasattr(function, "__wrapped__")
        if is_plain and not function.__annotations__:
            return _UNTYPED
        from .annotations import signature_of

        signature = signature_of(function, is_async=self.is_async, owner=self.label)
        signature.check(self.label)
        return signature


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
    return BoundProcessor(function, bool(flags & _CO_COROUTINE), f"{owner}: {label}")


def _code_flags(function: t.Any) -> int:
    while isinstance(function, (functools.partial, staticmethod)):
        function = function.func if isinstance(function, functools.partial) else function.__func__
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
