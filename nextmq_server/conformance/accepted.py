"""Requests that a handler must accept: heads at the edge of the rules of section 2, and bodies of all kinds."""

from __future__ import annotations

import json
import typing as t

from .cases import AcceptedCase, Trait
from .requests import ENCODING, JSON, LENGTH, SIGNATURE, TYPE, UNKNOWN_SECRET, Sender, encode

_PLAIN: list[t.Any] = [None, True, 0, -1, 0.5, "", [], {}, 2**53, "0"]
_UNICODE = "ä ☃ 😀 \u2028 \u0000 \u007f \U0010ffff \ufeff"
_TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def heads(sender: Sender) -> list[AcceptedCase]:
    """List heads within the rules."""
    data = sender.delivery()["job"]["data"]
    token = sender.token(sender.good)

    def head(name: str, header: bytes, *values: bytes, traits: tuple[Trait, ...] = ()) -> AcceptedCase:
        wire = sender.post(sender.good, sender.with_header(header, *values))
        return AcceptedCase(name, wire, data, frozenset(traits))

    def time(name: str, at: int) -> AcceptedCase:
        return AcceptedCase(name, sender.post(sender.good, sender.signed(sender.good, at=at)), data)

    return [
        head("a charset", TYPE, b"application/json; charset=utf-8"),
        head("a type in capitals", TYPE, b"Application/JSON ;a=b"),
        head("an encoding of identity", ENCODING, b"identity"),
        head("an encoding in capitals", ENCODING, b"Identity"),
        head("no length", LENGTH, traits=(Trait.NO_LENGTH,)),
        head("a length that is not a number", LENGTH, b"a lot", traits=(Trait.NOT_A_LENGTH, Trait.NO_LENGTH)),
        head("a length that is too small", LENGTH, b"1", traits=(Trait.FALSE_LENGTH,)),
        head("the eighth signature", SIGNATURE, b" ".join([b"v1,AAAA"] * 7 + [token])),
        head("another version before", SIGNATURE, b"v2,AAAA " + token),
        head("garbage before", SIGNATURE, b"garbage , v1 =,= " + token),
        head("two spaces between", SIGNATURE, b"v1,AAAA  " + token),
        head("garbage behind", SIGNATURE, token + b" garbage"),
        head(
            "another secret's before", SIGNATURE, sender.token(sender.good, secret=UNKNOWN_SECRET) + b" " + token
        ),
        head("20,000 signatures behind", SIGNATURE, b" ".join([token] * 20_000), traits=(Trait.LONG_HEADER,)),
        head("headers of other kinds", b"traceparent", _TRACE),
        time("300 s old", sender.now - sender.oldest),
        time("300 s ahead", sender.now + sender.oldest),
    ]


def bodies(sender: Sender) -> list[AcceptedCase]:
    """List bodies within the rules."""
    good = sender.delivery()["job"]["data"]

    def text(name: str, body: bytes, value: t.Any) -> AcceptedCase:
        return AcceptedCase(name, sender.post(body), value)

    def data(name: str, value: t.Any) -> AcceptedCase:
        return text(name, encode(sender.delivery(job={"data": value})), value)

    return [
        *(data(f"data of {json.dumps(value)}", value) for value in _PLAIN),
        data("data of every plane", _UNICODE),
        data("names of every plane", {_UNICODE: _UNICODE}),
        data("names that mean something elsewhere", {"__proto__": 1, "__class__": 2, "constructor": 3}),
        data("98 levels", json.loads("[" * 98 + "]" * 98)),
        text("UTF-8 without escapes", sender.raw('"ä☃😀"'), "ä☃😀"),
        text("members that are not known yet", encode(sender.delivery(later={"a": 1})), good),
        text("spaces and newlines", b" \r\n\t" + sender.good + b"\n", good),
    ]


def largest(sender: Sender) -> list[AcceptedCase]:
    """Return a body of exactly `max_body_size`."""
    exact = sender.good + b" " * (sender.max_body_size - len(sender.good))
    wire = sender.post(exact, [JSON, (LENGTH, b"%d" % len(exact)), *sender.seal(exact)])
    return [
        AcceptedCase(
            "exactly max_body_size", wire, sender.delivery()["job"]["data"], frozenset({Trait.LARGE_BODY})
        )
    ]
