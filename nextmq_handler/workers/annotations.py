"""Read what a processor's annotations promise about a job's data and result."""

from __future__ import annotations

import functools
import types
import typing as t
from collections import abc

from ..errors import ConfigurationError
from ..job import AsyncJob, Job
from ..protocol.values import Signature

RETURNS_JSON = "__nextmq_returns_json__"
"""Set on a wrapper that turns its function's result into JSON: the result must not be serialised twice."""


def signature_of(function: t.Callable[..., t.Any], *, is_async: bool, owner: str) -> Signature:
    """Read the annotations of `function`, a processor.

    Raises ConfigurationError for an annotation that cannot be resolved, and for a Job in an async processor or an
    AsyncJob in a sync one.
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
        raise ConfigurationError(f"{owner} returns an awaitable that nothing awaits: make it async def")
    code = getattr(target, "__code__", None)
    parameters = () if code is None else code.co_varnames[given : code.co_argcount]
    job_hint = next((hints.get(name, t.Any) for name in parameters), t.Any)
    data_type = _data_type(job_hint, is_async=is_async, owner=owner)
    return Signature(data_type, result_type, returns_json=returns_json)


def _annotated_function(function: t.Any) -> tuple[t.Any, int, bool]:
    """Return the annotated function, how many arguments are bound, and whether it returns JSON already."""
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


def _data_type(hint: t.Any, *, is_async: bool, owner: str) -> t.Any:
    if hint in (t.Any, object):
        return t.Any
    right = AsyncJob if is_async else Job
    members = t.get_args(hint) if t.get_origin(hint) in (t.Union, types.UnionType) else (hint,)
    for member in members:
        if (t.get_origin(member) or member) is right:
            data = next(iter(t.get_args(member)), object)
            return t.Any if data is object or isinstance(data, t.TypeVar) else data
    given = hint.__name__ if isinstance(hint, type) else hint
    kind = "an async def" if is_async else "a def"
    raise ConfigurationError(
        f"{owner} annotates its job as {given}: {kind} processor gets {right.__name__}, so write "
        f"{right.__name__}[…], with the type of the job's data in the brackets"
    )
