"""How a command ends: its exit codes, and the one line that says why."""

from __future__ import annotations

from ..errors import ConfigurationError, NextMQConnectionError, NextMQError, NextMQHTTPError

FINE = 0
FOUND = 1
"""It found a problem, or refused."""
USAGE = 2
NOT_REACHED = 3
"""The server was not reached."""


class CommandFailed(NextMQError):
    """The command ends here. The message is one line, with the fix; `status` is the exit code."""

    def __init__(self, message: str, status: int = FOUND) -> None:
        super().__init__(message)
        self.status = status


def status_of(exc: NextMQError) -> int:
    """Return the exit code for an error."""
    match exc:
        case CommandFailed():
            return exc.status
        case NextMQConnectionError():
            return NOT_REACHED
        case ConfigurationError():
            return USAGE
        case _:
            return FOUND


def line_of(exc: NextMQError) -> str:
    """Return the line that tells of an error: what the server said, without the call that it answers."""
    if not isinstance(exc, NextMQHTTPError):
        return str(exc)
    _, found, told = str(exc).partition(f" {exc.code}: ")
    return told if found else str(exc)
