"""Verdicts: what happens to a job after a delivery. The dispatcher decides, the engine carries it out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from nextmq_handler.protocol.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Hold:
    """The processor did not run: the queue is held for `seconds` and the job is put back. It uses no attempt."""

    outcome: t.ClassVar[str] = "held"
    seconds: float
    reason: str

    @property
    def detail(self) -> str:
        """What people are shown beside the name."""
        return f"{self.seconds:.1f} s: {self.reason}"


Verdict = Outcome | Hold
