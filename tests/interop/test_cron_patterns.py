"""Cron patterns run at the same times as in Node's BullMQ."""

from __future__ import annotations

import itertools
import json
import subprocess
import typing as t
from datetime import datetime
from pathlib import Path

import pytest

from nextmq_handler.rules.cron import InvalidSchedule, next_run

from .node import FOLDER, NODE

# fmt: off
PATTERNS = (
    "* * * * *", "*/5 * * * *", "0 * * * *", "30 2 * * *", "0 2 * * *", "0 1-3 * * *", "1-5 0-3 1,15 1-6 *",
    "* * * * * *", "*/7 * * * * *", "5/15 * * * *", "15,45 */6 * * *", "*/90 * * * *", "0\t0 * * *", " 0  0 * * *",
    "0 0 * * 7", "0 0 0 * * 7", "0 0 0 * * 0", "0 0 0 * * SUN", "0 0 0 * * 5-7", "0 0 0 * * 6,7", "0 0 * * 1-7",
    "0 0 * * MON-FRI", "0 0 * * mon,wed", "0 0 0 * * 1#2", "0 0 * * FRI#1", "0 0 0 * * 5L", "0 0 * * 7L",
    "0 0 13 * 5", "0 0 0 13 * 5", "0 0 0 13 * 5-7", "0 0 0 */2 * 1", "0 0 0 ? * 1", "0 0 0 1 * ?",
    "0 0 29 2 *", "0 0 31 * *", "0 0 L * *", "0 0 0 L * *", "0 0 1-31/7 * *", "0 0 0 * */3 *", "0 0 0 1 JAN-MAR *",
    "@hourly", "@daily", "@weekly", "@monthly", "@yearly",
)
NEVER = (
    "every day", "60 * * * *", "-1 * * * *", "0 24 * * *", "0 0 1 13 *", "0 0 0 * * 8", "5-1 * * * *",
    "*/0 * * * *", "0 0 30 2 *", "0 0 0 1W * *", "0 0 0 L-3 * *", "1 2 3 4 5 6 7", "@reboot",
)
# fmt: on
ZONES = (None, "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
MOMENTS = [
    round(datetime.fromisoformat(text).timestamp() * 1000)
    for text in (
        "2030-01-01T00:00Z",
        "2032-02-29T12:00:00.001Z",
        "2030-03-30T22:17:33Z",  # the night in which Berlin's clocks go forward
        "2030-10-26T21:59:59Z",  # and the one in which they go back
        "2030-03-10T06:30Z",  # New York's
        "2030-11-03T04:30Z",
    )
]


@pytest.fixture(scope="module")
def of_node(node_bullmq: Path) -> dict[str, list[int | None]]:
    """Compute with Node the next times of each pattern, in each zone and after each moment."""
    patterns = (*PATTERNS, *NEVER)
    cases = list(itertools.product(patterns, ZONES, MOMENTS))
    done = subprocess.run(
        [str(NODE), str(FOLDER / "cron.mjs")],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    times = t.cast("list[int | None]", json.loads(done.stdout))
    size = len(ZONES) * len(MOMENTS)
    return {pattern: times[index * size : (index + 1) * size] for index, pattern in enumerate(patterns)}


def ours(pattern: str) -> list[int | None]:
    """Compute the same as `of_node` with our rules."""
    return [_next(pattern, *case) for case in itertools.product(ZONES, MOMENTS)]


def _next(pattern: str, tz: str | None, after: int) -> int | None:
    try:
        return next_run(pattern, tz, after)
    except InvalidSchedule:
        return None


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_comes_when_node_says(pattern: str, of_node: dict[str, list[int | None]]) -> None:
    assert None not in of_node[pattern]
    assert ours(pattern) == of_node[pattern]


@pytest.mark.parametrize("pattern", NEVER)
def test_what_is_no_pattern_for_node_is_none_for_us(pattern: str, of_node: dict[str, list[int | None]]) -> None:
    assert set(of_node[pattern]) == {None}
    assert set(ours(pattern)) == {None}
