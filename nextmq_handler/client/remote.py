"""Which server a producer talks to."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from .. import _overrides
from ..errors import ConfigurationError
from ..protocol.times import timeout_seconds
from ..settings import Connection, load_settings, parse_connection_string


class Remote:
    """The server that `url`, or else NEXTMQ_URL, names; the environment is read at the first call.

    `timeout` is s or a timedelta. Raises ConfigurationError for one that cannot be.
    """

    __slots__ = ("_connection", "_url", "timeout")

    def __init__(self, url: str | None, timeout: float | timedelta) -> None:
        if not isinstance(t.cast("object", url), str | None):
            raise ConfigurationError(f"url takes a connection string, not {type(url).__name__}")
        self._url = url
        self.timeout: float = timeout_seconds("timeout", timeout)
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        """The parts of the connection string. Raises ConfigurationError where there is none."""
        if _overrides.url is not None:
            return parse_connection_string(_overrides.url)
        if self._connection is None:
            self._connection = load_settings(url=self._url).connection
        return self._connection
