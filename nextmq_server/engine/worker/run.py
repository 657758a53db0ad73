"""One job in flight."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..queues.job import ActiveJob
from .slots import Room


@dataclass
class Run:
    """A job in flight: since when its lock stands (monotonic s), whether it was lost, whether it is finishing.

    It has a place of `room`.
    """

    job: ActiveJob
    renewed_at: float
    room: Room
    task: asyncio.Task[None] | None = None
    is_lost: bool = False
    is_finishing: bool = False

    def abort(self) -> None:
        """Abort the delivery; what was answered, or is being finished, is not interrupted."""
        if self.task is not None and not (self.job.is_answered or self.is_finishing):
            self.task.cancel()
