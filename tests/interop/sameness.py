"""Make the observations of both sides comparable: replace their ids and times."""

from __future__ import annotations

import json
import re
import typing as t

UNORDERED = ("active", "waiting-children", "completed", "failed")
"""States ordered by a time: jobs of the same ms have no fixed order."""

_UUID = re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b")
_KIND = re.compile(r"\b(?:RuntimeError|UnrecoverableJobError|UnrecoverableError|PendingDependencies): ")
"""The prefixes that our server puts before a message in a failed reason."""

_NOW = 1_750_000_000_000, 1_899_999_999_999
"""Times in this range are the clock's, others are the scenario's own."""

_LONG = 10**10
"""A delay, in ms, until a moment of the scenario."""

_MOMENT = re.compile(r"\b1[78]\d{11}\b")

_DEFAULTS = {"attempts": 0, "delay": 0}
_SCHEDULED = ("delay", "prevMillis", "repeatJobKey")
"""Options of a scheduler's job: the first depends on the clock, and BullMQ drops the others."""

_PENDING, _OPEN_CHILDREN = (
    re.compile(r"^Job \S+ has pending dependencies\. moveToFinished$"),
    "the job cannot complete: it has open children",
)
"""A failed reason that BullMQ and our server word differently."""


def comparable(told: t.Sequence[t.Any], name: str) -> list[t.Any]:
    """Return the observations of one side in comparable form; `name` is the chapter's, and prefixes its queues."""
    names: dict[str, str] = {}

    def ordinal(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"id-{len(names)}")

    texts = [json.dumps(_clean(seen), sort_keys=True, ensure_ascii=False) for seen in told]
    texts = [_KIND.sub("", text) for text in texts]
    prefixed = re.compile(rf"(?:\b[\w-]+:)?{re.escape(name)}-")
    return [json.loads(prefixed.sub("", _UUID.sub(ordinal, text))) for text in texts]


def differences(one: t.Any, other: t.Any, path: str = "") -> t.Iterator[str]:
    """Describe where two values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}, key=str):
            yield from differences(one.get(key, ...), other.get(key, ...), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    elif one != other:
        yield f"{path.lstrip('.')}: Node {one!r}, we {other!r}"


def _clean(value: t.Any, key: str = "") -> t.Any:
    if isinstance(value, dict):
        members = t.cast("dict[str, t.Any]", value)
        if key == "counts":
            return {state: count for state, count in members.items() if count or state != "paused"}
        cleaned = {name: _clean(member, name) for name, member in members.items() if name != "message"}
        if key == "jobs":
            return {state: _sorted(jobs) if state in UNORDERED else jobs for state, jobs in cleaned.items()}
        if key == "opts":
            is_scheduled = "repeat" in members
            kept = {name: member for name, member in cleaned.items() if not (is_scheduled and name in _SCHEDULED)}
            return {name: member for name, member in kept.items() if _DEFAULTS.get(name) != member}
        return cleaned
    if isinstance(value, list):
        return [_clean(member, key) for member in value]
    if isinstance(value, int) and _NOW[0] < value < _NOW[1]:
        return "now"
    if key == "delay" and isinstance(value, int) and value > _LONG:
        return "long"
    if isinstance(value, str):
        return _MOMENT.sub("now", _PENDING.sub(_OPEN_CHILDREN, value))
    return value


def _sorted(jobs: list[t.Any]) -> list[t.Any]:
    return sorted(jobs, key=lambda job: t.cast("str", job["name"]))
