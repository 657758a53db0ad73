"""Verdicts: what happens to a job after a delivery. The dispatcher decides, the engine carries it out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from nextmq_handler.rules.attempts import failed_reason


@dataclass(frozen=True, slots=True)
class Complete:
    """The job completes with this return value."""

    outcome: t.ClassVar = "completed"
    return_value: t.Any


@dataclass(frozen=True, slots=True)
class Fail:
    """The attempt failed. Attempts and backoff decide what follows, unless it is unrecoverable.

    `status` is that of the app's HTTP answer, None if there was no answer.
    """

    outcome: t.ClassVar = "failed"
    name: str
    message: str
    stack: str = ""
    unrecoverable: bool = False
    status: int | None = None

    @property
    def reason(self) -> str:
        """The job's `failedReason`."""
        return failed_reason(self.name, self.message)


@dataclass(frozen=True, slots=True)
class LimitRate:
    """The queue is rate-limited for `delay` ms and the job is put back. It uses no attempt."""

    outcome: t.ClassVar = "rateLimited"
    delay: int


@dataclass(frozen=True, slots=True)
class Delay:
    """The job waits until `timestamp`, ms since the epoch. It uses no attempt."""

    outcome: t.ClassVar = "delayed"
    timestamp: int


@dataclass(frozen=True, slots=True)
class WaitForChildren:
    """The job waits for its open children. It uses no attempt."""

    outcome: t.ClassVar = "waitingChildren"


@dataclass(frozen=True, slots=True)
class Hold:
    """The processor did not run: the queue is held for `seconds` and the job is put back. It uses no attempt."""

    outcome: t.ClassVar = "held"
    seconds: float
    reason: str


Verdict = Complete | Fail | LimitRate | Delay | WaitForChildren | Hold
