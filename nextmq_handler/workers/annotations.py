"""Typed jobs: what a processor's annotations promise about data and result, kept by pydantic.

pydantic is loaded only for an annotation that JSON types do not cover.
"""

from __future__ import annotations

import collections
import enum
import functools
import math
import sys
import types
import typing as t
from collections import abc

from ..errors import ConfigurationError, DataError, ResultError
from ..job import AsyncJob, Job
from ..protocol import strict_json

if t.TYPE_CHECKING:
    from pydantic import TypeAdapter

_REFUSED = "is refused by its validator"
# Errors whose text may quote the value, as that of a validator's own does.
_QUOTING = {
    "value_error": _REFUSED,
    "assertion_error": _REFUSED,
    "union_tag_invalid": "has a tag that none of the union's types has",
}
_PLAIN = (dict, list, str, int, float, bool)

RETURNS_JSON = "__nextmq_returns_json__"
"""Set on a wrapper that makes its function's result JSON by itself: it must not be serialised twice."""


class Signature:
    """What the annotations of a processor say: the type of the job's data and of the result.

    `returns_json`: the result was serialised as its annotation says before it gets here.
    """

    __slots__ = ("_adapters", "_is_json", "_plain", "data_type", "result_type")

    def __init__(self, data_type: t.Any, result_type: t.Any, *, returns_json: bool = False) -> None:
        self.data_type: t.Any = data_type
        self.result_type: t.Any = result_type
        self._plain = _plain_class(data_type)
        self._is_json = returns_json or _is_json_type(result_type)
        self._adapters: dict[str, TypeAdapter[t.Any]] = {}

    def load(self, data: t.Any, name: str = "data") -> t.Any:
        """The job's data as the annotation says. Raises DataError, which calls it `name`."""
        if self.data_type is t.Any:
            return data
        plain = self._plain
        if plain is not None:
            if isinstance(data, plain) and (plain is bool or not isinstance(data, bool)):
                return data
            if plain is float and type(data) is int and abs(data) <= sys.float_info.max:
                return float(data)  # JSON has one kind of number
            raise DataError(f"{name}: is not {plain.__name__}")
        from pydantic import ValidationError

        try:
            return self._adapter("data", self.data_type).validate_json(strict_json.dumps(data))
        except ValidationError as exc:
            raise DataError(_problems(exc, name)) from None
        except Exception as exc:
            raise DataError(f"{name}: its validator raised {type(exc).__name__}") from exc

    def dump(self, result: t.Any) -> t.Any:
        """The result as JSON values. Raises ResultError."""
        if self._is_json:
            return result
        adapter = self._adapter("result", self.result_type)
        try:
            if _is_foreign(result, self.result_type):
                adapter = self._adapter("any", t.Any)
            refuse_what_is_not_json(adapter.dump_python(result, warnings=False))
            return adapter.dump_python(result, mode="json", warnings=False)
        except Exception as exc:  # noqa: BLE001 - a model's serializer may raise anything
            raise ResultError(f"the return value is not JSON: {exc}") from None

    def schema(self) -> dict[str, t.Any] | None:
        """The JSON Schema of the data; None where the annotation says nothing about it, or has none."""
        if self.data_type is t.Any:
            return None
        try:
            schema = self._adapter("data", self.data_type).json_schema()
            strict_json.dumps(schema)  # a default may be NaN
        except Exception:  # noqa: BLE001 - a type that validates need not have a schema
            return None
        return schema

    def check(self, owner: str) -> None:
        """Raises ConfigurationError for annotations that pydantic cannot serve."""
        try:
            # The title of a validator is there once each name in its type is.
            if self.data_type is not t.Any and self._plain is None:
                _ = self._adapter("data", self.data_type).validator.title
            if not _is_json_type(self.result_type):
                _ = self._adapter("result", self.result_type).validator.title
        except Exception as exc:  # noqa: BLE001 - pydantic's schema errors share no public base
            raise ConfigurationError(f"{owner}: its annotation cannot be validated: {_first_line(exc)}") from None

    def _adapter(self, name: str, type_: t.Any) -> TypeAdapter[t.Any]:
        if name not in self._adapters:
            from pydantic import TypeAdapter

            self._adapters[name] = TypeAdapter(type_)
        return self._adapters[name]


