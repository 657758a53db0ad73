"""A replay guard's memory lasts as long as a delivery's signature: no moment accepts a delivery twice."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler import MemoryReplayGuard, Worker
from nextmq_handler.protocol.messages import Headers, Request, Response
from nextmq_handler.protocol.outcomes import Completed
from nextmq_handler.receiver.attempt import Attempt
from nextmq_handler.receiver.hooks import HookCall
from nextmq_handler.receiver.receiver import Claim, Receiver
from tests.support.handler import NOW, SECRET, delivery, encode, signed

BODY = encode(delivery())


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class Replayed:
    """One delivery, signed for `sent_at`, that arrives again and again at a handler with a replay guard."""

    def __init__(self, tolerance: float, sent_at: int) -> None:
        self.clock = Clock()
        self._request = Request("POST", "/queues/emails", Headers(signed(BODY, at=sent_at)))
        self._receiver = Receiver(
            [Worker("emails", lambda job: None)],
            webhook_secrets=SECRET,
            tolerance=tolerance,
            replay_guard=MemoryReplayGuard(monotonic=self.clock),
            clock=self.clock,
        )

    def arrive(self, at: float, *, body_takes: float = 0.0) -> int:
        """Return the status of an arrival whose body is whole `body_takes` s later."""
        self.clock.now = at
        plan = self._receiver.begin(self._request)
        if isinstance(plan, Response):
            return plan.status
        self.clock.now += body_takes
        for step in self._receiver.receive(plan, BODY):
            match step:
                case Claim():
                    step.refusal = self._receiver.claim(plan)
                case Attempt():
                    step.outcome = Completed(None)
                case HookCall():
                    step.call()
                case _:
                    t.assert_never(step)
        return plan.response.status


@pytest.mark.parametrize("body_takes", [0.0, 9.9])
@pytest.mark.parametrize("last", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("first", [0.0, 0.4, 0.999])
@pytest.mark.parametrize("tolerance", [1, 5, 300])
def test_a_delivery_that_was_accepted_first_of_all_is_not_accepted_last_of_all(
    tolerance: int, first: float, last: float, body_takes: float
) -> None:
    replayed = Replayed(tolerance, NOW + tolerance)
    assert replayed.arrive(NOW + first) == 200
    assert replayed.arrive(NOW + 2 * tolerance + last, body_takes=body_takes) in (401, 409)


@given(
    tolerance=st.integers(1, 400),
    ahead=st.floats(-1, 1),
    arrivals=st.lists(st.tuples(st.floats(0, 2.5), st.floats(0, 10)), min_size=1, max_size=8),
)
def test_at_most_one_arrival_is_accepted(
    tolerance: int, ahead: float, arrivals: list[tuple[float, float]]
) -> None:
    replayed = Replayed(tolerance, NOW + round(ahead * tolerance))
    now, statuses = float(NOW), []
    for share, body_takes in arrivals:
        now = max(replayed.clock.now, now + share * tolerance)
        statuses.append(replayed.arrive(now, body_takes=body_takes))
    assert statuses.count(200) <= 1
