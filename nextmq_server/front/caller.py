"""What the app tells the front about a request, whether it had a valid API key, and asks it: who calls."""

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


def address(scope: t.Mapping[str, t.Any]) -> str:
    """Return the address of the caller, as a trusted proxy forwards it; "" for a Unix socket."""
    connection = _connection(scope)
    if connection is not None:
        return connection.front.origin(connection)
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else ""


def _connection(scope: t.Mapping[str, t.Any]) -> BoundedConnection | None:
    extensions: t.Mapping[str, BoundedConnection] | None = scope.get("extensions")
    return extensions.get(EXTENSION) if extensions else None
