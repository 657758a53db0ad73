"""What must be let in: heads at the edge of the rules, and bodies from empty data to megabytes."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .home import Home
from .limits import Trait
from .setups import NOW, SMALL
from .support import (
    GOOD,
    JSON,
    Wire,
    deliver,
    delivery,
    encode,
    every_home,
    outcome_in,
    over_homes,
    seal,
    signed,
    with_header,
)


@dataclasses.dataclass(frozen=True)
class Accepted:
    """A request that is run; `value` is what its processor returns."""

    name: str
    wire: Wire
    value: t.Any
    traits: frozenset[Trait] = frozenset()


_DATA = delivery()["job"]["data"]
_TYPE, _ENCODING, _LENGTH, _SIGNATURE = (
    b"content-type",
    b"content-encoding",
    b"content-length",
    b"x-nextmq-signature",
)
_TOKEN = dict(signed(GOOD))[_SIGNATURE]


def _head(name: str, header: bytes, *values: bytes, traits: tuple[Trait, ...] = ()) -> Accepted:
    return Accepted(name, Wire(with_header(header, *values), GOOD), _DATA, frozenset(traits))


def _time(name: str, at: int) -> Accepted:
    return Accepted(name, Wire(signed(GOOD, at=at), GOOD), _DATA)


def _text(name: str, body: bytes, value: t.Any, *, setup: str = "plain") -> Accepted:
    return Accepted(name, Wire(signed(body), body, setup=setup), value)


def _data(name: str, value: t.Any) -> Accepted:
    return _text(name, encode(delivery(job={"data": value})), value)


_PLAIN: list[t.Any] = [None, True, 0, -1, 0.5, "", [], {}, 2**53, "0"]
_EXACT = GOOD + b" " * (SMALL - len(GOOD))
_UNICODE = "ä ☃ 😀 \u2028 \u0000 \u007f \U0010ffff \ufeff"
_RAW = encode(delivery(job={"data": "RAW"}))

HEADS = [
    _head("a charset", _TYPE, b"application/json; charset=utf-8"),
    _head("a type in capitals", _TYPE, b"Application/JSON ;a=b"),
    _head("an encoding of identity", _ENCODING, b"identity"),
    _head("an encoding in capitals", _ENCODING, b"Identity"),
    _head("no length", _LENGTH, traits=(Trait.NO_LENGTH,)),
    _head("a length that is no number", _LENGTH, b"a lot", traits=(Trait.NOT_A_LENGTH, Trait.NO_LENGTH)),
    _head("a length that is too small", _LENGTH, b"1", traits=(Trait.FALSE_LENGTH,)),
    _head("the eighth signature", _SIGNATURE, b" ".join([b"v1,AAAA"] * 7 + [_TOKEN])),
    _head("another version before", _SIGNATURE, b"v2,AAAA " + _TOKEN),
    _head("garbage before", _SIGNATURE, b"garbage , v1 =,= " + _TOKEN),
    _head("two spaces between", _SIGNATURE, b"v1,AAAA  " + _TOKEN),
    _head("garbage behind", _SIGNATURE, _TOKEN + b" garbage"),
    _head("20,000 signatures behind", _SIGNATURE, b" ".join([_TOKEN] * 20_000), traits=(Trait.LONG_HEADER,)),
    _head("headers of other kinds", b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    _time("300 s old", NOW - 300),
    _time("300 s ahead", NOW + 300),
]

BODIES = [
    *(_data(f"data of {value!r}", value) for value in _PLAIN),
    _data("data of every plane", _UNICODE),
    _data("names of every plane", {_UNICODE: _UNICODE}),
    _data("names that mean something elsewhere", {"__proto__": 1, "__class__": 2, "constructor": 3}),
    _data("a lone surrogate", "\ud800"),
    _data("98 levels", json.loads("[" * 98 + "]" * 98)),
    _text("UTF-8 without escapes", _RAW.replace(b'"RAW"', '"ä☃😀"'.encode()), "ä☃😀"),
    _text("members that are not known yet", encode(delivery(later={"a": 1})), _DATA),
    _text("spaces and newlines", b" \r\n\t" + GOOD + b"\n", _DATA),
    _text("exactly max_body_size", _EXACT, _DATA, setup="small"),
    _text("an integer of 4,000 digits", _RAW.replace(b'"RAW"', b"1" * 4000), int("1" * 4000)),
]

ACCEPTED = [*HEADS, *BODIES]


@over_homes(ACCEPTED)
def test_a_delivery_within_the_rules_is_run(home: Home, case: Accepted) -> None:
    assert outcome_in(case.wire.send(home)) == {"outcome": "completed", "returnValue": case.value}


@every_home()
def test_a_body_of_five_megabytes_arrives_whole(home: Home) -> None:
    data = "0123456789" * 524_288
    outcome = deliver(home, delivery(job={"name": "measure", "data": data}))
    assert outcome == {"outcome": "completed", "returnValue": 5_242_880}


@every_home()
def test_a_large_return_value_comes_back_whole(home: Home) -> None:
    content = delivery(job={"data": "0123456789" * 90_000})
    assert deliver(home, content) == {"outcome": "completed", "returnValue": content["job"]["data"]}


@every_home(Trait.NO_LENGTH)
def test_a_large_body_without_a_length_arrives_whole(home: Home) -> None:
    body = encode(delivery(job={"name": "measure", "data": "x" * 1_000_000}))
    answer = Wire([JSON, *seal(body)], body).send(home)
    assert outcome_in(answer) == {"outcome": "completed", "returnValue": 1_000_000}
