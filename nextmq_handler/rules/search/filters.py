"""Filters of jobs: the one grammar of searches and bulk operations.

A filter is terms, of which a job must match all: `state:failed error:502 attempts:>2 since:2h data.user.id:42`.
A term without a field is looked for in name, data and error. Quotes hold a text with spaces together.
"""

from __future__ import annotations

import re
import typing as t
from datetime import UTC, datetime

from ..limits import MAX_DELAY_MS
from ..near_names import nearest
from ..states import STATES

MAX_FILTER = 2000
"""The longest filter, in characters."""

MAX_TERMS = 20
"""The most terms of a filter."""

MAX_PATH = 20
"""The most names in the path of a term such as `data.user.id:42`."""

TEXT = "text"
"""The field of a term that has none: it is looked for in name, data and error."""

FIELDS = ("id", "queue", "state", "name", "data", "error", "status", "attempts", "since", "until")
"""The fields of a filter. `data` may have a path: `data.user.id`."""

_NUMBERS = ("status", "attempts")
_TIMES = ("since", "until")
_PATTERNS = ("queue", "name")
_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}

_FIELD = re.compile(r'([^\s:"]*):')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE = re.compile(r"\S+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NUMBER = re.compile(r"(<=|>=|<|>|=)?([0-9]{1,12})", re.ASCII)
_SPAN = re.compile(r"([0-9]{1,12})(ms|s|m|h|d|w)", re.ASCII)
_MS_TIME = re.compile(r"[0-9]{12,15}", re.ASCII)


class FilterError(ValueError):
    """A filter does not parse: the `position` (in characters, from 0) and the text of the `part` that is wrong."""

    def __init__(self, position: int, part: str, problem: str) -> None:
        shown = part if len(part) <= _MAX_PART else part[: _MAX_PART - 1] + "…"
        super().__init__(f"at position {position}, {shown!r}: {problem}")
        self.position = position
        self.part = shown


class Term(t.NamedTuple):
    """One condition. `op` compares numbers; a `literal` value has stars that stand for themselves."""

    field: str
    value: str
    op: str = ""
    literal: bool = False

    @property
    def path(self) -> list[str]:
        """The path into the data; [] if the term is about something else."""
        return self.field.split(".")[1:]

    @property
    def number(self) -> int:
        """The number of a term that compares."""
        return int(self.value)

    @property
    def fragments(self) -> list[str]:
        """The texts between the stars of a pattern."""
        return [self.value] if self.literal else self.value.split("*")

    def at(self, now: int) -> int:
        """Return the time that `since` or `until` means at `now`; both are ms since the epoch."""
        if span := _SPAN.fullmatch(self.value):
            return now - int(span[1]) * _MS[span[2]]
        return int(self.value) if _MS_TIME.fullmatch(self.value) else _moment(self.value)

    def __str__(self) -> str:
        shown = self.op + (_quoted(self.value) if self.literal or not _is_plain(self) else self.value)
        return shown if self.field == TEXT else f"{self.field}:{shown}"


class Filter(t.NamedTuple):
    """Terms that must all match. `str` of it parses to the same filter."""

    terms: tuple[Term, ...] = ()

    def of(self, field: str) -> list[Term]:
        """Return the terms of a field."""
        return [term for term in self.terms if term.field == field]

    def without(self, *fields: str) -> Filter:
        """Return the filter without the terms of these fields."""
        return Filter(tuple(term for term in self.terms if term.field not in fields))

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))


def parse_filter(text: str) -> Filter:
    """Return the filter that `text` is; an empty one has no terms. Raises FilterError."""
    if len(text) > MAX_FILTER:
        raise FilterError(MAX_FILTER, text[MAX_FILTER:], f"a filter has at most {MAX_FILTER} characters")
    if (surrogate := _SURROGATE.search(text)) is not None:
        raise FilterError(surrogate.start(), surrogate[0], "is half a character, which no job holds")
    terms, position = list[Term](), 0
    while (start := _SPACES.match(text, position).end()) < len(text):
        if len(terms) == MAX_TERMS:
            raise FilterError(start, text[start:], f"a filter has at most {MAX_TERMS} terms")
        term, position = _term(text, start)
        terms.append(term)
    return Filter(tuple(terms))


