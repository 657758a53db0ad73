"""A job as the server described it once."""

from __future__ import annotations

import typing as t

JobState = t.Literal[
    "waiting", "active", "delayed", "prioritized", "waiting-children", "completed", "failed", "unknown"
]


class JobSnapshot:
    """A job at the moment of the answer. Times are ms since the epoch, None until they happened."""

    def __init__(self, queue_name: str, answer: dict[str, t.Any]) -> None:
        self.queue_name = queue_name
        self.id: str = answer["id"]
        self.name: str = answer["name"]
        self.state: JobState = answer["state"]
        self.data: t.Any = answer["data"]
        self.progress: t.Any = answer["progress"]
        self.attempts_made: int = answer["attemptsMade"]
        self.attempts_started: int = answer["attemptsStarted"]
        self.return_value: t.Any = answer["returnValue"]
        self.failed_reason: str | None = answer["failedReason"]
        self.timestamp: int = answer["timestamp"]
        self.processed_on: int | None = answer["processedOn"]
        self.finished_on: int | None = answer["finishedOn"]

    def __repr__(self) -> str:
        return f"<JobSnapshot {self.queue_name}/{self.id} {self.name!r} {self.state}>"
