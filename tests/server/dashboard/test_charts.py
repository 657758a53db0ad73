"""Strips and waterfalls: well-formed, bounded, and the same in words."""

from __future__ import annotations

import typing as t
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.rules.delivery_log import DeliveryEntry, delivery_entry
from nextmq_handler.rules.views import JobView, new_job_view
from nextmq_server.dashboard.charts import LARGE, MinuteCount, strip
from nextmq_server.dashboard.waterfall import waterfall

NOW = 1_800_000_000_000
MAX_BYTES = 20_000

_counts = st.integers(-5, 10**15)
_points = st.builds(MinuteCount, st.integers(NOW - 4_000_000, NOW + 200_000), _counts, _counts)


def _element(text: str) -> ET.Element:
    assert "style" not in text
    assert len(text) < MAX_BYTES
    return ET.fromstring(text)


def _entry(at: int, ms: int, outcome: str) -> DeliveryEntry:
    return delivery_entry(
        "dlv_1", at=at, status=200, ms=ms, outcome=outcome, attempt=1, is_signed=True, detail="x"
    )


def _job(entries: t.Sequence[DeliveryEntry], **members: t.Any) -> JobView:
    job = new_job_view("1", "failed", NOW - 10_000, name="n", data=None, opts={})
    return t.cast("JobView", {**job, "deliveries": list(entries), **members})


@given(
    st.lists(_points, max_size=80),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30),
)
def test_any_counts_are_a_strip(points: list[MinuteCount], name: str) -> None:
    element = _element(strip(points, name, NOW, LARGE))
    assert (element.get("aria-label") or "").startswith(name)


def test_a_strip_says_how_many_jobs_it_shows() -> None:
    points = [MinuteCount(NOW, 200, 3), MinuteCount(NOW - 60_000, 2, 0)]
    label = _element(strip(points, "emails", NOW)).get("aria-label")
    assert label == "emails, last 60 min: 202 jobs done, 3 failed, peak 203 a minute at 08:00 UTC"


def test_a_strip_has_no_ground_line_while_no_server_ran() -> None:
    base = next(iter(_element(strip([MinuteCount(NOW, 0, 0)], "emails", NOW, LARGE))))
    assert base.get("d") == "M590 35.5h10"


@given(
    st.lists(
        st.builds(_entry, st.integers(NOW - 10**12, NOW + 10**9), st.integers(-10, 10**10), st.text(max_size=9)),
        max_size=25,
    ),
    st.sampled_from(["active", "failed", "waiting", "delayed", "unknown"]),
    st.none() | st.integers(NOW - 10**7, NOW),
    st.none() | st.integers(NOW - 10**7, NOW),
)
def test_any_job_is_a_waterfall(
    entries: list[DeliveryEntry], state: str, processed: int | None, finished: int | None
) -> None:
    text = waterfall(_job(entries, state=state, processedOn=processed, finishedOn=finished), NOW)
    for bar in _element(text or "<svg/>").iter("rect"):
        start, wide = (float((bar.get(name) or "").removesuffix("%")) for name in ("x", "width"))
        assert 0 <= start <= start + wide <= 100.02


def test_a_waterfall_says_waits_and_deliveries() -> None:
    job = _job([_entry(NOW - 2_000, 18, "failed"), _entry(NOW - 1_000, 31, "completed")], finishedOn=NOW - 969)
    label = _element(waterfall(job, NOW)).get("aria-label")
    assert label == "Waited 8.0 s, then 2 deliveries: 18 ms failed, 31 ms completed"


def test_a_long_wait_is_drawn_shortened() -> None:
    job = _job([_entry(NOW - 1_000, 500, "completed")], finishedOn=NOW - 500)
    marks = [text.text for text in _element(waterfall(job, NOW)).iter("text")]
    assert "//" in marks
    [wait, run] = _element(waterfall(job, NOW)).iter("rect")
    assert (wait.get("width"), run.get("width")) == ("20.00%", "80.00%")


def test_a_running_delivery_reaches_until_now() -> None:
    job = _job([], state="active", processedOn=NOW - 4_000)
    assert _element(waterfall(job, NOW)).get("aria-label") == "Waited 6.0 s, then 1 delivery: 4.0 s running"
