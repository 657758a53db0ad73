"""What becomes of a job after a delivery: the dispatcher decides, the engine carries it out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Complete:
    """The job is done, with this return value."""

    outcome: t.ClassVar = "completed"
    return_value: t.Any


@dataclass(frozen=True, slots=True)
class Fail:
    """The attempt failed: attempts and backoff decide, unless it is unrecoverable.

    `status` is that of the app's HTTP answer, None where there was none.
    """

    outcome: t.ClassVar = "failed"
    name: str
    message: str
    stack: str = ""
    unrecoverable: bool = False
    status: int | None = None

    @property
    def reason(self) -> str:
        """The job's failedReason."""
        return f"{self.name}: {self.message}" if self.message else self.name


@dataclass(frozen=True, slots=True)
class LimitRate:
    """The queue rests for `delay` ms, the job is queued again, no attempt burnt."""

    outcome: t.ClassVar = "rateLimited"
    delay: int


@dataclass(frozen=True, slots=True)
class Delay:
    """The job waits until `timestamp`, ms since the epoch, no attempt burnt."""

    outcome: t.ClassVar = "delayed"
    timestamp: int


@dataclass(frozen=True, slots=True)
class WaitForChildren:
    """The job waits for its open children, no attempt burnt."""

    outcome: t.ClassVar = "waitingChildren"


@dataclass(frozen=True, slots=True)
class Hold:
    """The processor did not run: the queue is held for `seconds`, the job is queued again, nothing burnt."""

    outcome: t.ClassVar = "held"
    seconds: float
    reason: str


Verdict = Complete | Fail | LimitRate | Delay | WaitForChildren | Hold
