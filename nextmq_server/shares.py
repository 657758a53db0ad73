"""What one project may hold of a process at a time: its large requests and answers must cost little memory."""

from __future__ import annotations

import asyncio

MAX_READS = 1
"""How many pieces of long answers a project reads and encodes at a time; all its answers take turns."""

MAX_LARGE_BODIES = 2
"""How many large request bodies of a project are read and carried out at a time."""

LARGE_BODY = 1024 * 1024
"""A request body is large beyond this, in bytes."""


class Shares:
    """The turns of one project."""

    def __init__(self) -> None:
        self.reads = asyncio.Semaphore(MAX_READS)
        self.checks = asyncio.Semaphore(1)
        """Checking cron patterns: other projects get their turn after one request."""
        self.large_bodies = asyncio.Semaphore(MAX_LARGE_BODIES)
