"""Webhook signatures: secrets, sign, verify. No I/O (protocol sections 1 to 3)."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import typing as t

from ..errors import ConfigurationError, NextMQError
from .messages import Headers

ID = b"x-nextmq-id"
TIMESTAMP = b"x-nextmq-timestamp"
SIGNATURE = b"x-nextmq-signature"

OUTCOME = b"outcome."
"""The prefix of what an outcome's signature signs, so that a request's signature never fits an outcome."""

TOLERANCE = 300
"""How far from now, in s, a timestamp may be by default."""

MAX_SIGNATURES = 8

_ID_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_MAX_ID, _MAX_TIMESTAMP = 64, 11
_PREFIX = "whsec_"
_MIN_SECRET, _MAX_SECRET = 24, 64

Reason = t.Literal[
    "header_missing",
    "header_malformed",
    "timestamp_too_old",
    "timestamp_too_new",
    "delivery_mismatch",
    "signature_mismatch",
]


class SignatureError(NextMQError):
    """A message that is not authentic. `reason` is for the log: the caller learns only "unauthorized"."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Secret:
    """One webhook secret. Its repr shows `id` only: eight hex digits that name it in logs (section 1)."""

    __slots__ = ("_key", "id")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.id: str = hmac.digest(key, b"nextmq secret id", "sha256").hex()[:8]

    def __repr__(self) -> str:
        return f"<Secret {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def sign(self, signed: bytes) -> bytes:
        """Return the signature token `v1,{base64}` over `signed`."""
        return b"v1," + base64.b64encode(hmac.digest(self._key, signed, "sha256"))

    def matches(self, signed: bytes, digest: bytes) -> bool:
        """Return whether `digest` is the HMAC of `signed`, compared in constant time."""
        return hmac.compare_digest(hmac.digest(self._key, signed, "sha256"), digest)


def parse_secret(text: str, *, source: str = "webhook secret") -> Secret:
    """Return the secret that `text` spells: `whsec_` and base64, or any other text as its UTF-8 bytes.

    Raises ConfigurationError, which names `source` and never the secret, if it is too short, too long or not
    base64 (protocol section 1).
    """
    if not text.startswith(_PREFIX):
        key = text.encode("utf-8", "surrogatepass")
        if len(key) < _MIN_SECRET:
            raise ConfigurationError(
                f"{source} is too short: {len(key)} bytes, at least {_MIN_SECRET} are needed; "
                "copy the whole connection string that the server printed"
            )
        return Secret(key)
    try:
        key = base64.b64decode(text[len(_PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(
            f"{source} starts with whsec_ but what follows is not base64: was part of it cut off or "
            "percent-encoded twice?"
        ) from None
    if not _MIN_SECRET <= len(key) <= _MAX_SECRET:
        raise ConfigurationError(
            f"{source} holds {len(key)} bytes; a whsec_ secret holds {_MIN_SECRET} to {_MAX_SECRET}"
        )
    return Secret(key)


def generate_secret(random: t.Callable[[int], bytes] = os.urandom) -> str:
    """Generate a `whsec_` secret of 24 bytes that needs no escaping in a URL (protocol section 1)."""
    while True:
        text = base64.b64encode(random(_MIN_SECRET)).decode()
        if not set(text) & set("+/="):
            return _PREFIX + text


def signature_headers(
    secrets: t.Sequence[Secret], id: str, timestamp: int, body: bytes, *, context: bytes = b""
) -> list[tuple[bytes, bytes]]:
    """Return the three headers over `body`, one signature for each secret. `timestamp` is Unix seconds.

    `context` is `OUTCOME` for an outcome (section 3), empty for a delivery (section 2).
    """
    sent_at = b"%d" % timestamp
    raw_id = id.encode()
    signed = b"%s%s.%s.%s" % (context, raw_id, sent_at, body)
    return [
        (ID, raw_id),
        (TIMESTAMP, sent_at),
        (SIGNATURE, b" ".join([secret.sign(signed) for secret in secrets])),
    ]


class Seal:
    """The three headers of one message, well formed and in time. `verify` checks the body against them."""

    def __init__(self, id: bytes, timestamp: bytes, signatures: bytes) -> None:
        self._id = id
        self._timestamp = timestamp
        self._signatures = signatures
        self.id: str = id.decode("ascii")

    def check_age(self, now: float, tolerance: float) -> None:
        """Check the timestamp. `now` is Unix seconds, `tolerance` s. Raises SignatureError."""
        age = int(now) - int(self._timestamp)
        if age > tolerance:
            raise SignatureError("timestamp_too_old")
        if age < -tolerance:
            raise SignatureError("timestamp_too_new")

    def verify(self, body: bytes, secrets: t.Iterable[Secret], *, context: bytes = b"") -> Secret:
        """Return the secret that signed `body`. Raises SignatureError."""
        signed = b"%s%s.%s.%s" % (context, self._id, self._timestamp, body)
        digests = _digests(self._signatures)
        for secret in secrets:
            for digest in digests:
                if secret.matches(signed, digest):
                    return secret
        raise SignatureError("signature_mismatch")


def read_seal(headers: Headers, *, now: float, tolerance: float = TOLERANCE) -> Seal:
    """Check the signature headers before the body is read (protocol section 2).

    `now` is Unix seconds, `tolerance` s. Raises SignatureError.
    """
    id, timestamp, signatures = _once(headers, ID), _once(headers, TIMESTAMP), _once(headers, SIGNATURE)
    is_id = 1 <= len(id) <= _MAX_ID and not id.lstrip(_ID_CHARACTERS)
    is_timestamp = len(timestamp) <= _MAX_TIMESTAMP and timestamp.isdigit()
    if not is_id or not is_timestamp or not signatures.isascii():
        raise SignatureError("header_malformed")
    seal = Seal(id, timestamp, signatures)
    seal.check_age(now, tolerance)
    return seal


def verify_outcome(
    headers: Headers,
    body: bytes,
    secrets: t.Iterable[Secret],
    *,
    delivery_id: str,
    now: float,
    tolerance: float = TOLERANCE,
) -> Secret:
    """Return the secret that signed this outcome of `delivery_id` (section 3). Raises SignatureError."""
    seal = read_seal(headers, now=now, tolerance=tolerance)
    if seal.id != delivery_id:
        raise SignatureError("delivery_mismatch")
    return seal.verify(body, secrets, context=OUTCOME)


def _once(headers: Headers, name: bytes) -> bytes:
    values = headers.all(name)
    if len(values) != 1:
        raise SignatureError("header_malformed" if values else "header_missing")
    return values[0]


def _digests(signatures: bytes) -> list[bytes]:
    """Return the digests of the `v1` tokens among the first eight. Skip unknown versions and malformed ones."""
    digests: list[bytes] = []
    for token in signatures.split(b" ", MAX_SIGNATURES)[:MAX_SIGNATURES]:
        version, _, encoded = token.partition(b",")
        if version != b"v1":
            continue
        try:
            digests.append(base64.b64decode(encoded, validate=True))
        except binascii.Error:
            continue
    return digests
