"""The health of an endpoint: how long its queue is held, when attempts are used, what ends or disables it."""

from __future__ import annotations

import logging
import math
import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Completed, Failed
from nextmq_server.dispatch.health import Health
from nextmq_server.dispatch.judge import Broken, Finding, NotRun, Reached
from nextmq_server.engine.scripts.holds import Held, Holds
from nextmq_server.engine.verdicts import Hold, Verdict
from nextmq_server.engine.worker.gate import Gate
from nextmq_server.redis.connection import ConnectionLost
from tests.support.holding import let_pass

if t.TYPE_CHECKING:
    from ..conftest import Engine

pytestmark = pytest.mark.anyio

DAY = 86_400.0
REFUSED = NotRun("connection refused")
FAILED = Broken(Failed("EndpointUnavailable", "the app answered 500"))
DONE = Reached(Completed(None))
GONE = NotRun("the app answered 410", "disabled")


class Rig:
    """The health of one queue in one process, with a clock and chance that the test sets."""

    def __init__(self, engine: Engine, queue: str = "emails") -> None:
        self.now = 1_790_000_000.0
        self.luck = 1.0
        self.engine = engine
        self.queue = queue
        self.max_backoff = 900.0
        self.restart()

    def restart(self) -> None:
        """Forget what is not in Redis."""
        self.gate = Gate(self.engine.jobs.scripts(self.queue))
        self.health = Health(
            self.queue,
            self.gate,
            max_backoff=self.max_backoff,
            clock=lambda: self.now,
            rand=lambda: self.luck,
        )

    async def judge(self, *findings: Finding) -> Verdict:
        """Judge findings; return the verdict on the last one."""
        verdicts = [await self.health.verdict(finding, "1") for finding in findings]
        return verdicts[-1]

    async def wait(self, seconds: float) -> None:
        """Let so many seconds pass, for this process and in Redis."""
        self.now += seconds
        await let_pass(self.engine.jobs.scripts(self.queue), seconds)

    async def rest(self, finding: Finding) -> float:
        """Return how long, in s, the queue is held after a finding."""
        verdict = await self.judge(finding)
        assert isinstance(verdict, Hold)
        return verdict.seconds

    async def rests(self, finding: Finding, count: int) -> list[float]:
        """Return the length of each hold if a delivery ends like this as soon as one is over."""
        found: list[float] = []
        for _ in range(count):
            found.append(await self.rest(finding))
            await self.wait(found[-1])
        return found

    async def held(self) -> Held | None:
        """Read the hold in Redis."""
        return await Holds(self.engine.jobs.scripts(self.queue)).read()

    async def kind(self) -> str | None:
        held = await self.held()
        return held and held.kind


@pytest.fixture
def rig(engine: Engine) -> Rig:
    return Rig(engine)


async def test_a_hold_doubles_each_time(rig: Rig) -> None:
    assert await rig.rests(REFUSED, 6) == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]


async def test_a_hold_is_15_minutes_at_most(rig: Rig) -> None:
    assert (await rig.rests(REFUSED, 12))[9:] == [512.0, 900.0, 900.0]


async def test_the_longest_hold_is_a_setting(rig: Rig) -> None:
    rig.max_backoff = 5.0
    rig.restart()
    assert await rig.rests(REFUSED, 5) == [1.0, 2.0, 4.0, 5.0, 5.0]


async def test_a_short_longest_hold_is_still_a_number_after_many_holds(rig: Rig) -> None:
    rig.max_backoff = 0.01
    rig.restart()
    assert (await rig.rests(REFUSED, 100))[-1] == pytest.approx(0.01)


@pytest.mark.parametrize(("luck", "expected"), [(0.0, 0.75), (0.5, 0.875), (1.0, 1.0)])
async def test_jitter_takes_up_to_a_quarter_off(rig: Rig, luck: float, expected: float) -> None:
    rig.luck = luck
    assert await rig.rests(REFUSED, 3) == [expected, 2 * expected, 4 * expected]


async def test_failures_during_a_hold_do_not_lengthen_it(rig: Rig) -> None:
    await rig.judge(REFUSED)
    await rig.wait(0.25)
    assert 0 < await rig.rest(REFUSED) <= 0.75


