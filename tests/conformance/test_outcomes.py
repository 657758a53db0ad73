"""Every outcome row of protocol section 3, from def and async def processors, in every integration."""

from __future__ import annotations

import dataclasses

import pytest

from .integrations.integration import Integration
from .outcomes import ROWS, Row
from .support import QUEUES, deliver, delivery, every_integration, over_integrations, wire_of

both_queues = pytest.mark.parametrize("queue", QUEUES)


@over_integrations(ROWS)
def test_what_a_processor_does_is_the_outcome(integration: Integration, case: Row) -> None:
    assert deliver(integration, case.delivery(), setup="silent") == case.outcome


@both_queues
@every_integration()
def test_a_failure_shows_where_it_happened(integration: Integration, queue: str) -> None:
    outcome = deliver(integration, delivery(queue=queue, job={"name": "raise"}))
    assert outcome["error"]["stack"].splitlines()[-1] == "ValueError: no such address: ä☃😀"


@both_queues
@every_integration()
def test_a_stack_shows_what_caused_the_failure(integration: Integration, queue: str) -> None:
    outcome = deliver(integration, delivery(queue=queue, job={"name": "raise a cause"}))
    assert "KeyError: 'first'" in outcome["error"]["stack"]


@both_queues
@every_integration()
def test_a_stack_is_at_most_20_kilobytes(integration: Integration, queue: str) -> None:
    outcome = deliver(integration, delivery(queue=queue, job={"name": "raise a long text"}))
    assert len(outcome["error"]["stack"].encode()) <= 20 * 1024


@both_queues
@every_integration()
def test_a_processor_that_recurses_for_ever_fails(integration: Integration, queue: str) -> None:
    outcome = deliver(integration, delivery(queue=queue, job={"name": "raise deep down"}))
    assert (outcome["outcome"], outcome["error"]["name"]) == ("failed", "RecursionError")


@both_queues
@every_integration()
def test_an_outcome_bears_the_id_of_its_delivery(integration: Integration, queue: str) -> None:
    answer = wire_of(delivery(queue=queue, deliveryId="A-Za-z0_9")).send(integration)
    assert answer.all(b"x-nextmq-id") == [b"A-Za-z0_9"]


@both_queues
@every_integration()
def test_headers_of_a_delivery_may_be_in_any_case(integration: Integration, queue: str) -> None:
    wire = wire_of(delivery(queue=queue, job={"data": 1}))
    shouted = dataclasses.replace(wire, headers=[(name.title(), value) for name, value in wire.headers])
    assert shouted.send(integration).status == 200
