"""Untrusted text in logs and terminals.

Job names, ids and error messages come from producers and apps: they may hold line breaks and escape sequences.
"""

from __future__ import annotations


def one_line(text: str, limit: int | None = None) -> str:
    """Make untrusted `text` safe for one log line.

    Replaces what a terminal does not print with spaces, and shortens the text to `limit` characters.
    """
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…"
