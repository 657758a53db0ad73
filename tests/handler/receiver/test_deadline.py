"""Deadlines, callers that leave, and processors that run at the same time."""

import asyncio
import threading
import time
import typing as t

import anyio
import anyio.lowlevel
import pytest

from nextmq_handler import AsyncJob, Job, StaleDeliveryError, Worker
from nextmq_handler.protocol.messages import Headers, Request
from nextmq_handler.protocol.wire import Delivery
from nextmq_handler.receiver.attempt import Attempt
from nextmq_handler.receiver.receiver import ReadPlan, Receiver
from nextmq_handler.receiver.run_async import run_async
from nextmq_handler.settings import load_settings
from tests.support.handler import NOW, SECRET, deliver, delivery, encode, failed, make_handler, send, signed

pytestmark = pytest.mark.anyio

SHORT = 20
EXCEEDED = failed("DeadlineExceeded", "the processor was still running when the delivery's time, 20 ms, was over")


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(30_000, 29.5), (5_000, 4.5), (1_000, 0.9), (10, 0.009), (2**53, 2**53 / 1000 - 0.5)]
)
def test_the_deadline_is_the_moment_of_receipt_and_the_timeout_less_a_margin(timeout: int, seconds: float) -> None:
    handler = Receiver([Worker("emails", lambda job: None)], webhook_secrets=SECRET, clock=lambda: NOW)
    body = encode(delivery(timeout=timeout))
    plan = handler.begin(Request("POST", "/queues/emails", Headers(signed(body))))
    assert isinstance(plan, ReadPlan)
    attempt = handler.parse(plan, body)
    assert isinstance(attempt, Attempt)
    assert attempt.deadline - plan.received_at == pytest.approx(seconds)


