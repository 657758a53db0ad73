"""What an integration is to the suite: something that a request can be sent to."""

from __future__ import annotations

import json
import typing as t
from urllib.parse import unquote_to_bytes

HeaderList = list[tuple[bytes, bytes]]


class Answer(t.NamedTuple):
    """What came back. Names of headers are in lower case."""

    status: int
    headers: HeaderList
    body: bytes

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def json(self) -> t.Any:
        return json.loads(self.body)


class Integration(t.Protocol):
    """Where the handlers of every setup are mounted."""

    def send(self, method: str, target: str, headers: HeaderList, body: bytes, *, stalls: bool = False) -> Answer:
        """Send one request, from any thread. `target` is as in HTTP, percent-encoded.

        With `stalls` the second half of the body does not come before the answer does.
        """
        ...


class Stopper(t.Protocol):
    """An integration with something to end."""

    def stop(self) -> object: ...


def split_target(target: str) -> tuple[bytes, str]:
    """Return the path's bytes, decoded, and the query."""
    path, _, query = target.partition("?")
    return unquote_to_bytes(path), query


def split_mount(path: str) -> tuple[str, str]:
    """Return the setup that a path asks for, and the rest below its mount."""
    _, setup, mount, *rest = path.split("/")
    assert mount == "nextmq", path
    return setup, "".join(f"/{segment}" for segment in rest)
