"""Values as pages show them: numbers, ages, ids, JSON, states in words and how loud they are."""

from __future__ import annotations

import json
import typing as t
from datetime import UTC, datetime

from ..words import span_text

MAX_CELL = 300
"""How many characters of a job's data a row of a list has at most."""

_KEPT = 12
"""An id that is longer, in characters, is cut in the middle."""

_LAST_MOMENT = 253_402_300_799_000  # the end of the year 9999

_TONES = {
    "bad": ("failed", "held", "disabled", "unknown"),
    "warn": ("no_worker", "paused", "stuck", "dead_letters", "rate_limited", "delayed"),
    "ok": ("running", "completed", "active"),
}
_TONE_OF = {state: tone for tone, states in _TONES.items() for state in states}

_WORDS = {"waiting-children": "children", "dead_letters": "dead letters"}


def number(value: int | None) -> str:
    """Return a number with commas: `6,122`; a dash for None."""
    return "—" if value is None else f"{value:,}"


def moment(ms: int) -> datetime:
    """Return a time (ms since the epoch) that a datetime can hold."""
    return datetime.fromtimestamp(min(max(ms, 0), _LAST_MOMENT) / 1000, UTC)


def ago(ms: int | None, now: int) -> str:
    """Return how long ago a time was, or how soon it is, both ms since the epoch; a dash for None."""
    if ms is None:
        return "—"
    return f"{span_text(now - ms)} ago" if now >= ms else f"in {span_text(ms - now)}"


def compact(value: t.Any) -> str:
    """Return JSON in one line, cut."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…"


def pretty(value: t.Any) -> str:
    """Return JSON in lines."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def short_id(id: str) -> str:
    """Return an id, cut in the middle if it is long."""
    return id if len(id) <= _KEPT else f"{id[:8]}…{id[-3:]}"


def tone(state: str) -> str:
    """Return how loud a state is: `bad`, `warn`, `ok`, or nothing."""
    return _TONE_OF.get(state, "")


def state_words(state: str) -> str:
    """Return a state in words."""
    return _WORDS.get(state, state.replace("_", " "))
