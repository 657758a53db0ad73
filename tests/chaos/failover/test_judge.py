"""The report of failovers finds what is lost, doubled and given twice: each case has one thing wrong."""

from __future__ import annotations

import pytest

from tests.chaos.failover.parts import FailoverStrike
from tests.chaos.failover.report import EventResult
from tests.chaos.failover.run import Confirmed, judge
from tests.chaos.history import WORK
from tests.chaos.journal import Entry
from tests.chaos.storage import StoredJob

STRIKES = [FailoverStrike("hang", 10_000, 12_000), FailoverStrike("kill", 20_000, 22_000)]
GOOD = [Confirmed(1, "a", 11_000), Confirmed(2, "b", 21_000)]


def stored(number: int, id: str, *places: str) -> StoredJob:
    return StoredJob(WORK, id, places or ("completed",), {"number": number}, 1, number, 1000, 0)


def ran(*times: int) -> list[Entry]:
    return [Entry("answered", number, str(number), 1, at) for number, at in enumerate(times)]


@pytest.mark.parametrize(
    ("confirmed", "kept", "first", "second"),
    [
        (GOOD, [stored(1, "a"), stored(2, "b")], (0, 0, 0), (0, 0, 0)),
        (GOOD, [stored(2, "b")], (1, 0, 0), (0, 0, 0)),
        (GOOD, [stored(1, "a"), stored(2, "b"), stored(2, "c")], (0, 0, 0), (0, 1, 0)),
        ([GOOD[0], Confirmed(2, "a", 21_000)], [stored(1, "a"), stored(2, "b")], (0, 0, 1), (0, 0, 1)),
    ],
    ids=["right", "lost", "doubled", "given twice"],
)
def test_what_is_wrong_counts_for_the_event_after_which_it_was_confirmed(
    confirmed: list[Confirmed],
    kept: list[StoredJob],
    first: tuple[int, int, int],
    second: tuple[int, int, int],
) -> None:
    report = judge(STRIKES, confirmed, kept, ran(9_500, 13_000, 19_500, 22_500), [])
    assert [(one.lost, one.doubled, one.given_twice) for one in report.results] == [first, second]
    assert report.is_right is (first == second == (0, 0, 0))


def test_the_gap_and_the_first_job_of_each_event_are_told() -> None:
    report = judge(STRIKES, GOOD, [stored(1, "a"), stored(2, "b")], ran(9_500, 13_000, 19_500, 22_500), [])
    assert [(one.gap, one.first_after) for one in report.results] == [(6.5, 1.0), (3.0, 0.5)]


@pytest.mark.parametrize(
    ("kept", "log"),
    [([stored(1, "a", "active"), stored(2, "b")], ""), ([stored(1, "a"), stored(2, "b")], "Traceback")],
)
def test_an_open_job_and_a_traceback_are_wrong(kept: list[StoredJob], log: str) -> None:
    assert not judge(STRIKES, GOOD, kept, ran(9_500, 13_000, 19_500, 22_500), [log]).is_right


def test_an_event_after_which_nothing_ran_is_wrong() -> None:
    assert not EventResult("hang", 0, 0, 0, 1.0, None).is_right
