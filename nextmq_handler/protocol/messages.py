"""The neutral request and response that every integration translates to and from. Bytes, no framework."""

from __future__ import annotations

import typing as t

PROJECT_HEADER = "x-nextmq-project"
"""The header in which a caller of the server names its project, percent-encoded. It may be left out."""

READ_HEADERS = frozenset(
    (
        "content-type",
        "content-encoding",
        "content-length",
        "x-nextmq-id",
        "x-nextmq-timestamp",
        "x-nextmq-signature",
        "traceparent",
        "tracestate",
        "baggage",
    )
)
"""The headers that a receiver reads. An integration need not translate the others."""


class Headers:
    """A header multimap: names in lower case, values as they came, both bytes."""

    def __init__(self, items: t.Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.items: list[tuple[bytes, bytes]] = [(name.lower(), value) for name, value in items]
        self._by_name = dict(self.items)

    def all(self, name: bytes) -> list[bytes]:
        """Return every value of `name` (in lower case), in order."""
        value = self._by_name.get(name)
        if value is None:
            return []
        if len(self._by_name) == len(self.items):
            return [value]  # no name occurs twice
        return [value for key, value in self.items if key == name]


class Request:
    """The head of a request. `path` is decoded and relative to where the handler is mounted."""

    def __init__(self, method: str, path: str, headers: Headers) -> None:
        self.method: str = method
        self.path: str = path
        self.headers: Headers = headers

    def is_plain_json(self) -> bool:
        """Return whether the content type is JSON, once, and the body is not compressed (section 2)."""
        types = self.headers.all(b"content-type")
        encodings = self.headers.all(b"content-encoding")
        if encodings and any(encoding.strip().lower() != b"identity" for encoding in encodings):
            return False
        return len(types) == 1 and types[0].partition(b";")[0].strip().lower() == b"application/json"

    def declared_size(self) -> int | None:
        """Return the declared size of the body in bytes; None if it must be counted as it is read."""
        values = self.headers.all(b"content-length")
        if len(values) != 1 or not values[0].isdigit():
            return None
        return int(values[0][:20])


class Response:
    """A whole response. `body` is the content to send: empty for HEAD."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status: int = status
        self.headers: list[tuple[bytes, bytes]] = headers
        self.body: bytes = body
