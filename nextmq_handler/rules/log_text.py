"""Untrusted text in logs and terminals.

Job names, ids and error messages come from producers and apps: they may hold line breaks and escape sequences.
"""

from __future__ import annotations

from ..protocol.user_code import text_of
from .limits import MAX_LOG_ROW, MAX_NUMBER


def one_line(text: str, limit: int | None = None) -> str:
    """Make untrusted `text` safe for one log line.

    Replaces what a terminal does not print with spaces, and shortens the text to `limit` characters.
    """
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…"


def log_row(value: object) -> str:
    """Return `value` as a row of a job's log: a log must never fail the work that it is about.

    What is not text becomes text, lone surrogates become question marks, and a long row is cut. Raises nothing.
    """
    text = value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else text_of(value)
    row = text[: MAX_LOG_ROW + 1].encode("utf-8", "replace").decode()
    return row if len(row) <= MAX_LOG_ROW else row[: MAX_LOG_ROW - 1] + "…"


def kept_rows(value: object) -> int | None:
    """Return how many rows of its log a job keeps, from its option keepLogs; None, all, for what cannot be one."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MAX_NUMBER else None
