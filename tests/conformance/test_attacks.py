"""What receivers of signed webhooks fall for: each attack is refused, its honest twin is run."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import ConfigurationError, create_nextmq_handler
from nextmq_handler.protocol.signing import parse_secret

from .integrations.integration import HeaderList, Integration
from .limits import DRIVERS
from .setups import NOW, SECRET, UNKNOWN_SECRET, WORKERS
from .support import (
    GOOD,
    JSON,
    SENDER,
    Case,
    Wire,
    delivery,
    encode,
    every_integration,
    length_of,
    outcome_in,
    over_integrations,
    signed,
    wire_of,
)

TEN_YEARS = 10 * 365 * 86_400
ID, TIMESTAMP, SIGNATURE = b"x-nextmq-id", b"x-nextmq-timestamp", b"x-nextmq-signature"
TOKEN = dict(signed(GOOD))[SIGNATURE]
DIGEST = TOKEN[3:]
CODES = {400: "invalid_body", 401: "unauthorized", 404: "not_found", 405: "method_not_allowed"}
CODES |= {413: "payload_too_large", 415: "unsupported_media_type"}


def _attack(name: str, status: int, headers: HeaderList, body: bytes = GOOD, **wire: t.Any) -> Case:
    return Case(name, Wire(headers, body, **wire), status, CODES[status])


def _dated(timestamp: str) -> HeaderList:
    """GOOD, signed under a timestamp as it is spelled here."""
    text = timestamp.encode()
    token = parse_secret(SECRET).sign(b"dlv_1.%s.%s" % (text, GOOD))
    return [JSON, length_of(GOOD), (ID, b"dlv_1"), (TIMESTAMP, text), (SIGNATURE, token)]


def _signature(*values: bytes) -> HeaderList:
    return SENDER.head(SIGNATURE, *values).headers


def _body(name: str, body: bytes, status: int = 400) -> Case:
    return _attack(name, status, signed(body), body)


def _of(body: bytes) -> HeaderList:
    """Return the headers of GOOD, with the length of another body."""
    return [length_of(body) if name == b"content-length" else (name, value) for name, value in signed(GOOD)]


_SPACED = json.dumps(json.loads(GOOD), indent=1).encode()
_SORTED = json.dumps(json.loads(GOOD), sort_keys=True, separators=(",", ":")).encode()
_DUPLICATE = GOOD[:-1] + b', "timeout": 1}'
_RAW = encode(delivery(job={"data": "RAW"}))
_HUGE = b"[" + b"0," * 15_000_000 + b"0]"

REFUSED = [
    _attack("signed ten years ago", 401, signed(GOOD, at=NOW - TEN_YEARS)),
    _attack("signed ten years ahead", 401, signed(GOOD, at=NOW + TEN_YEARS)),
    _attack("no timestamp", 401, SENDER.head(TIMESTAMP).headers),
    _attack("timestamp 0", 401, _dated("0")),
    *(
        _attack(f"signed at {text!r}", 401, _dated(text))
        for text in (
            f"{NOW}.9",
            "1.79e9",
            f" {NOW}",
            f"{NOW} ",
            "1_790_000_000",
            "١٧٩٠٠٠٠٠٠٠",
            f"+{NOW}",
            f"00{NOW}0",
        )
    ),
    _attack("spaces changed", 401, _of(_SPACED), _SPACED),
    _attack("members sorted", 401, _of(_SORTED), _SORTED),
    _attack("a member added that wins", 401, _of(_DUPLICATE), _DUPLICATE),
    _attack("a signature that is not ASCII", 401, _signature("v1,é".encode() + DIGEST)),
    _attack("a token without a comma", 401, _signature(b"v1" + DIGEST)),
    _attack("a token of commas", 401, _signature(b",,,v1,")),
    _attack("no padding", 401, _signature(TOKEN.rstrip(b"="))),
    _attack("padding of another length", 401, _signature(TOKEN + b"=")),
    _attack("junk in base64", 401, _signature(TOKEN[:10] + b"*" + TOKEN[10:])),
    _attack("URL-safe base64", 401, _signature(b"v1," + b"-_" * 21 + b"A=")),
    _attack("an empty digest", 401, _signature(b"v1,")),
    _attack("the first bytes of the digest", 401, _signature(b"v1," + DIGEST[:4])),
    _attack("the digest and more", 401, _signature(b"v1," + DIGEST[:-4] + b"AAAA" + DIGEST[-4:])),
    _attack("20,000 signatures before the right one", 401, _signature(b"v1,AAAA " * 20_000 + TOKEN)),
    _attack("the signature twice", 401, _signature(TOKEN, TOKEN)),
    _attack("a wrong signature and the right one", 401, _signature(b"v1,AAAA", TOKEN)),
    _attack("two ids", 401, SENDER.head(ID, b"dlv_1", b"dlv_2").headers),
    _attack("no algorithm", 401, [*_signature(b"none,"), (b"x-nextmq-algorithm", b"none")]),
    _attack("not signed", 401, [JSON, length_of(GOOD)]),
    _attack("under another secret", 401, signed(GOOD, secrets=[UNKNOWN_SECRET])),
    _attack("an outcome's signature", 401, _signature(dict(signed(b"outcome." + GOOD))[SIGNATURE])),
    _attack("30 MB under a bad signature", 413, [JSON, length_of(_HUGE), *signed(GOOD)[2:]], _HUGE),
    _attack("30 MB of unknown length", 413, [JSON, *signed(GOOD)[2:]], _HUGE),
    _attack("gzip", 415, [*signed(GOOD), (b"content-encoding", b"gzip")]),
    _attack("a form", 415, SENDER.head(b"content-type", b"application/x-www-form-urlencoded").headers),
    _attack("another queue's delivery", 404, signed(GOOD), route="/queues/awaited"),
    _attack("a queue outside of its path", 404, signed(GOOD), route="/queues/..%2Fqueues%2Fblocking"),
    *(
        _attack(f"{method} for a look inside", 405, [], b"", method=method)
        for method in ("PATCH", "OPTIONS", "DELETE", "PUT", "TRACE")
    ),
    _attack("PUT for a registration", 405, [JSON], b"", method="PUT", route="/health"),
    _body("not UTF-8, signed", b"\xff\xfe\xfd"),
    _body("200,000 levels, signed", b"[" * 200_000),
    _body("an integer of 5,000 digits, signed", _RAW.replace(b'"RAW"', b"9" * 5000)),
    _body("NaN, signed", _RAW.replace(b'"RAW"', b"NaN")),
    _body("half a surrogate pair in bytes, signed", _RAW.replace(b"RAW", b"\xed\xa0\x80")),
]


@over_integrations(REFUSED, integrations=DRIVERS)
def test_an_attack_is_refused_with_a_code_alone(place: Integration, case: Case) -> None:
    answer = case.wire.send(place)
    assert (answer.status, answer.json) == (case.status, {"error": case.code})


@dataclasses.dataclass(frozen=True)
class Twin:
    """A request that looks odd and is right; `value` is what its processor returns."""

    name: str
    wire: Wire
    value: t.Any
    traits: frozenset[t.Any] = frozenset()


def _twin(name: str, headers: HeaderList, body: bytes = GOOD) -> Twin:
    return Twin(name, Wire(headers, body), json.loads(body)["job"]["data"])


_TWICE = _RAW.replace(b'"data": "RAW"', b'"data": "first", "data": "last"')
_PROTO = _RAW.replace(b'"RAW"', b'{"__proto__": {"admin": true}, "constructor": 1}')

ACCEPTED = [
    # The bytes were signed as they are, so whoever signed meant them; of two members Python's json takes the last.
    Twin("a member twice, signed: the last one counts", Wire(signed(_TWICE), _TWICE), "last"),
    _twin("members that mean something elsewhere", signed(_PROTO), _PROTO),
    _twin("garbage before the signature", _signature(b"garbage v1 , " + TOKEN)),
    _twin("two spaces before the signature", _signature(b"v1,AAAA  " + TOKEN)),
    _twin("a host that is none", [*signed(GOOD), (b"host", b"a:b:c")]),
    _twin("a host in brackets", [*signed(GOOD), (b"host", b"[::1]:8000")]),
    _twin("a host of somebody else", [*signed(GOOD), (b"host", b"evil.example/queues/awaited?")]),
    _twin("forwarded for somebody else", [*signed(GOOD), (b"x-forwarded-host", b"evil.example")]),
    _twin("a prefix that was forwarded", [*signed(GOOD), (b"x-forwarded-prefix", b"/evil")]),
]


@over_integrations(ACCEPTED, integrations=DRIVERS)
def test_what_only_looks_like_an_attack_is_run(place: Integration, case: Twin) -> None:
    assert outcome_in(case.wire.send(place)) == {"outcome": "completed", "returnValue": case.value}


@every_integration(integrations=DRIVERS)
def test_the_same_request_is_run_once_where_there_is_a_guard(place: Integration) -> None:
    wire = wire_of(delivery(deliveryId="attacked"), setup="guarded")
    assert [wire.send(place).status for _ in range(2)] == [200, 409]


@pytest.mark.parametrize("make", [create_nextmq_handler, nextmq_blueprint, lambda_handler])
@pytest.mark.parametrize("secret", ["x", "whsec_eA==", "", " ", "whsec_", "x" * 23])
def test_a_secret_that_is_too_short_is_refused_when_the_handler_is_made(
    make: t.Callable[..., object], secret: str
) -> None:
    with pytest.raises(ConfigurationError):
        make(WORKERS, webhook_secrets=[secret])
