"""Job options that the engine cannot use: any client of Redis may have written them."""

from __future__ import annotations

import json
import typing as t

_LARGEST = 2**53
_SHOWN = 100  # characters


def faults(opts: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return what each option that the engine cannot use must be instead. `opts` have BullMQ's long names."""
    return {
        name: _CHECKS[name][1] for name, value in opts.items() if name in _CHECKS and not _CHECKS[name][0](value)
    }


def in_words(opts: t.Mapping[str, t.Any], found: t.Mapping[str, str]) -> str:
    """Describe the faults that were found in `opts`, as the reason why a job fails."""
    return "; ".join(f"{name} is {json.dumps(opts[name])[:_SHOWN]}, not {found[name]}" for name in sorted(found))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and -_LARGEST <= value <= _LARGEST  # so it is not NaN either


def _is_whole(value: object) -> bool:
    return _is_number(value) and value == int(t.cast("float", value))


def _is_backoff(value: object) -> bool:
    if not value or not isinstance(value, dict):
        return not value or _is_number(value)
    members = t.cast("dict[str, object]", value)
    numbers = members.get("delay") or 0, members.get("jitter") or 0
    return isinstance(members.get("type", ""), str) and all(map(_is_number, numbers))


def _is_keep(value: object) -> bool:
    if not isinstance(value, dict):
        return isinstance(value, str | bool | None) or _is_whole(value)
    members = t.cast("dict[str, object]", value)
    whole = members.get("count") or 0, members.get("limit") or 0
    return _is_number(members.get("age") or 0) and all(map(_is_whole, whole))


_KEEP = "a boolean, a number of jobs, or an object with age and count"
_CHECKS: dict[str, tuple[t.Callable[[object], bool], str]] = {
    "attempts": (lambda value: value is None or _is_number(value), "a number below 2^53"),
    "backoff": (_is_backoff, "a number of ms, or an object with type and delay"),
    "removeOnComplete": (_is_keep, _KEEP),
    "removeOnFail": (_is_keep, _KEEP),
    "stackTraceLimit": (lambda value: value is None or _is_whole(value), "a whole number"),
}
