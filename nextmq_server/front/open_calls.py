"""Calls that stay open: long polls and streams. A project has some, and never all of them."""

from __future__ import annotations

import collections
import contextlib
import typing as t


class TooManyOpenCalls(Exception):
    """A project has as many open calls of a `kind` as it may have now."""

    def __init__(self, kind: str, count: int) -> None:
        super().__init__(f"the project has {count} open {kind} at this server: close one, or share one")
        self.kind = kind


class OpenCalls:
    """The open calls of one kind in this process, at most `most` for a project and `in_all` for all of them.

    A project may also have no more than are still free, so that the projects that come last find some.
    """

    def __init__(self, kind: str, *, most: int, in_all: int) -> None:
        self._kind = kind
        self._most = most
        self._in_all = in_all
        self._open: collections.Counter[str] = collections.Counter()

    @contextlib.contextmanager
    def one(self, project: str) -> t.Generator[None]:
        """Count a call of the project while it is open. Raises TooManyOpenCalls."""
        most = min(self._most, self._in_all - self._open.total())
        if self._open[project] >= most:
            raise TooManyOpenCalls(self._kind, self._open[project])
        self._open[project] += 1
        try:
            yield
        finally:
            self._open[project] -= 1
            if not self._open[project]:
                del self._open[project]
