"""The hooks of a worker: functions that hear of its jobs, such as an error tracker's."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from ..protocol.arguments import shown
from .processor import is_coroutine_function, takes

HookName = t.Literal["on_active", "on_completed", "on_failed"]

OnActive = t.Callable[[t.Any], object]
"""Takes the job, before its processor runs. `def` or `async def`."""

OnCompleted = t.Callable[[t.Any, t.Any], object]
"""Takes the job and what its processor returned. `def` or `async def`."""

OnFailed = t.Callable[[t.Any, BaseException], object]
"""Takes the job and the exception that its attempt failed with. `def` or `async def`."""


class Hook(t.NamedTuple):
    """A hook, checked."""

    name: HookName
    function: t.Callable[..., t.Any]
    is_async: bool


def bind_hooks(owner: str, given: t.Mapping[HookName, t.Any]) -> dict[HookName, Hook]:
    """Return the hooks that were given. Raises ConfigurationError, naming `owner`, for one that cannot work."""
    hooks: dict[HookName, Hook] = {}
    for name, function in given.items():
        if function is None:
            continue
        count, shape = (1, "job") if name == "on_active" else (2, f"job, {_SECOND[name]}")
        if not callable(function):
            raise ConfigurationError(f"{owner}: {name} takes a function, not {shown(function)}")
        if not takes(function, count):
            raise ConfigurationError(f"{owner}: {name} is called as {name}({shape}): its function must take that")
        hooks[name] = Hook(name, function, is_coroutine_function(function))
    return hooks


_SECOND = {"on_completed": "result", "on_failed": "error"}
