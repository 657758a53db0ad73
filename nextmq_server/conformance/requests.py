"""The requests that cases are made of."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field
from functools import cached_property

from nextmq_handler.protocol.signing import TOLERANCE, Secret, parse_secret, signature_headers
from nextmq_handler.protocol.wire import MAX_BODY_SIZE

HeaderList = list[tuple[bytes, bytes]]

ID, TIMESTAMP, SIGNATURE = b"x-nextmq-id", b"x-nextmq-timestamp", b"x-nextmq-signature"
TYPE, ENCODING, LENGTH = b"content-type", b"content-encoding", b"content-length"
JSON = (TYPE, b"application/json")
UNKNOWN_SECRET: Secret = parse_secret("whsec_Ny8kSb2Vr5TfM1cXo6ZgEi0DqHw7UjA9")
"""A secret that no handler has."""


@dataclass(frozen=True)
class Wire:
    """One request. `route` is below the handler's mount, percent-encoded.

    Of a body that `stalls` half comes; one that `is_broken` comes as it is, whatever the head says of it, and then
    nothing.
    """

    headers: HeaderList = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""
    method: str = "POST"
    route: str = "/health"
    stalls: bool = False
    is_broken: bool = False


@dataclass(frozen=True)
class Sender:
    """Makes deliveries that are right in all points but those that a case asks for.

    `now` is Unix seconds. `slack` is how far, in s, the receiver's clock may be from it, and how late a request
    may arrive: cases at the edge of the tolerance keep so far away from it. `max_body_size` is the receiver's, in
    bytes.
    """

    secret: Secret
    now: int
    queue: str = "conformance"
    id: str = "dlv_1"
    slack: int = 0
    max_body_size: int = MAX_BODY_SIZE

    @property
    def route(self) -> str:
        """Where deliveries for the queue go."""
        return f"/queues/{self.queue}"

    @property
    def oldest(self) -> int:
        """How far, in s, a timestamp is let off."""
        return TOLERANCE - self.slack

    @property
    def too_old(self) -> int:
        """How far, in s, a timestamp is too far off."""
        return TOLERANCE + self.slack + 1

    @cached_property
    def good(self) -> bytes:
        """The body of a delivery without a fault."""
        return encode(self.delivery())

    def delivery(self, **changes: t.Any) -> dict[str, t.Any]:
        """A delivery that is right in all points but `changes`; members of `job` are changed one by one."""
        job = {
            "id": "42",
            "name": "echo",
            "data": {"to": "ä@example.com"},
            "opts": {},
            "attemptsMade": 0,
            "attemptsStarted": 1,
            "stalledCounter": 0,
            "priority": 0,
            "delay": 0,
            "timestamp": (self.now - 1000) * 1000,
            "processedOn": self.now * 1000,
            "progress": 0,
            "parent": None,
        }
        if isinstance(changes.get("job"), dict):
            changes["job"] = job | changes["job"]
        return {
            "deliveryId": self.id,
            "queue": self.queue,
            "timeout": 30_000,
            "deadline": (self.now + 30) * 1000,
            "maxOutcomeBytes": 1_048_576,
            "worker": {"fingerprint": "0000"},
            "job": job,
            **changes,
        }

    def raw(self, data: str) -> bytes:
        """The body of a delivery whose data is this text."""
        return encode(self.delivery(job={"data": "RAW"})).replace(b'"RAW"', data.encode())

    def seal(
        self, body: bytes, *, id: str | None = None, at: int | None = None, secrets: t.Sequence[Secret] = ()
    ) -> HeaderList:
        """The three signature headers over `body`."""
        return signature_headers(
            secrets or [self.secret], self.id if id is None else id, self.now if at is None else at, body
        )

    def token(
        self, body: bytes, *, id: str | None = None, at: int | None = None, secret: Secret | None = None
    ) -> bytes:
        """The one signature over `body`."""
        return dict(self.seal(body, id=id, at=at, secrets=[secret] if secret else ()))[SIGNATURE]

    def signed(self, body: bytes, *, at: int | None = None, secrets: t.Sequence[Secret] = ()) -> HeaderList:
        """All headers of a delivery with `body`."""
        return [JSON, length_of(body), *self.seal(body, at=at, secrets=secrets)]

    def with_header(self, name: bytes, *values: bytes) -> HeaderList:
        """The headers of `good`, those called `name` exchanged for `values`."""
        kept = [(key, value) for key, value in self.signed(self.good) if key != name]
        return kept + [(name, value) for value in values]

    def post(self, body: bytes, headers: HeaderList | None = None, *, stalls: bool = False) -> Wire:
        """A delivery with `body`, signed unless `headers` are given."""
        return Wire(self.signed(body) if headers is None else headers, body, "POST", self.route, stalls=stalls)


def encode(content: object) -> bytes:
    """`content` as JSON."""
    return json.dumps(content).encode()


def length_of(body: bytes) -> tuple[bytes, bytes]:
    """The header that declares `body`."""
    return (LENGTH, b"%d" % len(body))
