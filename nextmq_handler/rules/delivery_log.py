"""The log of a job's deliveries, as the queue server and the simulator keep it with the job."""

from __future__ import annotations

import typing as t

from typing_extensions import TypedDict  # pydantic takes typing's from Python 3.12 on

from .log_text import one_line

MAX_DELIVERIES = 20
"""How many deliveries of a job are kept."""

MAX_DETAIL = 300
"""How many characters of the detail are kept with a delivery."""


class DeliveryEntry(TypedDict):
    """A delivery that ended: when it was sent (ms since the epoch), how long it took (ms), and its outcome.

    `status` is null if no HTTP answer came. `detail` says why an attempt failed or is retried later.
    """

    deliveryId: str
    at: int
    status: int | None
    ms: int
    outcome: str
    detail: str | None


def delivery_entry(
    delivery_id: str, *, at: int, status: int | None, ms: int, outcome: str, detail: str | None = None
) -> DeliveryEntry:
    """Build the entry of a delivery. `detail` is shortened and put on one line."""
    return {
        "deliveryId": delivery_id,
        "at": at,
        "status": status,
        "ms": ms,
        "outcome": outcome,
        "detail": one_line(detail, MAX_DETAIL) if detail else detail,
    }


def with_entry(entries: t.Sequence[DeliveryEntry], entry: DeliveryEntry) -> list[DeliveryEntry]:
    """Return the log with one more entry: the last `MAX_DELIVERIES`, the newest last."""
    return [*entries, entry][-MAX_DELIVERIES:]
