"""How long a failed job waits: BullMQ's backoff options, with the dice in our hand."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.rules.backoff import UnknownBackoff, backoff_delay


@pytest.mark.parametrize("backoff", [None, 0, {}])
def test_without_a_backoff_the_next_attempt_is_at_once(backoff: t.Any) -> None:
    assert backoff_delay(backoff, 1) == 0


@pytest.mark.parametrize("attempts_made", [1, 2, 7])
def test_a_fixed_backoff_stays_the_same(attempts_made: int) -> None:
    assert backoff_delay({"type": "fixed", "delay": 500}, attempts_made) == 500


@pytest.mark.parametrize("attempts_made", [1, 2, 7])
def test_a_number_is_a_fixed_backoff(attempts_made: int) -> None:
    assert backoff_delay(500, attempts_made) == 500


def test_a_negative_number_is_no_wait() -> None:
    assert backoff_delay(-5, 1) == 0


@pytest.mark.parametrize(("attempts_made", "delay"), [(1, 500), (2, 1000), (3, 2000), (8, 64_000)])
def test_an_exponential_backoff_doubles(attempts_made: int, delay: int) -> None:
    assert backoff_delay({"type": "exponential", "delay": 500}, attempts_made) == delay


def test_a_backoff_after_very_many_attempts_is_still_a_number() -> None:
    assert backoff_delay({"type": "exponential", "delay": 1}, 10_000) == 2**40


@pytest.mark.parametrize("kind", ["fixed", "exponential"])
def test_a_backoff_without_a_delay_is_no_wait(kind: str) -> None:
    assert backoff_delay({"type": kind}, 3) == 0


@pytest.mark.parametrize(("dice", "delay"), [(0.0, 500), (0.5, 750), (1.0, 1000)])
def test_jitter_spreads_the_delay_downwards(dice: float, delay: int) -> None:
    backoff = {"type": "fixed", "delay": 1000, "jitter": 0.5}
    assert backoff_delay(backoff, 1, rand=lambda: dice) == delay


def test_full_jitter_reaches_down_to_nothing() -> None:
    assert backoff_delay({"type": "fixed", "delay": 1000, "jitter": 1}, 1, rand=lambda: 0.0) == 0


@pytest.mark.parametrize("jitter", [-1, 7])
def test_a_jitter_that_is_no_share_is_taken_as_the_nearest_one(jitter: float) -> None:
    backoff = {"type": "fixed", "delay": 1000, "jitter": jitter}
    assert backoff_delay(backoff, 1, rand=lambda: 0.5) == (1000 if jitter < 0 else 500)


@given(
    delay=st.integers(0, 10**9),
    jitter=st.floats(0, 1),
    attempts_made=st.integers(1, 12),
    dice=st.floats(0, 1, exclude_max=True),
)
def test_the_delay_stays_between_the_jittered_floor_and_the_full_backoff(
    delay: int, jitter: float, attempts_made: int, dice: float
) -> None:
    full = 2 ** (attempts_made - 1) * delay
    backoff = {"type": "exponential", "delay": delay, "jitter": jitter}
    assert full * (1 - jitter) - 1 <= backoff_delay(backoff, attempts_made, rand=lambda: dice) <= full


@pytest.mark.parametrize("kind", ["custom", "", None, 7])
def test_another_type_is_unknown_and_named(kind: object) -> None:
    with pytest.raises(UnknownBackoff, match=f"{kind!r} is not known: use fixed or exponential"):
        backoff_delay({"type": kind, "delay": 500}, 1)


SLOW = {"slow": [1000, 60_000, 3_600_000]}


@pytest.mark.parametrize(
    ("attempts_made", "delay"), [(1, 1000), (2, 60_000), (3, 3_600_000), (4, 3_600_000), (10_000, 3_600_000)]
)
def test_a_strategy_of_the_worker_has_a_delay_for_each_attempt_and_its_last_for_all_others(
    attempts_made: int, delay: int
) -> None:
    assert backoff_delay({"type": "slow"}, attempts_made, SLOW) == delay


@pytest.mark.parametrize(("dice", "delay"), [(0.0, 500), (0.5, 750), (1.0, 1000)])
def test_jitter_spreads_the_delay_of_a_strategy_too(dice: float, delay: int) -> None:
    assert backoff_delay({"type": "slow", "jitter": 0.5}, 1, SLOW, rand=lambda: dice) == delay


def test_a_delay_beside_a_strategy_means_nothing() -> None:
    assert backoff_delay({"type": "slow", "delay": 5}, 1, SLOW) == 1000


@pytest.mark.parametrize("kind", ["custom", None, 7, ["slow"]])
def test_an_unknown_type_is_told_with_the_strategies_that_there_are(kind: object) -> None:
    with pytest.raises(UnknownBackoff, match=r"is not known: use fixed, exponential, slow or later$"):
        backoff_delay({"type": kind}, 1, {**SLOW, "later": [1]})
