"""The last deliveries of a job, in one more field of BullMQ's hash of it: they go when the job goes."""

from __future__ import annotations

import json
import typing as t

from ..text import one_line

FIELD = "nextmq:deliveries"

MAX_DELIVERIES = 20
"""How many of a job's deliveries are kept."""

MAX_DETAIL = 300
"""How much of the reason is kept with a delivery, in characters."""

_json = json.JSONEncoder(separators=(",", ":")).encode


class Delivery(t.TypedDict):
    """A delivery that ended: when it was sent (ms since the epoch), how long it took, and what came of it.

    `status` is None where no HTTP answer came; `detail` says why an attempt failed, or was put off.
    """

    deliveryId: str
    at: int
    status: int | None
    ms: int
    outcome: str
    detail: str | None


def appended(text: str | None, delivery: Delivery) -> str:
    """The field with one more delivery, from what it held."""
    detail = delivery["detail"]
    short: Delivery = {**delivery, "detail": one_line(detail, MAX_DETAIL)} if detail else delivery
    return _json([*deliveries(text), short][-MAX_DELIVERIES:])


def deliveries(text: str | None) -> list[Delivery]:
    """The deliveries that the field holds, the newest last."""
    if not text:
        return []
    try:
        held: object = json.loads(text)
    except ValueError:
        return []  # any client of Redis may have written there
    if not isinstance(held, list):
        return []
    return [t.cast("Delivery", item) for item in t.cast("list[object]", held) if _is_delivery(item)]


def _is_delivery(item: object) -> bool:
    return isinstance(item, dict) and item.keys() == Delivery.__annotations__.keys()
