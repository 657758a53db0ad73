"""The neutral request and response: what every home translates to and from. Bytes, no framework."""

from __future__ import annotations

import typing as t


class Headers:
    """A header multimap: names in lower case, values as they came, both bytes."""

    __slots__ = ("_by_name", "items")

    def __init__(self, items: t.Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.items: list[tuple[bytes, bytes]] = [(name.lower(), value) for name, value in items]
        self._by_name = dict(self.items)

    def all(self, name: bytes) -> list[bytes]:
        """Every value of `name` (given in lower case), in order."""
        value = self._by_name.get(name)
        if value is None:
            return []
        if len(self._by_name) == len(self.items):
            return [value]  # no name occurs twice
        return [value for key, value in self.items if key == name]


class Request:
    """The head of a request. `path` is decoded and relative to where the handler is mounted."""

    __slots__ = ("headers", "method", "path")

    def __init__(self, method: str, path: str, headers: Headers) -> None:
        self.method: str = method
        self.path: str = path
        self.headers: Headers = headers


class Response:
    """A whole response: `body` is the content to send, already empty where the method is HEAD."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status: int = status
        self.headers: list[tuple[bytes, bytes]] = headers
        self.body: bytes = body
