"""Every outcome row of protocol section 3, from def and async def processors, in every home."""

from __future__ import annotations

import dataclasses

import pytest

from .integrations.integration import Home
from .outcomes import ROWS, Row
from .support import QUEUES, deliver, delivery, every_home, over_homes, wire_of

both_queues = pytest.mark.parametrize("queue", QUEUES)


@over_homes(ROWS)
def test_what_a_processor_does_is_the_outcome(home: Home, case: Row) -> None:
    assert deliver(home, case.delivery(), setup="silent") == case.outcome


@both_queues
@every_home()
def test_a_failure_shows_where_it_happened(home: Home, queue: str) -> None:
    outcome = deliver(home, delivery(queue=queue, job={"name": "raise"}))
    assert outcome["error"]["stack"].splitlines()[-1] == "ValueError: no such address: ä☃😀"


@both_queues
@every_home()
def test_a_stack_shows_what_caused_the_failure(home: Home, queue: str) -> None:
    outcome = deliver(home, delivery(queue=queue, job={"name": "raise a cause"}))
    assert "KeyError: 'first'" in outcome["error"]["stack"]


@both_queues
@every_home()
def test_a_stack_is_at_most_20_kilobytes(home: Home, queue: str) -> None:
    outcome = deliver(home, delivery(queue=queue, job={"name": "raise a long text"}))
    assert len(outcome["error"]["stack"].encode()) <= 20 * 1024


@both_queues
@every_home()
def test_a_processor_that_recurses_for_ever_fails(home: Home, queue: str) -> None:
    outcome = deliver(home, delivery(queue=queue, job={"name": "raise deep down"}))
    assert (outcome["outcome"], outcome["error"]["name"]) == ("failed", "RecursionError")


@both_queues
@every_home()
def test_an_outcome_bears_the_id_of_its_delivery(home: Home, queue: str) -> None:
    answer = wire_of(delivery(queue=queue, deliveryId="A-Za-z0_9")).send(home)
    assert answer.all(b"x-nextmq-id") == [b"A-Za-z0_9"]


@both_queues
@every_home()
def test_headers_of_a_delivery_may_be_in_any_case(home: Home, queue: str) -> None:
    wire = wire_of(delivery(queue=queue, job={"data": 1}))
    shouted = dataclasses.replace(wire, headers=[(name.title(), value) for name, value in wire.headers])
    assert shouted.send(home).status == 200
