"""`@idempotent`: the work of a job is done once, sync and async, through the handler."""

import asyncio
import threading
import typing as t
from collections.abc import Callable, Iterator
from datetime import timedelta

import anyio.from_thread
import pytest

from nextmq_handler import (
    AsyncJob,
    ConfigurationError,
    Job,
    NextMQHandler,
    RateLimitError,
    UnrecoverableJobError,
    Worker,
    idempotent,
)
from nextmq_handler.idempotency import Busy, Finished, MemoryStore
from tests.support.client import ClientTime
from tests.support.handler import AnyJob, Body, Style, deliver, delivery, failed, make_handler, sync_and_async

pytestmark = pytest.mark.anyio

LEASE = 60.0


class Store(MemoryStore):
    """Writes down what it is asked. Its clock stands until the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.begun: list[tuple[str, float]] = []
        self.finished: list[tuple[str, str, float]] = []
        self.released = threading.Event()
        super().__init__(monotonic=lambda: self.now)

    def begin(self, key: str, owner: str, lease: float) -> Finished | Busy | None:
        self.begun.append((key, lease))
        return super().begin(key, owner, lease)

    def finish(self, key: str, owner: str, result: str, keep: float) -> None:
        self.finished.append((key, result, keep))
        super().finish(key, owner, result, keep)

    def release(self, key: str, owner: str) -> None:
        super().release(key, owner)
        self.released.set()


def app_of(function: Callable[..., t.Any]) -> NextMQHandler:
    return make_handler(Worker("emails", function), expose_stack=False)


async def outcomes_of(function: Callable[..., t.Any], *changes: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the outcomes of deliveries with these changes, one after the other."""
    app = app_of(function)
    return [
        await deliver(app, delivery(deliveryId=f"dlv_{number}", **change))
        for number, change in enumerate(changes, start=1)
    ]


def completed(value: object) -> dict[str, object]:
    return {"outcome": "completed", "returnValue": value}


def counting(runs: list[str]) -> Body:
    """Return how often it has run."""

    def body(job: AnyJob) -> int:
        runs.append(job.delivery_id)
        return len(runs)

    return body


@sync_and_async
async def test_a_second_run_of_a_finished_job_has_the_outcome_of_the_first(style: Style) -> None:
    function = idempotent(Store())(style(counting([])))
    assert await outcomes_of(function, {}, {}) == [completed(1), completed(1)]


@sync_and_async
async def test_a_second_run_of_a_finished_job_does_not_run(style: Style) -> None:
    runs: list[str] = []
    await outcomes_of(idempotent(Store())(style(counting(runs))), {}, {})
    assert runs == ["dlv_1"]


@sync_and_async
@pytest.mark.parametrize("value", [None, False, 0, "", [], {"a": [None]}], ids=repr)
async def test_a_stored_result_is_the_one_that_was_returned(value: object, style: Style) -> None:
    outcomes = await outcomes_of(idempotent(Store())(style(lambda job: value)), {}, {})
    assert outcomes == [completed(value), completed(value)]


def raising(make: Callable[[], BaseException]) -> Body:
    def body(job: AnyJob) -> t.NoReturn:
        raise make()

    return body


FAILURES: dict[str, tuple[Body, dict[str, object]]] = {
    "an exception": (raising(lambda: ValueError("x")), failed("ValueError", "x")),
    "UnrecoverableJobError": (
        raising(lambda: UnrecoverableJobError("x")),
        failed("UnrecoverableJobError", "x", unrecoverable=True),
    ),
    "RateLimitError": (raising(lambda: RateLimitError(5)), {"outcome": "rateLimited", "delay": 5}),
    "move_to_delayed": (
        lambda job: job.move_to_delayed(1_900_000_000_000),
        {"outcome": "delayed", "timestamp": 1_900_000_000_000},
    ),
    "an exit": (raising(lambda: SystemExit(3)), failed("SystemExit", "3")),
    "CancelledError of its own": (raising(lambda: asyncio.CancelledError("x")), failed("CancelledError", "x")),
}


@sync_and_async
@pytest.mark.parametrize(("body", "outcome"), FAILURES.values(), ids=FAILURES)
async def test_a_run_that_raises_has_its_own_outcome(body: Body, outcome: dict[str, object], style: Style) -> None:
    assert await outcomes_of(idempotent(Store())(style(body)), {}) == [outcome]


@sync_and_async
@pytest.mark.parametrize("body", [body for body, _ in FAILURES.values()], ids=FAILURES)
async def test_a_run_that_raises_lets_the_next_one_run(body: Body, style: Style) -> None:
    first_and_then: Iterator[Body] = iter([body, lambda job: "done"])
    function = idempotent(Store())(style(lambda job: next(first_and_then)(job)))
    assert (await outcomes_of(function, {}, {}))[1] == completed("done")


async def test_a_run_that_is_cancelled_at_its_deadline_lets_the_next_one_run() -> None:
    store = Store()

    @idempotent(store)
    async def process(job: AsyncJob[object]) -> str:
        if job.delivery_id == "dlv_1":
            await asyncio.Event().wait()
        return "done"

    app = app_of(process)
    first = await deliver(app, delivery(timeout=1000))  # time enough for the threads of a busy machine
    await asyncio.to_thread(store.released.wait)
    second = await deliver(app, delivery(deliveryId="dlv_2"))
    assert (first["error"]["name"], second) == ("DeadlineExceeded", completed("done"))


