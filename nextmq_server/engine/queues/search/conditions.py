"""What the script that reads a page checks of a filter: enough to drop almost every job that does not match."""

from __future__ import annotations

import functools
import re
import typing as t

from nextmq_handler.rules.search.filters import TEXT, Filter, Term
from nextmq_handler.rules.search.matching import SearchedJob, fold, forms

from ..delivery_log import FIELD as DELIVERIES
from ..delivery_log import deliveries
from ..job import whole
from .sources import Hit, Source

_ERROR = "failedReason"
_MADE = "atm"
_ADDED = "timestamp"
_LETTERS = re.compile(rb"[a-z]+")


class Conditions:
    """The conditions of a filter for the jobs of one source at `now`, ms since the epoch.

    `fields` are those of the job's hash that are read: the given ones, and those that the filter needs.
    """

    def __init__(self, filter: Filter, fields: t.Iterable[str] = (), *, is_finished: bool, now: int) -> None:
        self.fields = list(fields)
        self._texts: list[tuple[list[int], list[bytes], list[bytes], bool]] = []
        self._numbers: list[tuple[int, str, str, bool]] = []
        for term in filter.terms:
            self._add(term, is_finished, now)

    @functools.cached_property
    def request(self) -> dict[str, t.Any]:
        """The part of the request that the script reads."""
        return {"fields": self.fields, "texts": self._texts, "numbers": self._numbers}

    def _add(self, term: Term, is_finished: bool, now: int) -> None:
        match term.field:
            case "name":
                self._add_texts(["name"], *([part] for part in term.fragments))
            case "data":
                self._add_texts(["data"], forms(term.value))
            case "error":
                self._add_texts([_ERROR], [term.value])
            case field if field == TEXT:
                self._add_texts(["name", "data", _ERROR], forms(term.value))
            case "status":
                self._numbers.append((self._field(DELIVERIES), term.op, term.value, True))
            case "attempts":
                self._numbers.append((self._field(_MADE), term.op, term.value, False))
            case "since" | "until" if not is_finished:
                op = ">=" if term.field == "since" else "<="
                self._numbers.append((self._field(_ADDED), op, str(term.at(now)), False))
            case field if field.startswith("data."):
                self._add_texts(["data"], *(forms(part) for part in term.fragments))
            case _:
                pass  # the source has the state, the queue and the times; the caller checks ids

    def _add_texts(self, fields: t.Sequence[str], *needles: t.Sequence[str]) -> None:
        numbers = [self._field(field) for field in fields]
        for each in needles:
            folded = [fold(one) for one in each]
            if any(folded):
                # Letters make a copy of each value without case necessary, but only if the value has the rest.
                marks = [max(_LETTERS.split(one), key=len) for one in folded]
                self._texts.append((numbers, folded, marks, marks != folded))

    def _field(self, name: str) -> int:
        if name not in self.fields:
            self.fields.append(name)
        return self.fields.index(name) + 1


def searched(queue: str, source: Source, hit: Hit) -> SearchedJob:
    """Return what a filter reads of a job that the script found."""
    fields = hit.fields
    entries = deliveries(fields.get(DELIVERIES))
    time = hit.score if source.is_finished else fields.get(_ADDED)
    return SearchedJob(
        queue=queue,
        id=hit.id,
        state=source.state,
        name=fields.get("name", ""),
        data=fields.get("data", ""),
        error=fields.get(_ERROR, ""),
        status=entries[-1]["status"] if entries else None,
        attempts=whole(fields.get(_MADE)) or 0,
        time=whole(time) or 0,
    )
