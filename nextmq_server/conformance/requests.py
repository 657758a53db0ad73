"""Build the requests of the cases."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field
from functools import cached_property

from nextmq_handler.protocol.signing import TOLERANCE, Secret, parse_secret, signature_headers
from nextmq_handler.protocol.strict_json import compact
from nextmq_handler.protocol.wire import MAX_BODY_SIZE, JobRecord, encode_delivery

HeaderList = list[tuple[bytes, bytes]]

ID, TIMESTAMP, SIGNATURE = b"x-nextmq-id", b"x-nextmq-timestamp", b"x-nextmq-signature"
TYPE, ENCODING, LENGTH = b"content-type", b"content-encoding", b"content-length"
JSON = (TYPE, b"application/json")
UNKNOWN_SECRET: Secret = parse_secret("whsec_Ny8kSb2Vr5TfM1cXo6ZgEi0DqHw7UjA9")
"""A secret that no handler has."""


@dataclass(frozen=True)
class Wire:
    """One request. `route` is below the handler's mount, percent-encoded.

    If the body `stalls`, only half of it is sent. If it `is_broken`, it is sent as it is, whatever the head says.
    """

    headers: HeaderList = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""
    method: str = "POST"
    route: str = "/health"
    stalls: bool = False
    is_broken: bool = False


@dataclass(frozen=True)
class Sender:
    """Make deliveries that are valid except for what a case changes.

    `now` is Unix seconds. `slack` is how far, in s, the handler's clock may be from it, and how late a request may
    arrive: cases at the edge of the tolerance keep that distance. `max_body_size` is the handler's, in bytes.
    """

    secret: Secret
    now: int
    queue: str = "conformance"
    id: str = "dlv_1"
    slack: int = 0
    max_body_size: int = MAX_BODY_SIZE

    @property
    def route(self) -> str:
        """The path for deliveries of the queue."""
        return f"/queues/{self.queue}"

    @property
    def oldest(self) -> int:
        """How far from now, in s, a timestamp is still accepted."""
        return TOLERANCE - self.slack

    @property
    def too_old(self) -> int:
        """How far from now, in s, a timestamp is refused."""
        return TOLERANCE + self.slack + 1

    @cached_property
    def good(self) -> bytes:
        """The body of a valid delivery."""
        return encode(self.delivery())

    def delivery(self, **changes: t.Any) -> dict[str, t.Any]:
        """Return a delivery that is valid except for `changes`. Members of `job` are changed one by one."""
        job = JobRecord({"id": "42", "name": "echo", "timestamp": (self.now - 1000) * 1000})
        job.processed_on = now = self.now * 1000
        data = compact({"to": "ä@example.com"})
        body = encode_delivery(
            job, data, id=self.id, queue=self.queue, timeout=30_000, now=now, fingerprint="0000"
        )
        delivery = t.cast("dict[str, t.Any]", json.loads(body))
        if isinstance(changes.get("job"), dict):
            changes["job"] = delivery["job"] | changes["job"]
        return delivery | changes

    def raw(self, data: str) -> bytes:
        """Return the body of a delivery whose data is this JSON text."""
        return encode(self.delivery(job={"data": "RAW"})).replace(b'"RAW"', data.encode())

    def seal(
        self, body: bytes, *, id: str | None = None, at: int | None = None, secrets: t.Sequence[Secret] = ()
    ) -> HeaderList:
        """Return the three signature headers over `body`."""
        return signature_headers(
            secrets or [self.secret], self.id if id is None else id, self.now if at is None else at, body
        )

    def token(
        self, body: bytes, *, id: str | None = None, at: int | None = None, secret: Secret | None = None
    ) -> bytes:
        """Return the one signature over `body`."""
        return dict(self.seal(body, id=id, at=at, secrets=[secret] if secret else ()))[SIGNATURE]

    def signed(self, body: bytes, *, at: int | None = None, secrets: t.Sequence[Secret] = ()) -> HeaderList:
        """Return all headers of a delivery with `body`."""
        return [JSON, length_of(body), *self.seal(body, at=at, secrets=secrets)]

    def with_header(self, name: bytes, *values: bytes) -> HeaderList:
        """Return the headers of `good`, with `values` for those called `name`."""
        kept = [(key, value) for key, value in self.signed(self.good) if key != name]
        return kept + [(name, value) for value in values]

    def post(self, body: bytes, headers: HeaderList | None = None, *, stalls: bool = False) -> Wire:
        """Return a delivery with `body`, signed unless `headers` are given."""
        return Wire(self.signed(body) if headers is None else headers, body, "POST", self.route, stalls=stalls)


def encode(content: object) -> bytes:
    """Return `content` as JSON."""
    return json.dumps(content).encode()


def length_of(body: bytes) -> tuple[bytes, bytes]:
    """Return the header that declares `body`."""
    return (LENGTH, b"%d" % len(body))
