"""Numbers in sentences: spans of time and counts as people say them."""

from __future__ import annotations

_STEPS = ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"))

_ALSO_SECONDS = 10_000
"""Spans below this, in ms, are said with a tenth of a second."""


def span_text(ms: float) -> str:
    """Return a span as people say it: `350 ms`, `1.5 s`, `12 s`, `6 min`, `3 h`, `2 days`.

    From two of a unit on it is used, rounded down.
    """
    if ms < 1000:
        return f"{max(0, ms):.0f} ms"
    for size, unit in _STEPS:
        if ms >= 2 * size:
            return f"{int(ms // size)} {unit}"
    return f"{ms / 1000:.1f} s" if ms < _ALSO_SECONDS else f"{int(ms // 1000)} s"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 job`, `2 jobs`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
