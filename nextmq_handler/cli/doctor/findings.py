"""What the doctor found: a line for each check, with the fix of what is wrong."""

from __future__ import annotations

import typing as t

from ...client._http.answer import R, Reader, whole
from ...client._http.pools import Query
from ...client._sync.transport import request
from ...client.remote import Caller
from ...errors import NextMQError, NextMQHTTPError
from ...settings import ServerConnection

TIMEOUT = 20.0
"""How long, in s, a call to the server may take: a probe waits for the app."""

Check = t.Literal[
    "settings", "handler", "server", "clock", "key", "secret", "redis", "worker", "endpoint", "queue"
]
"""What a finding is about: the rungs of the ladder, in their order."""

_MISSING = (404, 405)


class Finding(t.NamedTuple):
    """One line: `is_ok` is None for what could not be checked; `fix` is empty if nothing is wrong."""

    check: Check
    is_ok: bool | None
    text: str
    fix: str = ""


Findings = t.Generator[Finding, None, R]
"""A rung: it yields findings, and returns what the next rung needs."""


def good(check: Check, text: str) -> Finding:
    """Return a finding of what is right."""
    return Finding(check, True, text)


def wrong(check: Check, text: str, fix: str = "") -> Finding:
    """Return a finding of what is wrong. Without `fix` the text says it."""
    return Finding(check, False, text, fix)


def unknown(check: Check, text: str) -> Finding:
    """Return a finding of what could not be checked."""
    return Finding(check, None, text)


class Asking:
    """Calls to the server of one project. Each is tried once: the doctor tells of failures."""

    def __init__(self, connection: ServerConnection) -> None:
        self.caller = Caller(connection, TIMEOUT, retries=False)

    def get(self, *path: str, query: Query | None = None) -> dict[str, t.Any]:
        """Return the answer to a GET. Raises NextMQError."""
        return self.ask("GET", *path, reader=whole(dict[str, t.Any]), query=query)

    def find(self, method: str, *path: str, **options: t.Any) -> dict[str, t.Any] | None:
        """Return the answer, None if the server has no such route or thing. Raises NextMQError."""
        try:
            return self.ask(method, *path, reader=whole(dict[str, t.Any]), **options)
        except NextMQHTTPError as exc:
            if exc.status in _MISSING:
                return None
            raise

    def ask(self, method: str, *path: str, reader: Reader[R], **options: t.Any) -> R:
        """Return what `reader` makes of the answer. Raises NextMQError."""
        return request(self.caller, method, ("v1", *path), reader, **options)


def told(exc: NextMQError) -> str:
    """Return what the server said, without the call that it answers."""
    code = exc.code if isinstance(exc, NextMQHTTPError) else ""
    _, found, told = str(exc).partition(f" {code}: ")
    return told if code and found else str(exc)
