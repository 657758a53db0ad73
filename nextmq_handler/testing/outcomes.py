"""An outcome as a test asks about it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..protocol.outcomes import Completed, Delayed, Failed, RateLimited, WaitingChildren, parse_outcome


@dataclass(frozen=True)
class JobError:
    """Why a job failed. `name` is the exception's type."""

    name: str
    message: str
    stack: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


@dataclass(frozen=True, repr=False)
class JobOutcome:
    """The outcome of a processor's run, as the server reads it (protocol section 3)."""

    completed: bool = False
    failed: bool = False
    unrecoverable: bool = False
    """Failed, and the remaining attempts are not used."""
    rate_limited: int | None = None
    """How long, in ms, the queue starts no job. The job is put back; no attempt is used."""
    delayed: int | None = None
    """When, in ms since the epoch, the job runs again; no attempt is used."""
    waiting_children: bool = False
    error: JobError | None = None
    """Why it failed; None if it did not."""
    return_value: t.Any = None

    @property
    def value(self) -> t.Any:
        """What the processor returned, as JSON. Raises AssertionError, with the stack, if it did not return."""
        if not self.completed:
            stack = f"\n{self.error.stack}" if self.error and self.error.stack else ""
            raise AssertionError(f"the job has no value: it is {self._told()}{stack}")
        return self.return_value

    def __repr__(self) -> str:
        return f"<JobOutcome {self._told()}>"

    def _told(self) -> str:
        if self.completed:
            return f"completed: {self.return_value!r}"
        if self.rate_limited is not None:
            return f"rate limited for {self.rate_limited} ms"
        if self.delayed is not None:
            return f"delayed until {self.delayed}"
        if self.waiting_children:
            return "waiting for children"
        return f"failed{', unrecoverable' if self.unrecoverable else ''}: {self.error}"


def read_outcome(body: bytes) -> JobOutcome:
    """Return the outcome in `body`. Raises WireError for anything else."""
    outcome = parse_outcome(body)
    match outcome:
        case Completed():
            return JobOutcome(completed=True, return_value=outcome.return_value)
        case Failed():
            error = JobError(outcome.name, outcome.message, outcome.stack)
            return JobOutcome(failed=True, unrecoverable=outcome.unrecoverable, error=error)
        case RateLimited():
            return JobOutcome(rate_limited=outcome.delay)
        case Delayed():
            return JobOutcome(delayed=outcome.timestamp)
        case WaitingChildren():
            return JobOutcome(waiting_children=True)
        case _:
            t.assert_never(outcome)
