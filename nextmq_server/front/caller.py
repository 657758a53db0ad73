"""What the app tells the front about a request: whether it had a valid API key."""

from __future__ import annotations

import typing as t

from .connection import EXTENSION, BoundedConnection


def admit(scope: t.Mapping[str, t.Any]) -> None:
    """Say that the request had a valid API key. Does nothing under another server than `HTTPServer`."""
    connection = _connection(scope)
    if connection is not None:
        connection.front.admit(connection)


async def refuse(scope: t.Mapping[str, t.Any], what: str) -> None:
    """Say that the request had no valid API key, in words that go on from "a caller". It may wait a second."""
    connection = _connection(scope)
    if connection is not None:
        await connection.front.refuse(connection, what)


def _connection(scope: t.Mapping[str, t.Any]) -> BoundedConnection | None:
    extensions: t.Mapping[str, BoundedConnection] | None = scope.get("extensions")
    return extensions.get(EXTENSION) if extensions else None
