"""Holds are timed by Redis: a server process whose clock is wrong, or is set, neither lengthens nor ends one."""

from __future__ import annotations

import time
import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Failed
from nextmq_server.dispatch.health import Health
from nextmq_server.dispatch.judge import Broken, Finding, NotRun
from nextmq_server.engine.scripts.holds import Holds
from nextmq_server.engine.verdicts import Hold
from nextmq_server.engine.worker.gate import Gate
from tests.support.holding import let_pass

if t.TYPE_CHECKING:
    from ..conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

HOUR = 3600.0
STEPS = [-24 * HOUR, -HOUR, -60.0, 60.0, HOUR, 24 * HOUR]
FAILURES: dict[str, list[Finding]] = {
    "unreachable": [NotRun("connection refused")],
    "refused": [NotRun("the app answered 403", is_refusal=True)],
    "throttled": [NotRun("the app answered 429", "throttled", 600.0)],
    "breaker": [Broken(Failed("EndpointUnavailable", "the app answered 500"))] * 5,
}


class WallClock:
    """The clock of this process, which a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.step = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.step)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    return WallClock(monkeypatch)


async def hold(engine: Engine, findings: t.Sequence[Finding]) -> float:
    """Hold the queue; return for how many s."""
    health = Health("emails", Gate(engine.jobs.scripts("emails")), rand=lambda: 1.0)
    for finding in findings:
        await health.verdict(finding, "")
    held = await Holds(engine.jobs.scripts("emails")).read()
    assert held is not None
    return held.left / 1000


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("findings", FAILURES.values(), ids=FAILURES)
async def test_a_step_of_the_clock_does_not_change_how_long_a_queue_is_held(
    engine: Engine, clock: WallClock, findings: list[Finding], step: float
) -> None:
    held_for = await hold(engine, findings)
    clock.step = step
    gate = Gate(engine.jobs.scripts("emails"))
    verdict = await Health("emails", gate).verdict(NotRun("connection refused"), "")
    assert isinstance(verdict, Hold)
    assert 0 < verdict.seconds <= held_for


@pytest.mark.parametrize("step", STEPS)
async def test_a_process_whose_clock_is_set_probes_when_the_hold_is_over(
    engine: Engine, clock: WallClock, processor: type[Processor], wait_until: WaitUntil, step: float
) -> None:
    await hold(engine, FAILURES["throttled"])
    process = processor()
    hub = await engine.run(process)
    await engine.add()
    clock.step = step
    hub.queues["emails"].look_again()
    await engine.settle(hub)
    assert process.started == []
    await let_pass(engine.jobs.scripts("emails"), 601)
    hub.queues["emails"].look_again()
    await wait_until(lambda: process.started)


@pytest.mark.parametrize("step", STEPS)
async def test_a_day_without_a_delivery_is_a_day_of_redis(engine: Engine, clock: WallClock, step: float) -> None:
    await hold(engine, FAILURES["unreachable"])
    await let_pass(engine.jobs.scripts("emails"), 12 * HOUR)
    clock.step = step
    health = Health("emails", Gate(engine.jobs.scripts("emails")))
    assert isinstance(await health.verdict(NotRun("connection refused"), ""), Hold)


@pytest.mark.parametrize("step", STEPS)
async def test_a_rate_limit_goes_on_after_a_hold_as_long_as_it_had_left(
    engine: Engine, clock: WallClock, step: float
) -> None:
    holds = Holds(engine.jobs.scripts("emails"))
    await holds.limit(60_000)
    await hold(engine, FAILURES["unreachable"])
    clock.step = step
    await holds.succeed()
    left = await engine.redis.execute("PTTL", engine.key("limiter"))
    assert 0 < left <= 60_000
