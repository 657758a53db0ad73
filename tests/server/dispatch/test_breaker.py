"""The circuit breaker: when the failures of an endpoint open the circuit."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.dispatch.breaker import Breaker

NOW = 1_790_000_000.25


def opens(answers: str, *, every: float = 0.1) -> int | None:
    """Return after how many answers, each "+" or "-", the circuit opens."""
    breaker = Breaker()
    for number, answer in enumerate(answers):
        now = NOW + number * every
        if answer == "+":
            breaker.succeeded(now)
        elif breaker.failed(now):
            return number + 1
    return None


OPENING: dict[str, tuple[str, int | None]] = {
    "four in a row": ("----", None),
    "five in a row": ("-----", 5),
    "four in a row, again and again": ("++++----+" * 4, None),
    "five in a row after many that went well": ("+" * 50 + "-----", 55),
    "half of nine": ("-+-+-+-+-", None),
    "half of ten": ("+-+-+-+-+-", 10),
    "less than half of twelve": ("+++-+-+-+-+-", None),
    "half of twelve": ("+++-+-+-+---", 12),
}


@pytest.mark.parametrize(("answers", "count"), OPENING.values(), ids=OPENING)
def test_the_circuit_opens_by_a_row_or_by_a_half(answers: str, count: int | None) -> None:
    assert opens(answers) == count


def test_a_half_counts_within_a_minute() -> None:
    assert opens("+-" * 50, every=7) is None


def test_a_row_counts_however_long_it_took() -> None:
    assert opens("-----", every=3600) == 5


def test_after_a_reset_it_counts_from_nothing() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(NOW)
    breaker.reset()
    assert not breaker.failed(NOW)


@given(answers=st.lists(st.tuples(st.booleans(), st.floats(0, 30)), max_size=60))
def test_the_circuit_opens_just_when_the_rule_says_so(answers: list[tuple[bool, float]]) -> None:
    breaker, now = Breaker(), float(int(NOW))
    seen: list[tuple[int, bool]] = []
    found: list[bool] = []
    expected: list[bool] = []
    for is_well, passed in answers:
        now += passed
        seen.append((int(now), is_well))
        if is_well:
            breaker.succeeded(now)
        else:
            found.append(breaker.failed(now))
            expected.append(_rule(seen))
    assert found == expected


def _rule(seen: t.Sequence[tuple[int, bool]]) -> bool:
    recent = [is_well for at, is_well in seen if at > seen[-1][0] - 60]
    in_a_row = len(seen) >= 5 and not any(is_well for _, is_well in seen[-5:])
    return in_a_row or (len(recent) >= 10 and recent.count(False) * 2 >= len(recent))
