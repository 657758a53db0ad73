"""The time until jobs run again after a fault."""

from __future__ import annotations

import bisect
import itertools
import typing as t

from .journal import Entry
from .parts import Strike
from .storage import StoredJob


class Recovery(t.NamedTuple):
    """`seconds` from the end of a fault, when all parts run again, to the next completed job."""

    seconds: float
    fault: str

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, after: {self.fault}"


def recoveries(strikes: t.Sequence[Strike], stored: t.Iterable[StoredJob]) -> list[Recovery]:
    """Return the recovery from each fault; of faults without a completed job in between, only from the last."""
    completed = sorted(job.finished_on for job in stored if job.places == ("completed",))
    found: list[Recovery] = []
    for strike, following in itertools.zip_longest(strikes, strikes[1:]):
        index = bisect.bisect_left(completed, strike.ended_at)
        if index < len(completed) and (following is None or completed[index] < following.began_at):
            found.append(Recovery((completed[index] - strike.ended_at) / 1000, str(strike.fault)))
    return found


def interruptions(entries: t.Iterable[Entry]) -> list[float]:
    """Return the time (s) from each start that a dead server left, without an answer, to the job's next start."""
    unanswered: dict[int, Entry] = {}
    found: list[float] = []
    for entry in entries:
        if entry.event == "answered":
            unanswered.pop(entry.number, None)
        elif entry.event == "started":
            before = unanswered.get(entry.number)
            if before is not None and before.attempt == entry.attempt:
                found.append((entry.at - before.at) / 1000)
            unanswered[entry.number] = entry
    return found
