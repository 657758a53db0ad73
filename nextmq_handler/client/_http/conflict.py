"""What the server answers to a registration (protocol section 4): who holds the queue, and what is in the way."""

from __future__ import annotations

import typing as t

from ...errors import NextMQHTTPError, WorkerRegistrationError

NEW_SECRET = ("secretIds",)
"""The fields of a conflict that ends by itself: the app has a new webhook secret, and the same URL."""


def is_current(content: object) -> bool:
    """Read whether the server holds this version of the app now. A server of an older version always does."""
    return not (isinstance(content, dict) and t.cast("dict[str, t.Any]", content).get("current") is False)


def conflict(queue: str, exc: NextMQHTTPError) -> WorkerRegistrationError:
    """Return the exception for the answer that the server holds another registration."""
    fields = tuple(str(field) for field in exc.details.get("fields", ()))
    differences = "; ".join(str(text) for text in exc.details.get("differences", ()))
    what = differences or f"{', '.join(fields) or 'it'} differs"
    return WorkerRegistrationError(
        f"the server holds another registration for queue {queue}: {what}. {_fix(fields)}",
        queue=queue,
        fields=fields,
    )


def _fix(fields: tuple[str, ...]) -> str:
    when = "If this app is the one to take over"
    if fields == NEW_SECRET:
        when = "It takes the new webhook secret with the first delivery that this app answers. To do it now"
    return (
        f"{when}: nextmq workers replace module:handler, or ensure_workers_registered(workers, replace=True) as a "
        "deploy step"
    )
