"""What one project may hold of a process at a time: its large requests and answers must cost little memory."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import typing as t

MAX_READS = 1
"""How many pieces of long answers a project reads and encodes at a time; all its answers take turns."""

MAX_LARGE_BODIES = 2
"""How many large request bodies of a project are read and carried out at a time."""

MAX_SEARCHES = 2
"""How many searches a process carries out at a time; a project one."""

MAX_WAITING_SEARCHES = 10
"""How many searches of a project may be under way or wait for their turn."""

LARGE_BODY = 1024 * 1024
"""A request body is large beyond this, in bytes."""


class Shares:
    """The turns of one project."""

    def __init__(self) -> None:
        self.reads = asyncio.Semaphore(MAX_READS)
        self.checks = asyncio.Semaphore(1)
        """Checking cron patterns: other projects get their turn after one request."""
        self.large_bodies = asyncio.Semaphore(MAX_LARGE_BODIES)


class TooManySearches(Exception):
    """A project has as many searches under way as it may have."""


class SearchTurns:
    """The turns of searches: a project has one at a time, so that another does not wait for all of them."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MAX_SEARCHES)
        self._projects: collections.defaultdict[str, asyncio.Semaphore] = collections.defaultdict(
            lambda: asyncio.Semaphore(1)
        )
        self._waiting: collections.Counter[str] = collections.Counter()

    @contextlib.asynccontextmanager
    async def one(self, project: str) -> t.AsyncGenerator[None]:
        """Wait for a turn of the project, and take it. Raises TooManySearches."""
        if self._waiting[project] >= MAX_WAITING_SEARCHES:
            raise TooManySearches
        self._waiting[project] += 1
        try:
            async with self._projects[project], self._turns:
                yield
        finally:
            self._waiting[project] -= 1
            if not self._waiting[project]:
                del self._waiting[project], self._projects[project]