async def met_in_the_middle(style: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return the outcomes of a run, and of one that came during it."""
    second: list[dict[str, t.Any]] = []

    @idempotent(Store())
    def process(job: Job[object]) -> str:
        second.append(anyio.from_thread.run(deliver, app, delivery(deliveryId="dlv_2")))
        return "done"

    @idempotent(Store())
    async def aprocess(job: AsyncJob[object]) -> str:
        second.append(await deliver(app, delivery(deliveryId="dlv_2")))
        return "done"

    app = app_of(process if style == "def" else aprocess)
    first = await deliver(app)
    return first, second[0]


@pytest.mark.parametrize("style", ["def", "async def"])
async def test_a_run_that_meets_another_at_work_is_delayed_and_uses_no_attempt(style: str) -> None:
    _, second = await met_in_the_middle(style)
    assert second["outcome"] == "delayed"


@pytest.mark.parametrize("style", ["def", "async def"])
async def test_a_run_that_was_met_by_another_goes_on(style: str) -> None:
    first, _ = await met_in_the_middle(style)
    assert first == completed("done")


def crashed(store: Store) -> Store:
    """Begin a run of job 42 whose process then dies."""
    store.begin("emails:42:1789999000000", "dead", LEASE)
    return store


@sync_and_async
async def test_a_run_that_meets_another_waits_until_that_ones_lease_is_over(
    style: Style, client_time: ClientTime
) -> None:
    [outcome] = await outcomes_of(idempotent(crashed(Store()))(style(lambda job: "done")), {})
    assert outcome == {"outcome": "delayed", "timestamp": round((client_time.wall_clock() + LEASE) * 1000) + 1}


@sync_and_async
async def test_a_run_that_crashed_lets_the_next_one_run_when_its_lease_is_over(style: Style) -> None:
    store = crashed(Store())
    store.now += LEASE
    assert await outcomes_of(idempotent(store)(style(lambda job: "done")), {}) == [completed("done")]


@sync_and_async
async def test_a_run_that_was_overtaken_keeps_the_result_of_the_other(style: Style) -> None:
    store = Store()

    def body(job: AnyJob) -> str:
        store.now += LEASE
        MemoryStore.begin(store, "emails:42:1789999000000", "other", LEASE)
        MemoryStore.finish(store, "emails:42:1789999000000", "other", '"theirs"', LEASE)
        return "mine"

    outcomes = await outcomes_of(idempotent(store, lease=LEASE)(style(body)), {}, {})
    assert outcomes == [completed("mine"), completed("theirs")]


@sync_and_async
async def test_a_lease_outlasts_its_delivery(style: Style) -> None:
    store, left = Store(), list[float]()
    await outcomes_of(idempotent(store)(style(lambda job: left.append(job.time_left()))), {})
    assert store.begun[0][1] > left[0]


@sync_and_async
@pytest.mark.parametrize("lease", [7.5, timedelta(seconds=7.5)], ids=repr)
async def test_a_lease_is_as_long_as_was_said(lease: float | timedelta, style: Style) -> None:
    store = Store()
    await outcomes_of(idempotent(store, lease=lease)(style(lambda job: None)), {})
    assert store.begun == [("emails:42:1789999000000", 7.5)]


@sync_and_async
@pytest.mark.parametrize(
    ("options", "keep"), [({}, 604_800), ({"keep": 60.0}, 60.0), ({"keep": timedelta(minutes=1)}, 60.0)]
)
async def test_a_result_is_kept_as_long_as_was_said(options: dict[str, t.Any], keep: float, style: Style) -> None:
    store = Store()
    await outcomes_of(idempotent(store, **options)(style(lambda job: None)), {})
    assert store.finished == [("emails:42:1789999000000", "null", keep)]


@sync_and_async
async def test_another_job_runs(style: Style) -> None:
    outcomes = await outcomes_of(idempotent(Store())(style(counting([]))), {}, {"job": {"id": "43"}})
    assert outcomes == [completed(1), completed(2)]


@sync_and_async
async def test_another_attempt_of_a_job_does_not_run(style: Style) -> None:
    function = idempotent(Store())(style(counting([])))
    assert await outcomes_of(function, {}, {"job": {"attemptsMade": 1}}) == [completed(1), completed(1)]


@sync_and_async
async def test_a_job_of_another_queue_runs(style: Style) -> None:
    function = idempotent(Store())(style(counting([])))
    app = make_handler(Worker("emails", function), Worker("reports", function))
    outcomes = [await deliver(app, delivery(queue=queue)) for queue in ("emails", "reports")]
    assert outcomes == [completed(1), completed(2)]


@pytest.mark.parametrize("option", ["keep", "lease"])
@pytest.mark.parametrize("value", [0, -1, timedelta(0), "60", True], ids=repr)
def test_a_duration_that_cannot_work_is_refused_by_name(option: str, value: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"\Aidempotent: {option} takes "):
        idempotent(Store(), **{option: value})