async def test_failures_during_a_hold_count_once(rig: Rig) -> None:
    await rig.judge(*[REFUSED] * 10)
    await rig.wait(1.0)
    assert await rig.rest(REFUSED) == 2.0


async def test_a_verdict_tells_the_reason_of_its_own_delivery(rig: Rig) -> None:
    verdict = await rig.judge(REFUSED, NotRun("TLS failure"))
    assert isinstance(verdict, Hold)
    assert verdict.reason == "TLS failure"


async def test_a_hold_goes_on_in_another_process(rig: Rig) -> None:
    await rig.rests(REFUSED, 3)
    rig.restart()
    assert await rig.rest(REFUSED) == 8.0


async def test_a_hold_is_of_one_queue(rig: Rig, engine: Engine) -> None:
    await rig.rests(REFUSED, 3)
    assert await Rig(engine, "reports").rest(REFUSED) == 1.0


async def test_just_before_a_day_is_over_no_attempt_is_used(rig: Rig) -> None:
    await rig.judge(REFUSED)
    await rig.wait(DAY - 1)
    assert isinstance(await rig.judge(REFUSED), Hold)


async def test_after_a_day_an_attempt_is_used(rig: Rig) -> None:
    await rig.judge(REFUSED)
    await rig.wait(DAY)
    expected = Failed("EndpointUnavailable", "connection refused; this has lasted for a day")
    assert await rig.judge(REFUSED) == expected


async def test_after_a_day_the_queue_is_still_held(rig: Rig) -> None:
    await rig.judge(REFUSED)
    await rig.wait(DAY)
    await rig.judge(REFUSED)
    held = await rig.held()
    assert held is not None
    assert (0 < held.left <= 2000, held.age >= DAY * 1000) == (True, True)


async def test_the_day_starts_again_after_a_delivery_that_ran(rig: Rig) -> None:
    await rig.judge(REFUSED)
    await rig.wait(DAY)
    assert isinstance(await rig.judge(DONE, REFUSED), Hold)


async def test_the_day_starts_when_an_open_circuit_turns_out_to_be_an_app_that_is_gone(rig: Rig) -> None:
    await rig.judge(*[FAILED] * 5)
    await rig.wait(DAY)
    assert isinstance(await rig.judge(REFUSED), Hold)


async def test_throttling_without_retry_after_doubles_from_5_seconds(rig: Rig) -> None:
    assert await rig.rests(NotRun("429", "throttled", None), 4) == [5.0, 10.0, 20.0, 40.0]


@pytest.mark.parametrize(("luck", "expected"), [(0.0, 3.75), (1.0, 5.0)])
async def test_throttling_without_retry_after_has_jitter(rig: Rig, luck: float, expected: float) -> None:
    rig.luck = luck
    assert await rig.rest(NotRun("429", "throttled", None)) == expected


@pytest.mark.parametrize("retry_after", [1.0, 60.0, DAY])
async def test_throttling_with_retry_after_takes_it_as_it_is(rig: Rig, retry_after: float) -> None:
    rig.luck = 0.0
    assert await rig.rest(NotRun("429", "throttled", retry_after)) == retry_after


async def test_retry_after_lengthens_a_hold_that_would_end_sooner(rig: Rig) -> None:
    await rig.judge(REFUSED)
    assert 59 < await rig.rest(NotRun("429", "throttled", 60.0)) <= 60.0


async def test_retry_after_does_not_shorten_a_hold(rig: Rig) -> None:
    await rig.judge(NotRun("429", "throttled", 60.0))
    assert 59 < await rig.rest(NotRun("429", "throttled", 5.0)) <= 60.0


async def test_throttling_never_uses_an_attempt(rig: Rig) -> None:
    await rig.judge(NotRun("429", "throttled", None))
    await rig.wait(DAY)
    assert isinstance(await rig.judge(NotRun("429", "throttled", None)), Hold)


REACHED = {"an outcome": DONE, "a failure that may have run": FAILED}