def signature_of(function: t.Callable[..., t.Any], *, is_async: bool, owner: str) -> Signature:
    """What `function`'s annotations say.

    Raises ConfigurationError for an annotation that cannot be resolved, and for a job of the wrong colour.
    """
    target, given, returns_json = _annotated_function(function)
    if not getattr(target, "__annotations__", None):
        return Signature(t.Any, t.Any, returns_json=returns_json)
    try:
        hints = t.get_type_hints(target, include_extras=True)
    except Exception as exc:  # noqa: BLE001 - evaluating an annotation may raise anything
        raise ConfigurationError(
            f"{owner}: an annotation cannot be resolved: {exc}. Import the name at module level, outside "
            "`if TYPE_CHECKING:`"
        ) from None
    result_type = hints.pop("return", t.Any)
    returned = t.get_origin(result_type) or result_type
    if not is_async and isinstance(returned, type) and issubclass(returned, abc.Awaitable):
        raise ConfigurationError(f"{owner} returns an awaitable, which nobody awaits: make it async def")
    job_hint = next((hints.get(name, t.Any) for name in _parameters(target)[given:]), t.Any)
    data_type = _data_type(job_hint, is_async=is_async, owner=owner)
    return Signature(data_type, result_type, returns_json=returns_json)


def _annotated_function(function: t.Any) -> tuple[t.Any, int, bool]:
    """The function with the annotations, how many of its arguments are given, whether it returns JSON already."""
    given, returns_json = 0, False
    while True:
        returns_json = returns_json or getattr(function, RETURNS_JSON, False)
        if isinstance(function, functools.partial):
            given += len(function.args)
            function = function.func
        elif isinstance(function, types.MethodType):
            given += 1
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "__code__") or isinstance(function, (type, types.MethodWrapperType)):
            return function, given, returns_json
        else:
            function = function.__call__  # a callable object


def _parameters(function: t.Any) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    return () if code is None else code.co_varnames[: code.co_argcount]


def _data_type(hint: t.Any, *, is_async: bool, owner: str) -> t.Any:
    if hint in (t.Any, object):
        return t.Any
    right = AsyncJob if is_async else Job
    members = t.get_args(hint) if t.get_origin(hint) in (t.Union, types.UnionType) else (hint,)
    fitting = next((member for member in members if (t.get_origin(member) or member) is right), None)
    if fitting is not None:
        arguments = t.get_args(fitting)
        says_nothing = not arguments or arguments[0] is object or isinstance(arguments[0], t.TypeVar)
        return t.Any if says_nothing else arguments[0]
    colour = "an async def" if is_async else "a def"
    raise ConfigurationError(
        f"{owner} annotates its job as {_type_name(hint)}: {colour} processor gets {right.__name__}, so write "
        f"{right.__name__}[…], with the type of the job's data in the brackets"
    )


def _type_name(hint: t.Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _plain_class(type_: t.Any) -> type | None:
    """The class to check by isinstance alone: a JSON type without anything inside to validate."""
    if type_ in _PLAIN:
        return t.cast("type", type_)
    if t.get_origin(type_) in (dict, list) and t.get_args(type_) in ((str, t.Any), (t.Any,)):
        return t.cast("type", t.get_origin(type_))
    return None


def _is_json_type(type_: t.Any) -> bool:
    """Whether every value of the type is JSON already."""
    if type_ in (t.Any, None, type(None), t.NoReturn, t.Never, *_PLAIN):
        return True
    if t.get_origin(type_) in (dict, list, t.Union, types.UnionType):
        return all(map(_is_json_type, t.get_args(type_)))
    return False


def _is_foreign(result: object, type_: t.Any) -> bool:
    """Whether pydantic would take an object for a model that it is not, and find none of the model's fields."""
    members = t.get_args(type_) if t.get_origin(type_) in (t.Union, types.UnionType) else (type_,)
    return (
        hasattr(result, "__dict__")
        and all(isinstance(member, type) for member in members)
        and not isinstance(result, members)
    )


def refuse_what_is_not_json(value: t.Any) -> None:
    """Raises TypeError or ValueError: pydantic makes bytes text where they happen to be UTF-8, and NaN null."""
    level: list[object] = [value]
    while level:
        if any(isinstance(item, (bytes, bytearray, memoryview)) for item in level):
            raise TypeError("it holds bytes; encode them, in base64 say")
        if any(isinstance(item, float) and not math.isfinite(item) for item in level):
            raise ValueError("it holds NaN or an infinity")
        level = [part for whole in level for part in _parts(whole)]


def _parts(value: object) -> t.Iterable[object]:
    if isinstance(value, dict):
        members = t.cast("dict[object, object]", value)
        return (*members.keys(), *members.values())
    if isinstance(value, enum.Enum):
        return (value.value,)
    if isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        return t.cast("t.Iterable[object]", value)
    return ()


def _problems(exc: t.Any, name: str) -> str:
    from pydantic_core import core_schema

    shown: list[str] = []
    for error in exc.errors(include_url=False, include_context=False, include_input=False):
        path = ".".join(map(str, (name, *error["loc"])))
        is_quiet = error["type"] in t.get_args(core_schema.ErrorType) and error["type"] not in _QUOTING
        shown.append(f"{path}: {error['msg'] if is_quiet else _QUOTING.get(error['type'], _REFUSED)}")
    return "; ".join(shown)


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0]
