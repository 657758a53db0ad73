"""When a cron pattern comes next: strictly later, on the clocks of its zone, also on days when these change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import example, given
from hypothesis import strategies as st

from nextmq_handler.rules.cron import InvalidSchedule, next_run

BERLIN = "Europe/Berlin"
SPRING, AUTUMN = "2026-03-28T23:00+01:00", "2026-10-24T23:00+02:00"

# What Node's BullMQ (cron-parser 5) answers too.
CHANGES = [
    (SPRING, "30 2 * * *", ["03-29T03:30+02", "03-30T02:30+02"]),
    (SPRING, "0 * * * *", ["03-29T00:00+01", "03-29T01:00+01", "03-29T03:00+02", "03-29T04:00+02"]),
    (SPRING, "0 0 2 * * *", ["03-29T03:00+02", "03-30T02:00+02"]),
    (SPRING, "0 */2 * * *", ["03-29T00:00+01", "03-29T03:00+02", "03-29T04:00+02"]),
    (SPRING, "30 2,3 * * *", ["03-29T03:30+02", "03-30T02:30+02"]),
    (SPRING, "0 8 * * 1", ["03-30T08:00+02", "04-06T08:00+02"]),
    (AUTUMN, "30 2 * * *", ["10-25T02:30+02", "10-26T02:30+01"]),
    (
        AUTUMN,
        "0 * * * *",
        ["10-25T00:00+02", "10-25T01:00+02", "10-25T02:00+02", "10-25T02:00+01", "10-25T03:00+01"],
    ),
    (AUTUMN, "0 */2 * * *", ["10-25T00:00+02", "10-25T02:00+02", "10-25T04:00+01"]),
    (AUTUMN, "0 3 * * *", ["10-25T03:00+01", "10-26T03:00+01"]),
    (AUTUMN, "0 8 * * 1", ["10-26T08:00+01", "11-02T08:00+01"]),
    (
        "2026-10-25T02:50+02:00",
        "*/20 * * * *",
        ["10-25T02:00+01", "10-25T02:20+01", "10-25T02:40+01", "10-25T03:00+01"],
    ),
    ("2026-10-25T02:50+02:00", "*/20 1-3 * * *", ["10-25T03:00+01", "10-25T03:20+01"]),
    ("2026-10-25T02:10+01:00", "30 2 * * *", ["10-26T02:30+01"]),
]

moments = st.integers(0, 2_000_000_000_000)
numbers = st.integers(0, 59)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """Draw a field of a pattern."""
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    steps = st.integers(1, high).map(lambda step: f"*/{step}")
    lists = st.lists(number.map(str), min_size=1, max_size=3).map(",".join)
    return st.just("*") | number.map(str) | ranges | steps | lists


patterns = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])


def milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(("start", "pattern", "expected"), CHANGES)
def test_the_clocks_may_change(start: str, pattern: str, expected: list[str]) -> None:
    moment, runs = milliseconds(start), list[str]()
    for _ in expected:
        moment = next_run(pattern, BERLIN, moment)
        runs.append(datetime.fromtimestamp(moment / 1000, ZoneInfo(BERLIN)).isoformat("T", "minutes")[5:-3])
    assert runs == expected


@given(patterns, zones, moments)
@example("*/20 * * * *", BERLIN, milliseconds("2026-10-25T02:50+02:00"))
@example("30 2 * * *", BERLIN, milliseconds("2026-10-25T02:40+01:00"))
def test_a_run_is_after_the_moment_that_it_is_asked_for(pattern: str, tz: str, after: int) -> None:
    assert next_run(pattern, tz, after) > after


@given(patterns, moments)
def test_without_a_zone_it_is_what_croniter_says(pattern: str, after: int) -> None:
    expected = croniter(pattern, datetime.fromtimestamp(after / 1000, UTC)).get_next(datetime)
    assert next_run(pattern, None, after) == round(expected.timestamp() * 1000)


@given(patterns, moments)
def test_the_clock_on_the_wall_shows_the_pattern(pattern: str, after: int) -> None:
    zone = ZoneInfo("Asia/Kathmandu")  # nearly six hours off, and nobody changes the clocks
    run = datetime.fromtimestamp(next_run(pattern, zone.key, after) / 1000, zone)
    assert croniter.match(pattern, run.replace(tzinfo=None))


@given(patterns, zones, moments)
def test_no_run_comes_between_a_moment_and_the_next(pattern: str, tz: str, after: int) -> None:
    run = next_run(pattern, tz, after)
    assert next_run(pattern, tz, (after + run) // 2) == run


@given(st.text(max_size=200) | patterns.map(lambda pattern: pattern.replace("1", "L#")), moments)
@example("0 0 30 2 *", 0)
@example("H * * * *", 0)
@example("*/0 * * * *", 0)
@example("1-99999999 * * * *", 0)
def test_what_is_no_pattern_is_said_and_nothing_else_happens(pattern: str, after: int) -> None:
    try:
        assert next_run(pattern, None, after) > after
    except InvalidSchedule as exc:
        assert str(exc).startswith("pattern: ")  # noqa: PT017 - which of the two it is depends on the pattern


@given(st.text(min_size=1, max_size=64))
@example("Europe")
@example("../../etc/passwd")
@example("/etc/passwd")
@example("nul\0byte")
@example("\ud800")
@example("zone.tab")
def test_what_is_no_time_zone_is_said_and_nothing_else_happens(tz: str) -> None:
    try:
        next_run("0 8 * * *", tz, 0)
    except InvalidSchedule as exc:
        assert "use an IANA name" in str(exc)  # noqa: PT017 - it may have hit a name