@pytest.mark.parametrize("finding", REACHED.values(), ids=REACHED)
@pytest.mark.parametrize("held", [REFUSED, NotRun("429", "throttled", 60.0)], ids=["unreachable", "throttled"])
async def test_a_delivery_that_reached_the_processor_ends_the_hold(
    rig: Rig, held: Finding, finding: Finding
) -> None:
    await rig.judge(held, finding)
    assert await rig.held() is None


async def test_a_hold_that_has_ended_starts_again_with_the_shortest_rest(rig: Rig) -> None:
    await rig.rests(REFUSED, 5)
    await rig.judge(DONE)
    assert await rig.rest(REFUSED) == 1.0


async def test_the_end_of_a_hold_leaves_other_queues_held(rig: Rig, engine: Engine) -> None:
    other = Rig(engine, "reports")
    await other.judge(REFUSED)
    await rig.judge(REFUSED, DONE)
    assert await other.kind() == "unreachable"


async def test_five_failures_in_a_row_open_the_circuit(rig: Rig) -> None:
    await rig.judge(*[FAILED] * 5)
    assert await rig.kind() == "breaker"


async def test_four_failures_in_a_row_do_not(rig: Rig) -> None:
    await rig.judge(*[FAILED] * 4)
    assert await rig.held() is None


async def test_half_of_ten_deliveries_open_the_circuit(rig: Rig) -> None:
    for _ in range(5):
        await rig.judge(DONE, FAILED)
    assert await rig.kind() == "breaker"


async def test_what_the_app_says_itself_does_not_open_the_circuit(rig: Rig) -> None:
    refusal = Failed("DeliveryRefused", "the app answered 413", unrecoverable=True)
    await rig.judge(*[Reached(Failed("ValueError", "no such address")), Reached(refusal)] * 20)
    assert await rig.held() is None


async def test_failures_that_open_the_circuit_use_their_attempts(rig: Rig) -> None:
    assert await rig.judge(*[FAILED] * 5) == FAILED.failure


async def test_an_open_circuit_rests_5_seconds_and_twice_as_long_after_each_probe_that_fails(rig: Rig) -> None:
    await rig.judge(*[FAILED] * 5)
    ends: list[float] = []
    for _ in range(3):
        held = await rig.held()
        assert held is not None
        ends.append(math.ceil(held.left / 1000))
        await rig.wait(held.left / 1000)
        await rig.judge(FAILED)
    assert ends == [5, 10, 20]


async def test_a_probe_that_succeeds_closes_the_circuit(rig: Rig) -> None:
    await rig.judge(*[FAILED] * 5, DONE)
    assert await rig.held() is None


async def test_failures_before_the_circuit_opened_are_no_reason_to_open_it_again(rig: Rig) -> None:
    await rig.judge(*[FAILED] * 5, DONE, *[FAILED] * 4)
    assert await rig.held() is None


async def test_410_disables_the_endpoint_without_an_end(rig: Rig) -> None:
    await rig.judge(GONE)
    held = await rig.held()
    assert held is not None
    assert (held.kind, held.until, held.detail) == ("disabled", None, "the app answered 410")


async def test_410_uses_no_attempt(rig: Rig) -> None:
    assert isinstance(await rig.judge(GONE), Hold)


@pytest.mark.parametrize(
    "finding", [DONE, FAILED, REFUSED, NotRun("429", "throttled", 1.0)], ids=lambda one: type(one).__name__
)
async def test_nothing_that_a_delivery_says_enables_an_endpoint(rig: Rig, finding: Finding) -> None:
    await rig.judge(GONE)
    await rig.wait(30 * DAY)
    await rig.judge(finding)
    assert await rig.kind() == "disabled"


async def test_a_late_delivery_to_a_disabled_endpoint_uses_no_attempt(rig: Rig) -> None:
    await rig.judge(REFUSED, GONE)
    await rig.wait(30 * DAY)
    assert isinstance(await rig.judge(REFUSED), Hold)


FAILING: dict[str, Finding] = {
    "broken": FAILED,
    "not run": REFUSED,
    "throttled": NotRun("429", "throttled", 3600.0),
}


@pytest.mark.parametrize("finding", FAILING.values(), ids=FAILING)
async def test_after_five_days_of_failures_the_endpoint_is_disabled(rig: Rig, finding: Finding) -> None:
    for _ in range(6):
        await rig.judge(finding)
        await rig.wait(DAY)
    assert await rig.kind() == "disabled"


