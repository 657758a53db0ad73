"""The deliveries of a job, in one more field of BullMQ's hash of the job: they go when the job goes."""

from __future__ import annotations

import json
import typing as t

from nextmq_handler.protocol.strict_json import compact
from nextmq_handler.rules.delivery_log import DeliveryEntry, with_entry

FIELD = "nextmq:deliveries"


def appended(text: str | None, entry: DeliveryEntry) -> str:
    """Return the field with one more delivery. `text` is what it held."""
    return compact(with_entry(deliveries(text), entry))


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
    return [t.cast("DeliveryEntry", item) for item in t.cast("list[object]", held) if _is_entry(item)]


def _is_entry(item: object) -> bool:
    return isinstance(item, dict) and item.keys() == DeliveryEntry.__annotations__.keys()