async def test_an_async_processor_is_cancelled_at_its_deadline() -> None:
    seen: list[str] = []

    async def process(job: AsyncJob[object]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    outcome = await deliver(make_handler(Worker("emails", process)), delivery(timeout=SHORT))
    assert (outcome, seen) == (EXCEEDED, ["cancelled"])


async def test_the_cleanup_of_a_cancelled_processor_may_await() -> None:
    seen: list[str] = []

    async def process(job: AsyncJob[object]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await anyio.lowlevel.checkpoint()
            seen.append("cleaned up")

    await deliver(make_handler(Worker("emails", process)), delivery(timeout=SHORT))
    assert seen == ["cleaned up"]


@pytest.mark.parametrize("late", [lambda: "late", lambda: 1 / 0], ids=["returns", "raises"])
async def test_what_a_processor_does_after_its_deadline_is_not_an_outcome(late: t.Callable[[], object]) -> None:
    async def process(job: AsyncJob[object]) -> object:
        try:
            return await asyncio.Event().wait()
        except asyncio.CancelledError:
            return late()

    assert await deliver(make_handler(Worker("emails", process)), delivery(timeout=SHORT)) == EXCEEDED


async def test_a_processor_that_swallows_its_cancellation_holds_up_no_answer() -> None:
    go, ended = asyncio.Event(), asyncio.Event()

    async def process(job: AsyncJob[object]) -> None:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue
        ended.set()

    assert await deliver(make_handler(Worker("emails", process)), delivery(timeout=SHORT)) == EXCEEDED
    assert not ended.is_set()
    go.set()
    await ended.wait()


async def test_a_cancelled_processors_calls_raise_stale_delivery() -> None:
    raised: list[type[BaseException]] = []

    async def process(job: AsyncJob[object]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await job.update_progress(50)
            except StaleDeliveryError as exc:
                raised.append(type(exc))

    await deliver(make_handler(Worker("emails", process)), delivery(timeout=SHORT))
    assert raised == [StaleDeliveryError]


async def test_a_processor_is_cancelled_where_the_server_gives_up_the_request() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def process(job: AsyncJob[object]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    request = asyncio.ensure_future(deliver(make_handler(Worker("emails", process))))
    await started.wait()
    request.cancel()
    await asyncio.wait([request])
    assert request.cancelled()
    await cancelled.wait()


async def test_an_async_processor_that_raises_its_own_timeout_has_failed_by_it() -> None:
    async def process(job: AsyncJob[object]) -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    outcome = await deliver(make_handler(Worker("emails", process)))
    assert outcome["error"]["name"] == "TimeoutError"


class Stubborn:
    """A `def` processor that cannot be interrupted: it runs until `go` is set."""

    def __init__(self) -> None:
        self.started, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.runs: list[str] = []
        self.raised: list[BaseException] = []

    def __call__(self, job: Job[object]) -> str:
        self.runs.append(job.delivery_id)
        self.started.set()
        self.go.wait(30)  # bounded: a test that fails must not keep the process
        try:
            if job.delivery_id == "dlv_1":
                job.update_progress(50)
        except StaleDeliveryError as exc:
            self.raised.append(exc)
        self.ended.set()
        return "done"


async def test_a_def_processor_is_abandoned_at_its_deadline_and_its_later_calls_raise_stale_delivery() -> None:
    process = Stubborn()
    # Time enough for the thread to start on a busy machine.
    outcome = await deliver(make_handler(Worker("emails", process)), delivery(timeout=1000))
    process.go.set()
    await asyncio.to_thread(process.ended.wait)
    assert outcome["error"]["name"] == "DeadlineExceeded"
    assert [type(exc) for exc in process.raised] == [StaleDeliveryError]


async def test_an_abandoned_def_processor_keeps_its_slot_until_its_thread_ends() -> None:
    process = Stubborn()
    app = make_handler(Worker("emails", process), max_threads=1)
    await deliver(app, delivery(timeout=1000))
    # No slot is free, so this one never runs.
    assert await deliver(app, delivery(deliveryId="dlv_2", timeout=SHORT)) == EXCEEDED
    process.go.set()
    # This one waits for the slot.
    outcome = await deliver(app, delivery(deliveryId="dlv_3"))
    assert (outcome, process.runs) == ({"outcome": "completed", "returnValue": "done"}, ["dlv_1", "dlv_3"])


@pytest.mark.parametrize("steps", range(10))
async def test_a_def_processor_given_up_at_any_step_gives_its_slot_back(steps: int) -> None:
    limiter = anyio.CapacityLimiter(1)
    attempt = Attempt(
        Worker("emails", lambda job: None),
        Delivery(delivery()),
        load_settings(environ={}),
        deadline=time.monotonic() + 60,
        expose_stack=True,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_async, attempt, limiter)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    with anyio.move_on_after(10):
        await limiter.acquire()
    assert limiter.statistics().borrowers == (asyncio.current_task(),)


async def test_async_processors_run_at_the_same_time() -> None:
    together = asyncio.Barrier(3)

    async def process(job: AsyncJob[object]) -> str:
        await together.wait()
        return job.delivery_id

    app = make_handler(Worker("emails", process))
    ids = ["dlv_1", "dlv_2", "dlv_3"]
    outcomes = await asyncio.gather(*(deliver(app, delivery(deliveryId=id)) for id in ids))
    assert [outcome["returnValue"] for outcome in outcomes] == ids


async def test_def_processors_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)

    def process(job: Job[object]) -> str:
        together.wait()
        return job.delivery_id

    app = make_handler(Worker("emails", process))
    ids = ["dlv_1", "dlv_2", "dlv_3"]
    outcomes = await asyncio.gather(*(deliver(app, delivery(deliveryId=id)) for id in ids))
    assert [outcome["returnValue"] for outcome in outcomes] == ids


async def test_health_answers_while_a_def_processor_runs() -> None:
    process = Stubborn()
    app = make_handler(Worker("emails", process), max_threads=1)
    request = asyncio.ensure_future(deliver(app, delivery(deliveryId="dlv_2")))
    await asyncio.to_thread(process.started.wait)
    answer = await send(app, path="/health", method="GET", headers=[])
    assert (answer.status, process.ended.is_set()) == (200, False)
    process.go.set()
    await request
