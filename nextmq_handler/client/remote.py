"""Which server a call goes to, and for whom."""

from __future__ import annotations

import typing as t

from .. import _overrides
from ..errors import ConfigurationError
from ..protocol.arguments import timeout_seconds
from ..settings import ServerConnection, load_settings, parse_connection_string

if t.TYPE_CHECKING:
    from datetime import timedelta


class Caller(t.NamedTuple):
    """The server, the s that a call with its attempts may take, and the delivery if a processor's job calls."""

    connection: ServerConnection
    timeout: float
    delivery_id: str | None = None
    retries: bool = True


class Remote:
    """The server that `url`, or else NEXTMQ_URL, names; the environment is read at the first call.

    `timeout` is s or a timedelta. Raises ConfigurationError for an invalid one.
    """

    __slots__ = ("_connection", "_url", "timeout")

    def __init__(self, url: str | None, timeout: float | timedelta) -> None:
        if not isinstance(t.cast("object", url), str | None):
            raise ConfigurationError(f"url takes a connection string, not {type(url).__name__}")
        self._url = url
        self.timeout: float = timeout_seconds("timeout", timeout)
        self._connection: ServerConnection | None = None

    def caller(self) -> Caller:
        """Return who calls. Raises ConfigurationError if no connection string is set."""
        if _overrides.url is not None:
            return Caller(parse_connection_string(_overrides.url), self.timeout)
        if self._connection is None:
            self._connection = load_settings(url=self._url).connection
        return Caller(self._connection, self.timeout)
