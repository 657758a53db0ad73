"""What the doctor found: a line for each check, with the fix of what is wrong."""

from __future__ import annotations

import typing as t

from ...settings import ServerConnection
from ..calls import RouteMissing, Server

R = t.TypeVar("R")

Check = t.Literal[
    "settings", "handler", "server", "clock", "key", "secret", "redis", "worker", "endpoint", "queue"
]
"""What a finding is about: the rungs of the ladder, in their order."""


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


class Asking(Server):
    """Calls to a server that may be older than this command."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection

    def find(self, method: str, *path: str, **options: t.Any) -> t.Any:
        """Return the content of the answer, None if the server has no such route. Raises NextMQError."""
        try:
            return self._call(method, path, **options)
        except RouteMissing:
            return None
