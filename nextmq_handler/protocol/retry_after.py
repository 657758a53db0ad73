"""The `retry-after` header, as the server and the apps send it."""

from __future__ import annotations


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return how many s the header asks to wait, 0 or more; None if it is missing or malformed.

    The header holds a number of s, or a date. `now` is s since the epoch.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    from datetime import UTC
    from email.utils import parsedate_to_datetime  # slow to import, and few answers have the header

    try:
        moment = parsedate_to_datetime(text)
        # "-0000" means UTC from an unknown place.
        return max(0.0, moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