def term(field: str, value: str) -> str:
    """Return the text of a term whose value stands for itself, to build filters. Raises FilterError."""
    return str(parse_filter(f"{field}:{_quoted(value)}"))


def _term(text: str, start: int) -> tuple[Term, int]:
    named = _FIELD.match(text, start)
    field = TEXT if named is None else _field(named[1], start)
    value_at = start if named is None else named.end()
    value, is_quoted, end = _value(text, value_at)
    part = text[start:end]
    if not value:
        raise FilterError(start, part, f"write what to look for after {part}" if not is_quoted else "is empty")
    return _checked(field, value, is_quoted, start, part), end


def _field(name: str, position: int) -> str:
    base, *path = name.split(".")
    known = base in FIELDS and (not path or base == "data")
    if not known:
        near = nearest(base, FIELDS)
        hint = f'did you mean "{near}:"?' if near else f"the fields are {', '.join(FIELDS)}."
        raise FilterError(
            position, f"{name}:", f"is not a field; {hint} Put quotes around it to look for it as text"
        )
    if "" in path or len(path) > MAX_PATH:
        raise FilterError(position, f"{name}:", f"is not a path: data.NAME.NAME, with at most {MAX_PATH} names")
    return name


def _value(text: str, start: int) -> tuple[str, bool, int]:
    """Return the value at `start`, whether it has quotes, and where it ends."""
    if text.startswith('"', start):
        quoted = _QUOTED.match(text, start)
        if quoted is None:
            raise FilterError(start, text[start:], "the quote is not closed")
        end = quoted.end()
        if end < len(text) and not text[end].isspace():
            raise FilterError(end, text[end : end + 1], "write a space after the closing quote")
        return _ESCAPED.sub(r"\1", quoted[1]), True, end
    bare = _BARE.match(text, start)
    if bare is None:
        return "", False, start
    if '"' in bare[0]:
        raise FilterError(start + bare[0].index('"'), bare[0], 'put quotes around all of it, and \\ before "')
    return bare[0], False, bare.end()


def _checked(field: str, value: str, is_quoted: bool, position: int, part: str) -> Term:
    if field in _NUMBERS:
        number = _NUMBER.fullmatch(value)
        if number is None or is_quoted:
            raise FilterError(position, part, f"write a whole number, as {field}:3 or {field}:>=3")
        return Term(field, number[2], "" if number[1] in (None, "=") else number[1])
    if field == "state" and value not in STATES:
        near = nearest(value, STATES)
        hint = f'did you mean "{near}"?' if near else f"the states are {', '.join(STATES)}"
        raise FilterError(position, part, f"is not a state; {hint}")
    if field in _TIMES:
        return _checked_time(field, value, position, part)
    is_pattern = field in _PATTERNS or field.startswith("data.")
    return Term(field, value, literal=is_quoted and is_pattern and "*" in value)


def _checked_time(field: str, value: str, position: int, part: str) -> Term:
    span = _SPAN.fullmatch(value)
    if span is not None and int(span[1]) * _MS[span[2]] > MAX_DELAY_MS:
        raise FilterError(position, part, "is longer than ten years")
    if span is None and not _MS_TIME.fullmatch(value):
        try:
            _moment(value)
        except (ValueError, OverflowError):
            text = f"write a span or a time, as {field}:30m, {field}:2h, {field}:7d or {field}:2026-01-31T09:12Z"
            raise FilterError(position, part, text) from None
    return Term(field, value)


def _moment(text: str) -> int:
    """Return an ISO time in ms since the epoch; without a zone it is UTC. Raises ValueError or OverflowError."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _is_plain(term: Term) -> bool:
    """Return whether the value parses to itself without quotes."""
    text = term.value
    if '"' in text or _BARE.fullmatch(text) is None:
        return False
    return term.field != TEXT or ":" not in text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_MAX_PART = 60
_SPACES = t.cast("t.Any", re.compile(r"\s*"))
_SURROGATE = re.compile("[\ud800-\udfff]")
