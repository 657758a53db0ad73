"""Holds: how long a queue rests, when attempts burn again, what ends it."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.dispatch.holds import HoldBook
from nextmq_server.engine.verdicts import Fail, Hold

QUEUE = "emails"
DAY = 86_400.0


class Clock:
    """A clock that stands until it is moved, and a random number that is what it is set to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.luck = 1.0

    def book(self, *, max_backoff: float = 900.0) -> HoldBook:
        return HoldBook(max_backoff=max_backoff, monotonic=lambda: self.now, rand=lambda: self.luck)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(clock: Clock) -> HoldBook:
    return clock.book()


def seconds(verdict: Hold | Fail) -> float:
    """How long the queue rests."""
    assert isinstance(verdict, Hold)
    return verdict.seconds


def holds_in_a_row(book: HoldBook, clock: Clock, count: int) -> list[float]:
    """How long each hold is, where a delivery is refused whenever one ends."""
    found = []
    for _ in range(count):
        found.append(seconds(book.not_run(QUEUE, "connection refused")))
        clock.now += found[-1]
    return found


def test_a_hold_doubles_each_time(book: HoldBook, clock: Clock) -> None:
    assert holds_in_a_row(book, clock, 6) == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]


def test_a_hold_is_15_minutes_at_most(book: HoldBook, clock: Clock) -> None:
    assert holds_in_a_row(book, clock, 12)[9:] == [512.0, 900.0, 900.0]


def test_the_longest_hold_is_a_setting(clock: Clock) -> None:
    assert holds_in_a_row(clock.book(max_backoff=5.0), clock, 5) == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_short_longest_hold_is_still_a_number_after_thousands_of_holds(clock: Clock) -> None:
    assert holds_in_a_row(clock.book(max_backoff=0.01), clock, 5000)[-1] == pytest.approx(0.01)


@pytest.mark.parametrize(("luck", "expected"), [(0.0, 0.75), (0.5, 0.875), (1.0, 1.0)])
def test_jitter_takes_up_to_a_quarter_off(book: HoldBook, clock: Clock, luck: float, expected: float) -> None:
    clock.luck = luck
    assert holds_in_a_row(book, clock, 3) == [expected, 2 * expected, 4 * expected]


def test_failures_during_a_hold_do_not_lengthen_it(book: HoldBook, clock: Clock) -> None:
    book.not_run(QUEUE, "connection refused")
    clock.now += 0.25
    assert seconds(book.not_run(QUEUE, "connection refused")) == 0.75


def test_failures_during_a_hold_count_once(book: HoldBook, clock: Clock) -> None:
    for _ in range(10):
        book.not_run(QUEUE, "connection refused")
    clock.now += 1.0
    assert seconds(book.not_run(QUEUE, "connection refused")) == 2.0


def test_a_hold_tells_the_reason_of_its_own_delivery(book: HoldBook) -> None:
    book.not_run(QUEUE, "connection refused")
    assert book.not_run(QUEUE, "TLS failure") == Hold(1.0, "TLS failure")


def test_a_hold_is_of_one_queue(book: HoldBook, clock: Clock) -> None:
    holds_in_a_row(book, clock, 3)
    assert seconds(book.not_run("reports", "connection refused")) == 1.0


def test_just_before_a_day_is_over_no_attempt_burns(book: HoldBook, clock: Clock) -> None:
    book.not_run(QUEUE, "connection refused")
    clock.now += DAY - 1
    assert isinstance(book.not_run(QUEUE, "connection refused"), Hold)


def test_after_a_day_an_attempt_burns(book: HoldBook, clock: Clock) -> None:
    book.not_run(QUEUE, "connection refused")
    clock.now += DAY
    expected = Fail("EndpointUnavailable", "connection refused; it has been so for a day")
    assert book.not_run(QUEUE, "connection refused") == expected


def test_after_a_day_each_further_delivery_burns_an_attempt(book: HoldBook, clock: Clock) -> None:
    book.not_run(QUEUE, "connection refused")
    clock.now += DAY
    assert all(isinstance(book.not_run(QUEUE, "connection refused"), Fail) for _ in range(3))


def test_the_day_starts_again_after_a_delivery_that_ran(book: HoldBook, clock: Clock) -> None:
    book.not_run(QUEUE, "connection refused")
    clock.now += DAY
    book.clear(QUEUE)
    assert isinstance(book.not_run(QUEUE, "connection refused"), Hold)


def test_throttling_without_retry_after_doubles_from_5_seconds(book: HoldBook, clock: Clock) -> None:
    found = []
    for _ in range(4):
        found.append(seconds(book.throttled(QUEUE, None, "429")))
        clock.now += found[-1]
    assert found == [5.0, 10.0, 20.0, 40.0]