async def test_just_before_five_days_it_is_not(rig: Rig) -> None:
    for _ in range(5):
        await rig.judge(FAILED)
        await rig.wait(DAY)
    await rig.wait(-1)
    await rig.judge(FAILED)
    assert await rig.kind() == "breaker"


async def test_the_five_days_go_on_in_another_process(rig: Rig) -> None:
    for _ in range(6):
        rig.restart()
        await rig.judge(FAILED)
        await rig.wait(DAY)
    assert await rig.kind() == "disabled"


async def test_a_success_starts_the_five_days_again(rig: Rig) -> None:
    for number in range(8):
        await rig.judge(FAILED if number != 4 else DONE)
        await rig.wait(DAY)
    assert await rig.kind() != "disabled"


async def test_the_success_of_another_process_starts_the_five_days_again(rig: Rig, engine: Engine) -> None:
    other = Rig(engine)
    for number in range(8):
        await (other.judge(DONE) if number == 4 else rig.judge(FAILED))
        await rig.wait(DAY)
    assert await rig.kind() != "disabled"


async def test_failures_days_apart_are_no_row(rig: Rig, engine: Engine) -> None:
    await rig.judge(FAILED)
    [key] = await engine.redis.execute("KEYS", engine.keys("failing", "*"))
    assert 1.9 * DAY * 1000 < await engine.redis.execute("PTTL", key) <= 2 * DAY * 1000


async def test_the_reason_says_that_there_were_only_failures(rig: Rig) -> None:
    for _ in range(6):
        await rig.judge(REFUSED)
        await rig.wait(DAY)
    held = await rig.held()
    assert held is not None
    assert held.detail == "connection refused; there were only failures for 5 days"


async def test_a_disabled_endpoint_is_one_event(rig: Rig, engine: Engine) -> None:
    await rig.judge(GONE, GONE)
    rig.restart()
    await rig.judge(GONE)
    entries = await engine.redis.execute("XRANGE", engine.key("events"), "-", "+")
    assert [fields for _, fields in entries] == [["event", "endpoint-disabled", "detail", "the app answered 410"]]


SAID: dict[str, tuple[Finding, str]] = {
    "held": (REFUSED, "queue emails is held: its jobs wait and use no attempts: connection refused"),
    "disabled": (
        GONE,
        "queue emails is disabled: its jobs wait until its app registers again: the app answered 410",
    ),
}


@pytest.mark.parametrize(("finding", "message"), SAID.values(), ids=SAID)
async def test_a_hold_is_said_aloud_once_with_its_reason(
    rig: Rig, caplog: pytest.LogCaptureFixture, finding: Finding, message: str
) -> None:
    await rig.judge(finding, finding)
    await rig.wait(60.0)
    await rig.judge(finding)
    assert caplog.record_tuples == [("nextmq_server.dispatch", logging.ERROR, message)]


async def test_the_reason_is_one_line(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await rig.judge(NotRun("refused\nqueue reports is held\x1b[2J"))
    assert caplog.messages[0].endswith("refused queue reports is held [2J")


@pytest.mark.parametrize("finding", REACHED.values(), ids=REACHED)
async def test_the_end_of_a_hold_is_said(rig: Rig, caplog: pytest.LogCaptureFixture, finding: Finding) -> None:
    await rig.judge(REFUSED)
    caplog.clear()
    await rig.judge(finding)
    assert caplog.messages == ["the hold of queue emails is over"]


async def test_a_success_says_nothing_of_a_queue_that_is_not_held(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.judge(DONE)
    assert caplog.messages == []


@pytest.mark.parametrize("finding", [DONE, FAILED], ids=["completed", "failed"])
async def test_without_redis_a_delivery_that_ran_keeps_its_verdict(
    rig: Rig, finding: Reached | Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> t.NoReturn:
        raise ConnectionLost("the connection broke")

    monkeypatch.setattr(rig.gate, "fail", lost)
    monkeypatch.setattr(rig.gate, "succeed", lost)
    assert await rig.judge(finding) == (finding.verdict if isinstance(finding, Reached) else finding.failure)
