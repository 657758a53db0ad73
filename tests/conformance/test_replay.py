"""The replay guard: a delivery id is let in once, in every integration; one that fails lets nothing in."""

from __future__ import annotations

import dataclasses
import itertools

from .integrations.integration import Answer, Integration
from .support import Wire, deliver, delivery, every_integration, signed, wire_of

_numbers = itertools.count(1)


def _guarded() -> Wire:
    """Return a delivery with a new id: integrations in other processes remember ids through all tests."""
    return wire_of(delivery(deliveryId=f"once_{next(_numbers)}"), setup="guarded")


def _codes(*answers: Answer) -> list[tuple[int, object]]:
    return [(answer.status, answer.json.get("error")) for answer in answers]


@every_integration()
def test_a_delivery_that_comes_again_is_refused(integration: Integration) -> None:
    wire = _guarded()
    assert _codes(wire.send(integration), wire.send(integration)) == [(200, None), (409, "duplicate_delivery")]


@every_integration()
def test_a_delivery_that_comes_again_signed_anew_is_refused(integration: Integration) -> None:
    wire = _guarded()
    id = dict(wire.headers)[b"x-nextmq-id"].decode()
    again = dataclasses.replace(wire, headers=signed(wire.body, id=id, at=1_790_000_001))
    assert _codes(wire.send(integration), again.send(integration)) == [(200, None), (409, "duplicate_delivery")]


@every_integration()
def test_a_delivery_that_was_refused_does_not_use_its_id_up(integration: Integration) -> None:
    wire = _guarded()
    forged = dataclasses.replace(wire, body=wire.body.replace(b"30000", b"30001"))
    assert _codes(forged.send(integration), wire.send(integration)) == [(401, "unauthorized"), (200, None)]


@every_integration()
def test_another_delivery_is_let_in(integration: Integration) -> None:
    assert _codes(_guarded().send(integration), _guarded().send(integration)) == [(200, None), (200, None)]


@every_integration()
def test_without_a_guard_a_delivery_that_comes_again_is_run_again(integration: Integration) -> None:
    assert [deliver(integration, delivery())["outcome"] for _ in range(2)] == ["completed", "completed"]
