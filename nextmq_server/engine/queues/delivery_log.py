"""The deliveries of a job, in one more field of BullMQ's hash of the job: they go when the job goes.

The field is a JSON list. Version 0.1 reads only objects with exactly the members that it writes. So what later
versions add to an entry follows it as an object of its own: both versions read all entries of the other.
"""

from __future__ import annotations

import json
import typing as t

from nextmq_handler.protocol.strict_json import compact
from nextmq_handler.rules.delivery_log import DeliveryEntry, FirstDeliveryEntry, with_entry

FIELD = "nextmq:deliveries"

_FIRST = FirstDeliveryEntry.__annotations__.keys()
_ADDED = DeliveryEntry.__annotations__.keys() - _FIRST


def appended(text: str | None, entry: DeliveryEntry) -> str:
    """Return the field with one more delivery. `text` is what it held."""
    return compact([part for kept in with_entry(deliveries(text), entry) for part in _parts(kept)])


def deliveries(text: str | None) -> list[DeliveryEntry]:
    """Return the deliveries that the field holds, the newest last."""
    if not text:
        return []
    try:
        held: object = json.loads(text)
    except ValueError:
        return []  # any client of Redis may have written there
    if not isinstance(held, list):
        return []
    found: list[dict[str, t.Any]] = []
    for item in t.cast("list[object]", held):
        if not isinstance(item, dict):
            continue
        members = t.cast("dict[str, t.Any]", item)
        if members.keys() >= _FIRST:
            found.append(_some(members, _FIRST | _ADDED))
        elif found:
            found[-1] |= _some(members, _ADDED)
    return t.cast("list[DeliveryEntry]", found)


def _parts(entry: DeliveryEntry) -> t.Iterator[dict[str, t.Any]]:
    """Yield the members that version 0.1 writes, then the others."""
    added: dict[str, t.Any] = {**entry}
    yield {name: added.pop(name) for name in _FIRST}
    if added:
        yield added


def _some(members: t.Mapping[str, t.Any], wanted: t.Collection[str]) -> dict[str, t.Any]:
    return {name: value for name, value in members.items() if name in wanted}
