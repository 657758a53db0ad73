"""The report of a run: lost and doubled jobs, and the longest gap, for each event."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


class EventResult(t.NamedTuple):
    """What one event did to the confirmed jobs. `gap` and `first_after` are s.

    `first_after` is from the new primary to the first job that ran then.
    """

    kind: str
    lost: int
    doubled: int
    given_twice: int
    gap: float
    first_after: float | None

    @property
    def is_right(self) -> bool:
        """Whether nothing was lost or doubled, and jobs ran afterwards."""
        return not (self.lost or self.doubled or self.given_twice) and self.first_after is not None


@dataclass(frozen=True)
class FailoverReport:
    """The results of a run in which producers were told of `confirmed` jobs."""

    results: list[EventResult]
    confirmed: int
    open_jobs: int
    tracebacks: list[str]

    def __str__(self) -> str:
        lines = [f"{self.confirmed:,} jobs confirmed, {self.open_jobs} did not end"]
        lines.append(f"{'event':8} {'lost':>6} {'doubled':>8} {'ids twice':>10} {'gap':>8} {'first job':>10}")
        for one in self.results:
            first = "never" if one.first_after is None else f"{one.first_after:.2f} s"
            lines.append(
                f"{one.kind:8} {one.lost:>6} {one.doubled:>8} {one.given_twice:>10} {one.gap:>6.2f} s {first:>10}"
            )
        lines += [f"WRONG  a traceback in the log of a server\n{text}" for text in self.tracebacks]
        return "\n".join(lines)

    @property
    def is_right(self) -> bool:
        """Whether no event lost or doubled a confirmed job, and all jobs have ended."""
        return all(one.is_right for one in self.results) and not (self.open_jobs or self.tracebacks)