@pytest.mark.parametrize(("luck", "expected"), [(0.0, 3.75), (1.0, 5.0)])
def test_throttling_without_retry_after_has_jitter(
    book: HoldBook, clock: Clock, luck: float, expected: float
) -> None:
    clock.luck = luck
    assert seconds(book.throttled(QUEUE, None, "429")) == expected


@pytest.mark.parametrize("retry_after", [1.0, 7.0, DAY])
def test_throttling_with_retry_after_takes_it_as_it_is(book: HoldBook, clock: Clock, retry_after: float) -> None:
    clock.luck = 0.0
    assert book.throttled(QUEUE, retry_after, "429") == Hold(retry_after, "429")


def test_retry_after_lengthens_a_hold_that_would_end_sooner(book: HoldBook) -> None:
    book.not_run(QUEUE, "connection refused")
    assert seconds(book.throttled(QUEUE, 60.0, "429")) == 60.0


def test_retry_after_does_not_shorten_a_hold(book: HoldBook) -> None:
    book.throttled(QUEUE, 60.0, "429")
    assert seconds(book.throttled(QUEUE, 2.0, "429")) == 60.0


def test_throttling_never_burns_an_attempt(book: HoldBook, clock: Clock) -> None:
    book.throttled(QUEUE, DAY, "429")
    clock.now += DAY
    assert seconds(book.throttled(QUEUE, DAY, "429")) == DAY


def test_a_gone_endpoint_rests_for_a_day(book: HoldBook) -> None:
    assert book.gone(QUEUE) == Hold(DAY, "the app answered 410, until it registers again")


def test_a_gone_endpoint_rests_for_a_day_whatever_hold_there_was(book: HoldBook) -> None:
    book.not_run(QUEUE, "connection refused")
    assert seconds(book.gone(QUEUE)) == DAY


def test_a_gone_endpoint_never_burns_an_attempt(book: HoldBook, clock: Clock) -> None:
    book.gone(QUEUE)
    clock.now += DAY
    assert seconds(book.gone(QUEUE)) == DAY


@pytest.mark.parametrize("retry_after", [None, 60.0, DAY])
def test_clear_ends_a_throttling(book: HoldBook, retry_after: float | None) -> None:
    book.throttled(QUEUE, retry_after, "429")
    book.clear(QUEUE)
    assert seconds(book.not_run(QUEUE, "connection refused")) == 1.0


def test_clear_ends_what_a_gone_endpoint_began(book: HoldBook) -> None:
    book.gone(QUEUE)
    book.clear(QUEUE)
    assert seconds(book.not_run(QUEUE, "connection refused")) == 1.0


def test_clear_starts_the_backoff_again(book: HoldBook, clock: Clock) -> None:
    holds_in_a_row(book, clock, 5)
    book.clear(QUEUE)
    assert holds_in_a_row(book, clock, 2) == [1.0, 2.0]


def test_clear_leaves_other_queues_held(book: HoldBook) -> None:
    book.throttled("reports", 60.0, "429")
    book.clear(QUEUE)
    assert seconds(book.not_run("reports", "connection refused")) == 60.0


def test_a_hold_is_said_aloud_with_its_reason(book: HoldBook, caplog: pytest.LogCaptureFixture) -> None:
    book.not_run(QUEUE, "connection refused")
    message = "queue emails is held, its jobs wait and burn no attempts: connection refused"
    assert caplog.record_tuples == [("nextmq_server.dispatch", logging.ERROR, message)]


def test_the_end_of_a_hold_is_said(book: HoldBook, caplog: pytest.LogCaptureFixture) -> None:
    book.not_run(QUEUE, "connection refused")
    caplog.clear()
    book.clear(QUEUE)
    assert caplog.messages == ["queue emails is no longer held"]


def test_clear_says_nothing_of_a_queue_that_is_not_held(book: HoldBook, caplog: pytest.LogCaptureFixture) -> None:
    book.clear(QUEUE)
    assert caplog.messages == []


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["not_run", "throttled", "gone", "clear"]), st.floats(0, 2 * DAY), st.floats(0, 1)
        ),
        max_size=20,
    ),
    retry_after=st.none() | st.floats(1, DAY),
)
def test_no_hold_is_longer_than_a_day(steps: list[tuple[str, float, float]], retry_after: float | None) -> None:
    clock = Clock()
    book = clock.book()
    found: list[Hold | Fail] = []
    for step, passed, luck in steps:
        clock.now += passed
        clock.luck = luck
        match step:
            case "not_run":
                found.append(book.not_run(QUEUE, "connection refused"))
            case "throttled":
                found.append(book.throttled(QUEUE, retry_after, "429"))
            case "gone":
                found.append(book.gone(QUEUE))
            case _:
                book.clear(QUEUE)
    rests = [verdict.seconds for verdict in found if isinstance(verdict, Hold)]
    assert all(0 < rest <= DAY + 1e-6 for rest in rests)
