"""Cron patterns, times and sizes in words."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.dashboard.words import clock, cron_text, schedule_text, size


@pytest.mark.parametrize(
    ("pattern", "tz", "words"),
    [
        ("0 3 * * *", "Europe/Berlin", "at 03:00 every day, Europe/Berlin"),
        ("30 8,20 * * *", None, "at 08:30 and 20:30 every day, UTC"),
        ("0 8 * * 1-5", None, "at 08:00 Monday to Friday, UTC"),
        ("0 8 * * mon,Thu", None, "at 08:00 every Monday and Thursday, UTC"),
        ("0 0 * * 7", None, "at 00:00 every Sunday, UTC"),
        ("15 9 1 * *", None, "at 09:15 on day 1 of the month, UTC"),
        ("15 9 L * *", None, "at 09:15 on the last day of the month, UTC"),
        ("0 0 24 12 *", None, "at 00:00 on 24 December, UTC"),
        ("*/5 * * * *", None, "every 5 minutes, UTC"),
        ("* * * * *", None, "every minute, UTC"),
        ("*/5 * * * 1-5", None, "every 5 minutes, Monday to Friday, UTC"),
        ("0,30 * * * *", None, "every hour at :00, :30, UTC"),
        ("5 */6 * * *", None, "every 6 hours at :05, UTC"),
        ("0 0 3 * * *", None, "at 03:00 every day, UTC"),
        ("@weekly", None, "at 00:00 every Sunday, UTC"),
    ],
)
def test_a_common_pattern_is_a_sentence(pattern: str, tz: str | None, words: str) -> None:
    assert cron_text(pattern, tz) == words


@pytest.mark.parametrize(
    "pattern", ["*/7 * * * *", "0 3 1 * 5", "10 0 3 * * *", "0 3 * * 1#2", "0 99 * * *", "", "x"]
)
def test_a_pattern_without_a_sentence_stays_as_it_is(pattern: str) -> None:
    assert cron_text(pattern, None) == f"{pattern}, UTC"


@given(st.text(string.digits + "*/,-LlWw#?@ monfri", max_size=30))
def test_any_pattern_has_words(pattern: str) -> None:
    assert cron_text(pattern, "UTC").endswith(", UTC")


def test_an_interval_is_said_with_its_unit() -> None:
    assert schedule_text(900_000, None, None) == "every 15 min"


@given(st.integers())
def test_a_time_of_day_never_fails(at: int) -> None:
    assert len(clock(at)) in (0, 8)


@pytest.mark.parametrize(
    ("octets", "words"), [(0, "0 bytes"), (999, "999 bytes"), (3_500_000, "3.5 MB"), (10**17, "100000 TB")]
)
def test_bytes_have_a_unit(octets: int, words: str) -> None:
    assert size(octets) == words
