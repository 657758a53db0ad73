"""The ids that a job may have."""

from __future__ import annotations

import re

QUEUE_KEYS = frozenset(
    (
        *("", "active", "completed", "de", "delayed", "events", "failed", "id", "limiter", "marker", "meta"),
        *("paused", "pc", "prioritized", "repeat", "stalled", "stalled-check", "wait", "waiting-children"),
    )
)
"""The names of a queue's own keys in Redis. A job with such an id would overwrite one."""


def is_custom_id(text: str) -> bool:
    """Return whether a job may be given this id, by BullMQ's rules and so that no key of the queue is hit."""
    return ":" not in text and not is_integer(text) and text not in QUEUE_KEYS


def is_integer(text: str) -> bool:
    """Return whether BullMQ in Node takes an id for a number: parseInt, as text again, gives the same text.

    So "007" and integers with more digits than a double holds are no numbers; "-1" and "NaN" are.
    """
    if text == "NaN":
        return True
    if len(text.lstrip("-")) > _MOST_DIGITS or not _WHOLE.fullmatch(text):
        return False
    from decimal import Decimal  # a plain id does not pay for it

    return f"{Decimal(repr(float(text))):f}".removesuffix(".0") == text


_WHOLE = re.compile("0|-?[1-9][0-9]*")
_MOST_DIGITS = 21  # JavaScript writes numbers from 1e21 on with an exponent
