"""The log of a job's deliveries, as the queue server and the simulator keep it with the job."""

from __future__ import annotations

import typing as t

from typing_extensions import TypedDict  # pydantic takes typing's from Python 3.12 on

from .log_text import one_line

MAX_DELIVERIES = 20
"""How many deliveries of a job are kept."""

MAX_DETAIL = 300
"""How many characters of the detail are kept with a delivery."""

MAX_EXCERPT = 300
"""How many characters are kept of an answer that is not an outcome."""

USING_AN_ATTEMPT = frozenset({"completed", "failed"})
"""The outcomes that use an attempt."""


class FirstDeliveryEntry(TypedDict):
    """What version 0.1 keeps of a delivery."""

    deliveryId: str
    at: int
    status: int | None
    ms: int
    outcome: str
    detail: str | None


class DeliveryEntry(FirstDeliveryEntry, total=False):
    """A delivery that ended: when it was sent (ms since the epoch), how long it took (ms), and its outcome.

    `status` is null if no HTTP answer came. `detail` says why an attempt failed or is retried later. A server of
    version 0.1 leaves the others out: `attempt` is the number of the attempt, and `usedAttempt` whether the
    delivery used it. `isSigned`: the answer was an outcome of the app; otherwise `excerpt` has its beginning.
    `server` is the id of the process that sent the delivery.
    """

    attempt: int
    usedAttempt: bool
    isSigned: bool
    excerpt: str | None
    server: str | None


def delivery_entry(
    delivery_id: str,
    *,
    at: int,
    status: int | None,
    ms: int,
    outcome: str,
    attempt: int,
    is_signed: bool,
    detail: str | None = None,
    excerpt: str | None = None,
    server: str | None = None,
) -> DeliveryEntry:
    """Build the entry of a delivery. `detail` and `excerpt` are shortened and put on one line."""
    return {
        "deliveryId": delivery_id,
        "at": at,
        "status": status,
        "ms": ms,
        "outcome": outcome,
        "detail": one_line(detail, MAX_DETAIL) if detail else detail,
        "attempt": attempt,
        "usedAttempt": outcome in USING_AN_ATTEMPT,
        "isSigned": is_signed,
        "excerpt": one_line(excerpt, MAX_EXCERPT) if excerpt else None,
        "server": server,
    }


def with_entry(entries: t.Sequence[DeliveryEntry], entry: DeliveryEntry) -> list[DeliveryEntry]:
    """Return the log with one more entry: the last `MAX_DELIVERIES`, the newest last."""
    return [*entries, entry][-MAX_DELIVERIES:]


def deliveries_count(attempts_started: int, kept: t.Sequence[DeliveryEntry]) -> int:
    """Return how many deliveries a job had, as far as is known: a start that is put back is not counted."""
    return max(attempts_started, len(kept))
