"""What must be let in: heads at the edge of the rules, and bodies from empty data to megabytes."""

from __future__ import annotations

from nextmq_server.conformance import accepted as table
from nextmq_server.conformance.cases import Trait, completed

from .integrations.integration import Integration
from .support import (
    JSON,
    SENDER,
    SMALL_SENDER,
    Case,
    Wire,
    deliver,
    delivery,
    encode,
    every_integration,
    for_setup,
    outcome_in,
    over_integrations,
    seal,
)

_OF_PYTHON = [
    completed("a lone surrogate", SENDER.post(SENDER.raw('"\\ud800"')), "\ud800"),
    completed("an integer of 4,000 digits", SENDER.post(SENDER.raw("1" * 4000)), int("1" * 4000)),
]
HEADS = for_setup(table.heads(SENDER))
ACCEPTED: list[Case] = [
    *HEADS,
    *for_setup(table.bodies(SENDER)),
    *for_setup(table.largest(SMALL_SENDER), "small"),
    *for_setup(_OF_PYTHON),
]


@over_integrations(ACCEPTED)
def test_a_delivery_within_the_rules_is_run(integration: Integration, case: Case) -> None:
    assert outcome_in(case.wire.send(integration)) == case.outcome


@every_integration()
def test_a_body_of_five_megabytes_arrives_whole(integration: Integration) -> None:
    data = "0123456789" * 524_288
    outcome = deliver(integration, delivery(job={"name": "measure", "data": data}))
    assert outcome == {"outcome": "completed", "returnValue": 5_242_880}


@every_integration()
def test_a_large_return_value_comes_back_whole(integration: Integration) -> None:
    content = delivery(job={"data": "0123456789" * 90_000})
    assert deliver(integration, content) == {"outcome": "completed", "returnValue": content["job"]["data"]}


@every_integration(Trait.NO_LENGTH)
def test_a_large_body_without_a_length_arrives_whole(integration: Integration) -> None:
    body = encode(delivery(job={"name": "measure", "data": "x" * 1_000_000}))
    answer = Wire([JSON, *seal(body)], body).send(integration)
    assert outcome_in(answer) == {"outcome": "completed", "returnValue": 1_000_000}
