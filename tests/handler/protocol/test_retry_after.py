"""What a `retry-after` header means, and that no header raises."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.retry_after import parse_retry_after
from tests.support.handler import NOW


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("1.5", None),
        ("-1", None),
        ("²", None),
        ("", None),
        ("soon", None),
        ("Wed, 99 Foo 2026 10:00:00 GMT", None),
    ],
)
def test_a_number_in_retry_after_is_seconds(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize("seconds", [-5, 0, 5, 3600])
def test_a_date_in_retry_after_counts_from_now(seconds: int) -> None:
    moment = datetime.fromtimestamp(NOW + seconds, UTC)
    assert parse_retry_after(format_datetime(moment, usegmt=True), NOW) == max(0, seconds)


def test_a_date_without_a_place_is_in_utc() -> None:
    assert parse_retry_after("Mon, 21 Sep 2026 14:13:25 -0000", NOW) == 5


@given(value=st.text(max_size=60) | st.from_regex(r"\w{3}, \d{1,4} \w{3} \d{1,6} \d{2}:\d{2}:\d{2} ?\S{0,6}"))
def test_no_retry_after_raises(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0
