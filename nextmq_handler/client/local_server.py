"""What stands in for the server while LocalNextMQ is in force: every call of this process goes to it."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ..settings import Connection


class LocalServer(t.Protocol):
    """A server in process: it answers with status and content."""

    connection: Connection
    """The one that producers use: a connection string is not needed."""

    def answer(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        """The answer to a call that blocks."""
        ...

    async def async_answer(
        self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        """The answer to a call that is awaited."""
        ...


active: LocalServer | None = None
"""Looked up at each call, in whichever thread."""
