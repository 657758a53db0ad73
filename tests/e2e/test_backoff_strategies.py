"""A worker's custom backoff strategy, from the app's code to the waiting job."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .conftest import Circle


def test_a_job_waits_as_the_strategy_of_its_worker_says(circle: Circle) -> None:
    circle.start_server()
    circle.start_app()

    job = circle.queue().add("fail", attempts=4, backoff={"type": "slow"})

    circle.wait_for_starts(job.id, job.id)  # the second after 10 ms
    circle.eventually(lambda: circle.job(job.id).state == "delayed", "it waits for the third")
    assert circle.job(job.id).delay == 3_600_000


def test_a_job_whose_type_no_strategy_has_fails_with_those_that_there_are(circle: Circle) -> None:
    circle.start_server()
    circle.start_app()

    job = circle.queue().add("fail", attempts=4, backoff={"type": "slwo"})

    failed = circle.wait_until_finished(job.id)
    reason = "ValueError: as asked (backoff type 'slwo' is not known: use fixed, exponential or slow)"
    assert (failed.failed_reason, circle.starts()) == (reason, [job.id])
