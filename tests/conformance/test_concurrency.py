"""Twenty requests at once: each gets the answer to its own, and where an integration can, all are run together."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from nextmq_server.conformance.cases import Trait

from .integrations.integration import Integration
from .setups import MEETING
from .support import QUEUES, deliver, delivery, every_integration

TOGETHER = Trait.TOGETHER


def _deliver_at_once(integration: Integration, queue: str, job: str) -> list[t.Any]:
    """Return the return values of twenty deliveries of the numbers from 0 to 19."""

    def run(number: int) -> t.Any:
        content = delivery(queue=queue, deliveryId=f"dlv_{number}", job={"name": job, "data": number})
        return deliver(integration, content)["returnValue"]

    with ThreadPoolExecutor(MEETING) as threads:
        return list(threads.map(run, range(MEETING)))


@pytest.mark.parametrize("queue", QUEUES)
@every_integration()
def test_each_of_twenty_requests_gets_the_outcome_of_its_own_job(integration: Integration, queue: str) -> None:
    assert _deliver_at_once(integration, queue, "echo") == list(range(MEETING))


@pytest.mark.parametrize("queue", QUEUES)
@every_integration(TOGETHER)
def test_twenty_jobs_that_wait_for_each_other_are_in_flight_together(integration: Integration, queue: str) -> None:
    assert _deliver_at_once(integration, queue, "meet") == list(range(MEETING))
