"""The server that a command talks to: which one it is, and one call to it."""

from __future__ import annotations

import os
import stat
import sys
import typing as t
from pathlib import Path

from .. import _overrides
from .._package import __version__
from ..client._sync.transport import request
from ..client.remote import Caller
from ..errors import NextMQConnectionError, NextMQHTTPError
from ..settings import ServerConnection, parse_connection_string
from .failure import NOT_REACHED, USAGE, CommandFailed

if t.TYPE_CHECKING:
    from ..client._http.call import Options
    from ..client._http.pools import Query

CALL_TIMEOUT = 30.0
"""How long, in s, a call of a command may take."""

MAX_PAGES = 1000
"""The most pages of a list that a command reads."""

MAX_ENV_SIZE = 4096
"""The most bytes of the file with the connection string that a command reads."""

ENV_FILE = Path(".nextmq", "env")
"""Where `nextmq dev` says how to reach it. Only the command reads it, never an app."""

Json = dict[str, t.Any]


class RouteMissing(CommandFailed):
    """The server is older than the command."""


class Server:
    """The server of `url`, NEXTMQ_URL or `.nextmq/env`, the first that is set. Raises CommandFailed if none is."""

    def __init__(self, url: str | None = None) -> None:
        self.connection: ServerConnection = find_connection(url)
        _load_httpx()

    def get(self, *path: str, **query: str | int | bool | None) -> t.Any:
        """Return the content of an answer; `path` is its segments after /v1. Raises NextMQError, as all do."""
        return self._call("GET", path, query=query)

    def post(self, *path: str, content: object = None, **query: str | int | bool | None) -> t.Any:
        """Send JSON, if there is any, and return the content of the answer."""
        return self._call("POST", path, **_sent(query, content))

    def put(self, *path: str, content: object = None, **query: str | int | bool | None) -> t.Any:
        """Put JSON, and return the content of the answer."""
        return self._call("PUT", path, **_sent(query, content))

    def delete(self, *path: str, **query: str | int | bool | None) -> t.Any:
        """Delete something, and return the content of the answer."""
        return self._call("DELETE", path, query=query)

    def pages(self, *path: str, **query: str | int | bool | None) -> t.Iterator[Json]:
        """Yield the pages of a list, each a call of its own."""
        for _ in range(MAX_PAGES):
            page = self.get(*path, **query)
            yield page
            if (place := page.get("next")) is None:
                return
            query["from"] = place

    @staticmethod
    def now() -> float:
        """Return the time, in ms since the epoch, to which answers without one are compared."""
        return _overrides.wall_clock() * 1000

    def _call(self, method: str, path: tuple[str, ...], **options: t.Unpack[Options]) -> t.Any:
        # Without retries: a person is told at once that nothing listens.
        caller = Caller(self.connection, CALL_TIMEOUT, retries=False)
        try:
            return request(caller, method, ("v1", *path), _content, **options)
        except NextMQHTTPError as exc:
            if exc.code in ("no_such_route", "method_not_allowed"):
                raise RouteMissing(
                    f"the server at {self.connection.base_url} is older than this command ({__version__}): it has "
                    f"no {method} /v1/{'/'.join(path)}. Update the server"
                ) from None
            raise
        except NextMQConnectionError as exc:
            raise CommandFailed(_not_reached(self.connection, exc), NOT_REACHED) from None


def find_connection(url: str | None) -> ServerConnection:
    """Return the server to talk to. Raises CommandFailed if none is set, ConfigurationError for a wrong string."""
    if url is not None:
        return parse_connection_string(url, source="--url")
    if text := os.environ.get("NEXTMQ_URL", "").strip():
        return parse_connection_string(text)
    if found := variables_of_this_folder().get("NEXTMQ_URL"):
        return parse_connection_string(found, source=f"NEXTMQ_URL in {ENV_FILE}")
    raise CommandFailed(
        "which server? Start one here with nextmq dev, or set NEXTMQ_URL (or --url) to the connection string that "
        "your server printed",
        NOT_REACHED,
    )


def variables_of_this_folder() -> dict[str, str]:
    """Return the variables of the file, if it is there. Raises CommandFailed if others may read or write it."""
    try:
        with ENV_FILE.open("rb") as file:
            found = os.fstat(file.fileno())
            content = file.read(MAX_ENV_SIZE).decode("utf-8", "replace")
    except OSError:
        return {}
    if os.name == "posix" and (stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.getuid()):
        raise CommandFailed(f"{ENV_FILE} holds a key, and others can read or write it: chmod 600 it", USAGE)
    return dict(line.strip().split("=", 1) for line in content.splitlines() if "=" in line)


def act_as_app_of_this_folder() -> bool:
    """Set the variables of the file as `nextmq dev` does for its app, unless NEXTMQ_URL is set; return whether.

    For commands that load an app's handler. Raises CommandFailed as `variables_of_this_folder`.
    """
    if os.environ.get("NEXTMQ_URL", "").strip() or not (variables := variables_of_this_folder()):
        return False
    for name, value in variables.items():
        if name.startswith("NEXTMQ_"):
            os.environ.setdefault(name, value)
    return True


def _not_reached(connection: ServerConnection, exc: NextMQConnectionError) -> str:
    reason = str(exc).partition(f"{connection.base_url}/")[2].partition(": ")[2].removesuffix(_ASKS)
    start = "start one with nextmq dev" if connection.is_local else "is it running, and is NEXTMQ_URL right?"
    return f"no server answers at {connection.base_url} ({reason or 'no answer'}): {start}"


_ASKS = "; is the server running?"


def _load_httpx() -> None:
    """Import httpx without its own command line, whose packages take as long to load as the rest of it."""
    if "httpx" in sys.modules:
        return
    sys.modules["httpx._main"] = t.cast("t.Any", None)
    try:
        import httpx as httpx
    finally:
        del sys.modules["httpx._main"]


def _sent(query: Query, content: object) -> Options:
    return {"query": query} if content is None else {"query": query, "content": content}


def _content(content: t.Any) -> t.Any:
    return content
