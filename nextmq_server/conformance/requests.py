"""Build the requests of the cases."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field, replace
from functools import cached_property

from nextmq_handler.protocol.signing import Secret, parse_secret, signature_headers
from nextmq_handler.protocol.strict_json import compact
from nextmq_handler.protocol.wire import MAX_BODY_SIZE, JobRecord, encode_delivery

HeaderList = list[tuple[bytes, bytes]]

ID, TIMESTAMP, SIGNATURE = b"x-nextmq-id", b"x-nextmq-timestamp", b"x-nextmq-signature"
TYPE, ENCODING, LENGTH = b"content-type", b"content-encoding", b"content-length"
JSON = (TYPE, b"application/json")
UNKNOWN_SECRET: Secret = parse_secret("whsec_Ny8kSb2Vr5TfM1cXo6ZgEi0DqHw7UjA9")
"""A secret that no handler has."""
ABSENT = object()
"""The value of a member that a delivery does not have."""


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

    @cached_property
    def good(self) -> bytes:
        """The body of a valid delivery."""
        return encode(self.delivery())

    def delivery(self, **changes: t.Any) -> dict[str, t.Any]:
        """Return a delivery that is valid except for `changes`. Members of `job` are changed one by one.

        A member that is ABSENT is left out.
        """
        job = JobRecord({"id": "42", "name": "echo", "timestamp": (self.now - 1000) * 1000})
        job.processed_on = now = self.now * 1000
        data = compact({"to": "ä@example.com"})
        body = encode_delivery(
            job, data, id=self.id, queue=self.queue, timeout=30_000, now=now, fingerprint="0000"
        )
        delivery = t.cast("dict[str, t.Any]", json.loads(body))
        if isinstance(changes.get("job"), dict):
            changes["job"] = _changed(delivery["job"], changes["job"])
        return _changed(delivery, changes)

    def raw(self, data: str) -> bytes:
        """Return the body of a delivery whose data is this JSON text."""
        return encode(self.delivery(job={"data": "RAW"})).replace(b'"RAW"', data.encode())

    def seal(
        self, body: bytes, *, id: str | None = None, at: int | None = None, secret: Secret | None = None
    ) -> HeaderList:
        """Return the three signature headers over `body`."""
        return signature_headers([secret or self.secret], id or self.id, self.now if at is None else at, body)

    def token(self, body: bytes, **how: t.Any) -> bytes:
        """Return the signature over `body`, made as `seal` makes it."""
        return dict(self.seal(body, **how))[SIGNATURE]

    def post(self, body: bytes, headers: HeaderList | None = None, **changes: t.Any) -> Wire:
        """Return a delivery with `body`, signed unless `headers` are given. `changes` are members of `Wire`."""
        signed = [JSON, length_of(body), *self.seal(body)] if headers is None else headers
        return replace(Wire(signed, body, route=self.route), **changes)

    def head(self, name: bytes, *values: bytes) -> Wire:
        """Return a valid delivery with `values` for the headers called `name`."""
        kept = [(key, value) for key, value in self.post(self.good).headers if key != name]
        return self.post(self.good, kept + [(name, value) for value in values])

    def at(self, time: int) -> Wire:
        """Return a valid delivery that was signed at `time`, Unix seconds."""
        return self.post(self.good, [JSON, length_of(self.good), *self.seal(self.good, at=time)])


def _changed(members: dict[str, t.Any], changes: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: value for name, value in (members | changes).items() if value is not ABSENT}


def encode(content: object) -> bytes:
    """Return `content` as JSON."""
    return json.dumps(content).encode()


def length_of(body: bytes) -> tuple[bytes, bytes]:
    """Return the header that declares `body`."""
    return (LENGTH, b"%d" % len(body))
