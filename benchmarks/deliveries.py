"""Signed deliveries of an exact size, and the same with one byte of the body changed after the signing."""

from __future__ import annotations

import base64
import bisect
import hmac
import json
import time
import typing as t

QUEUE = "emails"
KEY = b"the secret of the benchmarks"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
APP_URL = "https://app.example/api/nextmq"
MOUNT = "/api/nextmq"
PATH = f"/queues/{QUEUE}"
DELIVERY_ID = "dlv_01J0000000000000000000BENCH"

SIZES = {"1 KB": 1024, "64 KB": 64 * 1024, "1 MB": 1024 * 1024}

ORDINARY_HEADERS = (
    ("host", "app.example"),
    ("user-agent", "nextmq-server/0.1.0"),
    ("accept", "*/*"),
    ("accept-encoding", "identity"),
    ("connection", "keep-alive"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-proto", "https"),
)

_MARK = "one byte of this changes"


class Message(t.NamedTuple):
    """A request's headers, lower case, and its body."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


class Sample(t.NamedTuple):
    """A request that a handler must take, and its forgery, which it must refuse."""

    valid: Message
    forged: Message


def rows(count: int, *, amount: float = 125) -> list[dict[str, t.Any]]:
    """Return job data: a list of small objects, each with a multiple of `amount`."""
    return [
        {
            "id": 100_000 + i,
            "to": f"user{i}@example.com",
            "name": f"User {i}",
            "due": i * amount,
            "paid": i % 3 == 0,
        }
        for i in range(count)
    ]


def filled(size: int, build: t.Callable[[int, str], object]) -> bytes:
    """Return JSON of exactly `size` bytes that `build` makes from a count of rows and a text."""

    def encode(count: int, text: str) -> bytes:
        return json.dumps(build(count, text), separators=(",", ":")).encode()

    count = bisect.bisect_right(range(size // 50), size, key=lambda count: len(encode(count, _MARK))) - 1
    body = encode(count, _MARK + "." * (size - len(encode(count, _MARK))))
    assert len(body) == size, (len(body), size)
    return body


def delivery_body(size: int, *, fingerprint: str, amount: float = 125) -> bytes:
    """Return a delivery as the queue server sends it, with the `fingerprint` of the registration."""
    return filled(
        size,
        lambda count, text: {
            "deliveryId": DELIVERY_ID,
            "queue": QUEUE,
            "timeout": 30_000,
            "deadline": 1_790_000_030_000,
            "maxOutcomeBytes": 1_048_576,
            "worker": {"fingerprint": fingerprint},
            "job": {
                "id": "4211",
                "name": "welcome",
                "data": {"note": text, "rows": rows(count, amount=amount)},
                "opts": {"attempts": 5, "backoff": {"type": "exponential", "delay": 1000}},
                "attemptsMade": 1,
                "attemptsStarted": 2,
                "stalledCounter": 0,
                "priority": 0,
                "delay": 0,
                "timestamp": 1_790_000_000_000,
                "processedOn": 1_790_000_000_100,
                "progress": 0,
                "parent": None,
            },
        },
    )


def delivery(size: int, *, fingerprint: str, amount: float = 125) -> Sample:
    """Return a delivery of `size` bytes that is signed now, and its forgery."""
    body = delivery_body(size, fingerprint=fingerprint, amount=amount)
    sent_at = str(int(time.time()))
    signed = f"{DELIVERY_ID}.{sent_at}.".encode() + body
    signature = "v1," + base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
    headers = (
        ("x-nextmq-id", DELIVERY_ID),
        ("x-nextmq-timestamp", sent_at),
        ("x-nextmq-signature", signature),
    )
    return sample(headers, body)


def sample(headers: tuple[tuple[str, str], ...], body: bytes) -> Sample:
    """Return the request with `headers` added, and its forgery: JSON of the same size."""
    forged = body.replace(_MARK.encode(), _MARK.replace("one", "onf").encode())
    assert sum(a != b for a, b in zip(body, forged, strict=True)) == 1
    about = (("content-type", "application/json"), ("content-length", str(len(body))))
    everything = (*ORDINARY_HEADERS, *about, *headers)
    return Sample(Message(everything, body), Message(everything, forged))
