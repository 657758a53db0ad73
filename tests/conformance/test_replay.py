"""The replay guard: a delivery id is let in once, in every home; one that fails lets nothing in."""

from __future__ import annotations

import dataclasses
import itertools

from .integrations.integration import Answer, Home
from .support import Wire, deliver, delivery, every_home, signed, wire_of

_numbers = itertools.count(1)


def _guarded() -> Wire:
    """A delivery with an id of its own: homes of other processes keep theirs through all tests."""
    return wire_of(delivery(deliveryId=f"once_{next(_numbers)}"), setup="guarded")


def _codes(*answers: Answer) -> list[tuple[int, object]]:
    return [(answer.status, answer.json.get("error")) for answer in answers]


@every_home()
def test_a_delivery_that_comes_again_is_refused(home: Home) -> None:
    wire = _guarded()
    assert _codes(wire.send(home), wire.send(home)) == [(200, None), (409, "duplicate_delivery")]


@every_home()
def test_a_delivery_that_comes_again_signed_anew_is_refused(home: Home) -> None:
    wire = _guarded()
    id = dict(wire.headers)[b"x-nextmq-id"].decode()
    again = dataclasses.replace(wire, headers=signed(wire.body, id=id, at=1_790_000_001))
    assert _codes(wire.send(home), again.send(home)) == [(200, None), (409, "duplicate_delivery")]


@every_home()
def test_a_delivery_that_was_refused_does_not_use_its_id_up(home: Home) -> None:
    wire = _guarded()
    forged = dataclasses.replace(wire, body=wire.body.replace(b"30000", b"30001"))
    assert _codes(forged.send(home), wire.send(home)) == [(401, "unauthorized"), (200, None)]


@every_home()
def test_another_delivery_is_let_in(home: Home) -> None:
    assert _codes(_guarded().send(home), _guarded().send(home)) == [(200, None), (200, None)]


@every_home()
def test_without_a_guard_a_delivery_that_comes_again_is_run_again(home: Home) -> None:
    assert [deliver(home, delivery())["outcome"] for _ in range(2)] == ["completed", "completed"]
