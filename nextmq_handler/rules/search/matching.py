"""Whether a job matches a filter. Text is compared without regard to ASCII case, ids and queues exactly."""

from __future__ import annotations

import operator
import typing as t

from ...protocol import strict_json
from .filters import TEXT, Filter, Term

_OPS: dict[str, t.Callable[[int, int], bool]] = {
    "": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class SearchedJob(t.NamedTuple):
    """What a filter reads of a job. `data` is JSON text, `status` that of the last delivery.

    `time` is ms since the epoch: when a finished job ended, when another was added.
    """

    queue: str
    id: str
    state: str
    name: str = ""
    data: str = ""
    error: str = ""
    status: int | None = None
    attempts: int = 0
    time: int = 0


def matches(filter: Filter, job: SearchedJob, now: int) -> bool:
    """Return whether the job matches all terms at `now`, ms since the epoch."""
    return all(_matches(term, job, now) for term in filter.terms)


def forms(value: str) -> list[str]:
    """Return how a text may stand in JSON: as it is, escaped as Node escapes, and as Python does, in ASCII."""
    ascii_form = strict_json.compact(value)[1:-1]
    node_form = strict_json.utf8(value).decode()[1:-1]
    return list(dict.fromkeys((value, node_form, ascii_form)))


def fold(text: str) -> bytes:
    """Return `text` without ASCII case."""
    return text.encode("utf-8", "surrogatepass" if _has_halves(text) else "surrogateescape").lower()


def _matches(term: Term, job: SearchedJob, now: int) -> bool:
    match term.field:
        case "id":
            return job.id == term.value
        case "queue":
            return _is_like(job.queue.encode(), [part.encode() for part in term.fragments])
        case "state":
            return job.state == term.value
        case "name":
            return _is_like(fold(job.name), [fold(part) for part in term.fragments])
        case "data":
            return _holds(job.data, forms(term.value))
        case "error":
            return _holds(job.error, [term.value])
        case "status":
            return job.status is not None and _OPS[term.op](job.status, term.number)
        case "attempts":
            return _OPS[term.op](job.attempts, term.number)
        case "since":
            return job.time >= term.at(now)
        case "until":
            return job.time <= term.at(now)
        case field if field == TEXT:
            plain = [term.value]
            return _holds(job.name, plain) or _holds(job.error, plain) or _holds(job.data, forms(term.value))
        case _:
            return any(_is_like(fold(text), [fold(part) for part in term.fragments]) for text in _at(job, term))


def _holds(text: str, needles: t.Sequence[str]) -> bool:
    folded = fold(text)
    return any(fold(needle) in folded for needle in needles)


def _is_like(text: bytes, fragments: t.Sequence[bytes]) -> bool:
    """Return whether `text` is the fragments with anything between them. Its time is linear."""
    if len(fragments) == 1:
        return text == fragments[0]
    first, *middle, last = fragments
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    place, end = len(first), len(text) - len(last)
    for fragment in middle:
        found = text.find(fragment, place, end)
        if found < 0:
            return False
        place = found + len(fragment)
    return True


def _at(job: SearchedJob, term: Term) -> t.Iterator[str]:
    """Yield the text of the value at the term's path, if there is one that is neither array nor object."""
    try:
        value: t.Any = strict_json.parse(job.data)
    except ValueError:
        return
    for name in term.path:
        if isinstance(value, dict):
            value = t.cast("dict[str, t.Any]", value).get(name, ())
        elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < _MANY_DIGITS:
            items = t.cast("list[object]", value)
            value = items[int(name)] if int(name) < len(items) else ()
        else:
            return
    if isinstance(value, str):
        yield value
    elif not isinstance(value, (dict, list, tuple)):
        yield strict_json.compact(value)


def _has_halves(text: str) -> bool:
    """Return whether the text has surrogates other than those that stand for bytes that are not UTF-8."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return True
    return False


_MANY_DIGITS = 10
