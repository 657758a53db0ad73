"""Text of others on a line of ours."""

from __future__ import annotations


def one_line(text: str, limit: int | None = None) -> str:
    """`text` without what could end a log's line or rewrite a terminal, at most `limit` characters of it."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…"
