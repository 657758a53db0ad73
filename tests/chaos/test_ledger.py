"""The ledger finds broken invariants: each case is a good run with one thing wrong."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler import JobOptions
from tests.chaos.history import PARENTS, WORK, Addition, PlannedJob
from tests.chaos.journal import Entry
from tests.chaos.ledger import Ledger
from tests.chaos.producer import Accepted
from tests.chaos.storage import StoredJob

ATTEMPTS = 3


def planned(number: int, queue: str = WORK, **opts: t.Unpack[JobOptions]) -> PlannedJob:
    return PlannedJob(number, queue, {"attempts": ATTEMPTS, **opts}, ("done",), 0)


def completed(number: int, **changes: t.Any) -> StoredJob:
    """Return the job with this number, which is its id too."""
    job = StoredJob(WORK, str(number), ("completed",), {"number": number}, 1, number, 1000, 0)
    return job._replace(**changes)


def executed(number: int, attempt: int = 1) -> list[Entry]:
    return [Entry(event, number, str(number), attempt, 0) for event in ("started", "effect", "answered")]


def dead_letter(number: int) -> StoredJob:
    return completed(number, places=("wait",), data={"id": str(number)})


def accepted(*jobs: PlannedJob, **changes: t.Any) -> Accepted:
    ids = tuple(str(job.number) for job in jobs)
    return Accepted(Addition("addition-0", 0, jobs, is_flow=jobs[0].queue == PARENTS), ids, ids)._replace(
        **changes
    )


def test_a_run_in_which_all_went_well_has_no_violations() -> None:
    failed = completed(2, places=("failed",), attempts_made=ATTEMPTS, return_value=None)
    ledger = Ledger(
        [accepted(planned(1)), accepted(planned(2))], [completed(1), failed], [dead_letter(2)], executed(1)
    )
    assert ledger.violations == []


@pytest.mark.parametrize(
    ("stored", "violation"),
    [
        ([], "was accepted and is nowhere"),
        ([completed(1), completed(1, id="2")], "no producer was told of it"),
        ([completed(1, places=("completed", "wait"))], "is in completed and wait"),
        ([completed(1, places=("delayed",))], "did not end, it is delayed"),
        ([completed(1, data={"number": 7})], "holds {'number': 7}"),
        ([completed(1, attempts_made=4)], "used 4 attempts of 3"),
        ([completed(1, return_value=7)], "completed with 7, the result of another"),
        ([completed(1, attempts_made=2)], "completed on attempt 2, which had no effect"),
        ([completed(1, places=("failed",))], "has 0 dead letters"),
    ],
)
def test_a_job_that_is_not_as_it_must_be_is_a_violation(stored: list[StoredJob], violation: str) -> None:
    ledger = Ledger([accepted(planned(1))], stored, [], executed(1))
    assert [text for text in ledger.violations if violation in text]


def test_a_job_that_completed_unexecuted_is_a_violation() -> None:
    ledger = Ledger([accepted(planned(1))], [completed(1)], [], [])
    assert [text for text in ledger.violations if "was never executed" in text]


def test_a_dead_letter_for_a_job_that_did_not_fail_is_a_violation() -> None:
    ledger = Ledger([accepted(planned(1))], [completed(1)], [dead_letter(1)], executed(1))
    assert ledger.violations == ["queue work job 1: has 1 dead letters, failed is False"]


def test_an_idempotency_key_that_gave_two_jobs_is_a_violation() -> None:
    ledger = Ledger([accepted(planned(1), repeated=("2",))], [completed(1)], [], executed(1))
    assert ledger.violations == ["addition-0: repeated with its idempotency key it gave ('2',), not ('1',)"]


@pytest.mark.parametrize(
    ("parent", "child", "violation"),
    [
        ({"open_children": 1}, {}, "completed with 1 open children"),
        ({}, {"places": ("failed",)}, "though child 2 failed it"),
    ],
)
def test_a_parent_that_completed_too_soon_is_a_violation(
    parent: dict[str, t.Any], child: dict[str, t.Any], violation: str
) -> None:
    flow = accepted(planned(1, PARENTS), planned(2, fail_parent_on_failure=True))
    stored = [completed(1, queue=PARENTS, **parent), completed(2, **child)]
    ledger = Ledger([flow], stored, [dead_letter(2)] if child else [], [*executed(1), *executed(2)])
    assert [text for text in ledger.violations if violation in text]


def test_effects_beyond_the_first_of_an_attempt_are_doubled_and_no_violation() -> None:
    entries = [*executed(1), *executed(1), *executed(1, attempt=2)]
    ledger = Ledger([accepted(planned(1))], [completed(1, attempts_made=2)], [], entries)
    assert (ledger.doubled, ledger.executions, ledger.violations) == (1, 3, [])
