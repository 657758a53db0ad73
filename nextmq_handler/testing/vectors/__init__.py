"""Valid and invalid signatures as data, for other implementations (protocol sections 2 and 3).

`PATH` is the file for other languages; here they are objects.
"""

from __future__ import annotations

import base64
import json
import typing as t
from dataclasses import dataclass
from pathlib import Path

PATH: Path = Path(__file__).with_name("signatures.json")
"""The vectors as JSON. Its member `about` explains how to read it."""


@dataclass(frozen=True)
class Vector:
    """A message that reaches a verifier, and the verdict on it."""

    name: str
    kind: t.Literal["request", "outcome"]
    now: int
    """The verifier's clock, Unix seconds."""
    secrets: tuple[str, ...]
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    ok: bool
    """Whether the signature check passes."""
    reason: str | None
    """The code for the log if it fails."""
    delivery_id: str | None
    """The delivery that an outcome must answer."""
    status: int
    """The status of a handler's response to a request. It refuses some valid signatures because of the body."""


def _vector(raw: dict[str, t.Any]) -> Vector:
    return Vector(
        name=raw["name"],
        kind=raw["kind"],
        now=raw["now"],
        secrets=tuple(raw["secrets"]),
        headers=tuple((name.encode(), value.encode()) for name, value in raw["headers"]),
        body=base64.b64decode(raw["body_base64"]),
        ok=raw["ok"],
        reason=raw["reason"],
        delivery_id=raw.get("delivery_id"),
        status=raw.get("handler_status", 200 if raw["ok"] else 401),
    )


VECTORS: tuple[Vector, ...] = tuple(
    _vector(raw) for raw in json.loads(PATH.read_text(encoding="utf-8"))["vectors"]
)
"""Every vector."""

REQUESTS: tuple[Vector, ...] = tuple(vector for vector in VECTORS if vector.kind == "request")
"""The vectors of requests, which can be sent to a handler."""
