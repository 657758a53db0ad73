"""What differs between two registrations, in words: "concurrency 4 → 8"."""

from __future__ import annotations

import json
import typing as t

from nextmq_handler.rules.log_text import one_line

from .registration import Registration

MAX_VALUE = 200
"""The longest text of a value, in characters."""

MAX_NAMES = 10
"""How many schedules are named; of more only the number is given."""


def differences(before: Registration, after: Registration) -> list[str]:
    """Return each difference of the URLs, secrets, options, schedules and schemas."""
    found = [_change("url", before.url, after.url)] if before.url != after.url else []
    if not set(before.secret_ids) & set(after.secret_ids):
        found.append(f"secretIds {', '.join(before.secret_ids)} → {', '.join(after.secret_ids)}")
    old, new = (each.options.model_dump(by_alias=True) for each in (before, after))
    found += [_change(name, old[name], new[name]) for name in old if old[name] != new[name]]
    found += _schedules(before, after)
    return [*found, "schemas"] if before.schemas != after.schemas else found


def _schedules(before: Registration, after: Registration) -> list[str]:
    old, new = ({schedule.id: schedule for schedule in each.schedules} for each in (before, after))
    changed = [id for id in old.keys() & new.keys() if old[id] != new[id]]
    kinds = (("added", new.keys() - old), ("changed", changed), ("removed", old.keys() - new))
    return [f"schedules {kind}: {_named(ids)}" for kind, ids in kinds if ids]


def _named(ids: t.Collection[str]) -> str:
    return f"{len(ids)}" if len(ids) > MAX_NAMES else ", ".join(one_line(id, MAX_VALUE) for id in sorted(ids))


def _change(name: str, before: object, after: object) -> str:
    return f"{name} {_shown(before)} → {_shown(after)}"


def _shown(value: object) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return one_line(text, MAX_VALUE)
