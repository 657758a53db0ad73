"""Requests that a handler must accept: heads at the edge of the rules of section 2, and bodies of all kinds."""

from __future__ import annotations

import json
import typing as t

from nextmq_handler.protocol.signing import TOLERANCE

from .cases import Case, Trait, completed
from .requests import ENCODING, LENGTH, SIGNATURE, TYPE, UNKNOWN_SECRET, Sender, Wire, encode

_PLAIN: list[t.Any] = [None, True, 0, -1, 0.5, "", [], {}, 2**53, "0"]
_UNICODE = "ä ☃ 😀 \u2028 \u0000 \u007f \U0010ffff \ufeff"
_TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def health(sender: Sender) -> list[Case]:
    """List requests without a signature: GET and HEAD /health (protocol sections 2 and 4), and HEAD elsewhere."""
    return [
        Case("health: GET", Wire(method="GET")),
        Case("health: HEAD", Wire(method="HEAD")),
        Case("health: a query", Wire(method="GET", route="/health?query=1")),
        Case("health: HEAD of a queue", Wire(method="HEAD", route=sender.route), 405),
    ]


def heads(sender: Sender) -> list[Case]:
    """List heads within the rules."""
    data, token = sender.delivery()["job"]["data"], sender.token(sender.good)
    oldest = TOLERANCE - sender.slack
    unknown = sender.token(sender.good, secret=UNKNOWN_SECRET)

    def head(name: str, header: bytes, *values: bytes, traits: t.Collection[Trait] = ()) -> Case:
        return completed(name, sender.head(header, *values), data, *traits)

    return [
        head("a charset", TYPE, b"application/json; charset=utf-8"),
        head("a type in capitals", TYPE, b"Application/JSON ;a=b"),
        head("an encoding of identity", ENCODING, b"identity"),
        head("an encoding in capitals", ENCODING, b"Identity"),
        head("no length", LENGTH, traits={Trait.NO_LENGTH}),
        head("a length that is not a number", LENGTH, b"a lot", traits={Trait.NOT_A_LENGTH, Trait.NO_LENGTH}),
        head("a length that is too small", LENGTH, b"1", traits={Trait.FALSE_LENGTH}),
        head("the eighth signature", SIGNATURE, b" ".join([b"v1,AAAA"] * 7 + [token])),
        head("another version before", SIGNATURE, b"v2,AAAA " + token),
        head("garbage before", SIGNATURE, b"garbage , v1 =,= " + token),
        head("two spaces between", SIGNATURE, b"v1,AAAA  " + token),
        head("garbage behind", SIGNATURE, token + b" garbage"),
        head("another secret's before", SIGNATURE, unknown + b" " + token),
        head("20,000 signatures behind", SIGNATURE, b" ".join([token] * 20_000), traits={Trait.LONG_HEADER}),
        head("headers of other kinds", b"traceparent", _TRACE),
        completed("300 s old", sender.at(sender.now - oldest), data),
        completed("300 s ahead", sender.at(sender.now + oldest), data),
    ]


def bodies(sender: Sender) -> list[Case]:
    """List bodies within the rules."""
    good = sender.delivery()["job"]["data"]

    def data(name: str, value: t.Any) -> Case:
        return completed(name, sender.post(encode(sender.delivery(job={"data": value}))), value)

    return [
        *(data(f"data of {json.dumps(value)}", value) for value in _PLAIN),
        data("data of every plane", _UNICODE),
        data("names of every plane", {_UNICODE: _UNICODE}),
        data("names that mean something elsewhere", {"__proto__": 1, "__class__": 2, "constructor": 3}),
        data("98 levels", json.loads("[" * 98 + "]" * 98)),
        completed("UTF-8 without escapes", sender.post(sender.raw('"ä☃😀"')), "ä☃😀"),
        completed("members that are not known yet", sender.post(encode(sender.delivery(later={"a": 1}))), good),
        completed("spaces and newlines", sender.post(b" \r\n\t" + sender.good + b"\n"), good),
    ]


def largest(sender: Sender) -> list[Case]:
    """Return a body of exactly `max_body_size`."""
    exact = sender.good + b" " * (sender.max_body_size - len(sender.good))
    data = sender.delivery()["job"]["data"]
    return [completed("exactly max_body_size", sender.post(exact), data, Trait.LARGE_BODY)]
