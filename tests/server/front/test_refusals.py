"""What the front logs about refused callers: each once a minute, few lines in all; who waits."""

from __future__ import annotations

import pytest

from nextmq_server.front import bounds
from nextmq_server.front.refusals import Refusals


def test_the_same_offence_is_told_again_after_a_minute_with_its_count(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals()
    for second in range(50):
        refusals.log("192.0.2.1", "sent a wrong API key", 100.0 + second)
        refusals.sweep(100.0 + second)
    refusals.sweep(161.0)
    assert caplog.messages == [
        "a caller at 192.0.2.1 sent a wrong API key",
        "a caller at 192.0.2.1 sent a wrong API key: 49 times more",
    ]


def test_an_offence_that_ended_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals()
    refusals.log("192.0.2.1", "sent a wrong API key", 100.0)
    refusals.sweep(161.0)
    refusals.log("192.0.2.1", "sent a wrong API key", 500.0)
    assert caplog.messages == ["a caller at 192.0.2.1 sent a wrong API key"] * 2


def test_many_callers_take_few_lines_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals()
    for number in range(100_000):
        refusals.log(f"2001:db8::{number:x}", "sent a wrong API key", 100.0)
    refusals.sweep(161.0)
    assert len(caplog.messages) == bounds.MAX_LINES + 1
    assert caplog.messages[-1].startswith(f"{100_000 - bounds.MAX_LINES} more requests")


def test_a_caller_waits_only_after_the_free_refusals_of_a_minute() -> None:
    refusals = Refusals()
    delays = [refusals.delay("192.0.2.1", 100.0) for _ in range(bounds.FREE_REFUSALS + 2)]
    assert delays == [0.0] * bounds.FREE_REFUSALS + [bounds.REFUSAL_DELAY] * 2
    assert (refusals.delay("192.0.2.2", 100.0), refusals.delay("192.0.2.1", 161.0)) == (0.0, 0.0)


def test_the_front_remembers_a_bounded_number_of_callers() -> None:
    refusals = Refusals()
    for number in range(3 * bounds.MAX_ADDRESSES):
        refusals.delay(str(number), 100.0)
        refusals.log(str(number), "sent a wrong API key", 100.0)
    assert max(len(refusals._attempts), len(refusals._told)) <= bounds.MAX_ADDRESSES
