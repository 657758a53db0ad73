"""Twenty requests at once: each gets the answer to its own, and where a home can, all are run together."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from nextmq_server.conformance.cases import Trait

from .integrations.integration import Home
from .setups import MEETING
from .support import QUEUES, deliver, delivery, every_home

TOGETHER = Trait.TOGETHER


def _deliver_at_once(home: Home, queue: str, job: str) -> list[t.Any]:
    """The return values of twenty deliveries of the numbers from 0 to 19."""

    def run(number: int) -> t.Any:
        content = delivery(queue=queue, deliveryId=f"dlv_{number}", job={"name": job, "data": number})
        return deliver(home, content)["returnValue"]

    with ThreadPoolExecutor(MEETING) as threads:
        return list(threads.map(run, range(MEETING)))


@pytest.mark.parametrize("queue", QUEUES)
@every_home()
def test_each_of_twenty_requests_gets_the_outcome_of_its_own_job(home: Home, queue: str) -> None:
    assert _deliver_at_once(home, queue, "echo") == list(range(MEETING))


@pytest.mark.parametrize("queue", QUEUES)
@every_home(TOGETHER)
def test_twenty_jobs_that_wait_for_each_other_are_in_flight_together(home: Home, queue: str) -> None:
    assert _deliver_at_once(home, queue, "meet") == list(range(MEETING))
