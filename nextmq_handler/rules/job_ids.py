"""The ids that a job may have."""

from __future__ import annotations

QUEUE_KEYS = frozenset(
    (
        *("", "active", "completed", "de", "delayed", "events", "failed", "id", "limiter", "marker", "meta"),
        *("paused", "pc", "prioritized", "repeat", "stalled", "stalled-check", "wait", "waiting-children"),
    )
)
"""The names of a queue's own keys in Redis. A job with such an id would overwrite one."""


def is_custom_id(text: str) -> bool:
    """Return whether a job may be given this id, by BullMQ's rules and so that no key of the queue is hit."""
    return ":" not in text and not text.isdecimal() and text not in QUEUE_KEYS
