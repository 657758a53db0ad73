"""run and arun: what becomes of a job in a worker, by the code of production."""

from __future__ import annotations

import asyncio
import threading
import typing as t

import pytest
from pydantic import BaseModel

from nextmq_handler import AsyncJob, ConfigurationError, Job, RateLimitError, UnrecoverableJobError, Worker
from nextmq_handler.testing import JobError, JobOutcome, arun, make_async_job, make_job, run

pytestmark = pytest.mark.anyio

Body = t.Callable[[t.Any], t.Any]
Runner = t.Callable[[Body], t.Awaitable[JobOutcome]]


class Order(BaseModel):
    number: int


def _worker(body: Body, *, is_async: bool) -> Worker:
    async def process(job: t.Any) -> t.Any:
        return body(job)

    worker = Worker("emails", errors={KeyError: lambda exc: RateLimitError(5000)})
    worker.processor(t.cast("t.Any", process if is_async else lambda job: body(job)))
    return worker


async def run_def(body: Body) -> JobOutcome:
    return run(_worker(body, is_async=False), make_job({"n": 1}))


async def run_async_def(body: Body) -> JobOutcome:
    return run(_worker(body, is_async=True), make_async_job({"n": 1}))


async def arun_def(body: Body) -> JobOutcome:
    return await arun(_worker(body, is_async=False), make_job({"n": 1}))


async def arun_async_def(body: Body) -> JobOutcome:
    return await arun(_worker(body, is_async=True), make_async_job({"n": 1}))


every_way = pytest.mark.parametrize("way", [run_def, run_async_def, arun_def, arun_async_def])


def raising(exc: BaseException) -> Body:
    def body(job: t.Any) -> t.NoReturn:
        raise exc

    return body


@every_way
async def test_a_processor_that_returns_completes(way: Runner) -> None:
    outcome = await way(lambda job: {"sent": job.data["n"]})
    assert (outcome.completed, outcome.failed, outcome.value) == (True, False, {"sent": 1})


@every_way
async def test_a_value_is_what_arrives_as_json(way: Runner) -> None:
    assert (await way(lambda job: (1, 2))).value == [1, 2]


@every_way
async def test_a_processor_that_raises_fails(way: Runner) -> None:
    outcome = await way(raising(ValueError("no such address")))
    assert outcome.error is not None
    assert (outcome.failed, outcome.unrecoverable, str(outcome.error)) == (
        True,
        False,
        "ValueError: no such address",
    )


@every_way
async def test_an_unrecoverable_error_is_unrecoverable(way: Runner) -> None:
    outcome = await way(raising(UnrecoverableJobError("no")))
    assert (outcome.failed, outcome.unrecoverable) == (True, True)


@every_way
async def test_a_rate_limit_is_told_in_ms(way: Runner) -> None:
    assert await way(raising(RateLimitError(1500))) == JobOutcome(rate_limited=1500)


@every_way
async def test_an_exception_that_the_worker_maps_is_what_it_maps_to(way: Runner) -> None:
    assert await way(raising(KeyError("later"))) == JobOutcome(rate_limited=5000)


@every_way
async def test_a_delay_is_told_in_ms_since_the_epoch(way: Runner) -> None:
    outcome = await way(lambda job: job.move_to_delayed(1_900_000_000_000))
    assert outcome == JobOutcome(delayed=1_900_000_000_000)


@every_way
async def test_waiting_for_children_is_told(way: Runner) -> None:
    assert await way(lambda job: job.move_to_waiting_children()) == JobOutcome(waiting_children=True)


@every_way
async def test_a_value_that_json_cannot_carry_is_unrecoverable(way: Runner) -> None:
    outcome = await way(lambda job: float("nan"))
    assert outcome.error is not None
    assert (outcome.unrecoverable, outcome.error.name) == (True, "ReturnValueError")


async def test_data_becomes_what_the_annotation_says() -> None:
    orders = Worker("orders")

    @orders.processor
    def order(job: Job[Order]) -> int:
        return job.data.number

    assert run(orders, make_job(Order(number=7))).value == 7


async def test_data_that_fails_validation_is_unrecoverable() -> None:
    orders = Worker("orders")

    @orders.processor
    async def order(job: AsyncJob[Order]) -> int:
        return job.data.number

    outcome = await arun(orders, make_async_job({"number": "seven"}))
    assert outcome.error is not None
    assert (outcome.unrecoverable, outcome.error.name) == (True, "DataValidationError")


async def test_a_job_can_be_run_again() -> None:
    orders = Worker("orders")

    @orders.processor
    def order(job: Job[Order]) -> int:
        return job.data.number

    job = make_job({"number": 7})
    assert [run(orders, job).value for _ in range(2)] == [7, 7]


async def test_the_job_is_the_one_that_the_processor_saw() -> None:
    job = make_job(None)
    run(Worker("emails", lambda seen: seen.update_progress(20)), job)
    assert (job.progress_updates, job.queue_name) == ([20], "emails")


async def test_a_job_name_without_a_processor_is_told() -> None:
    emails = Worker("emails")
    emails.processor("welcome")(lambda job: None)
    outcome = run(emails, make_job(None, name="wellcome"))
    assert outcome.error is not None
    assert outcome.error.name == "UnknownJobName"


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_job_of_the_other_kind_is_refused_with_the_right_maker(is_async: bool) -> None:
    right, wrong = ("make_async_job", make_job) if is_async else ("make_job", make_async_job)
    with pytest.raises(ConfigurationError, match=right):
        run(_worker(lambda job: None, is_async=is_async), wrong(None))


async def test_an_annotation_that_cannot_work_is_told_as_at_start() -> None:
    def process(job: Job[Nothing]) -> None:  # type: ignore[name-defined]  # noqa: F821
        raise AssertionError

    with pytest.raises(ConfigurationError, match="Nothing"):
        run(Worker("emails", process), make_job(None))


async def test_a_coroutine_ends_at_its_deadline() -> None:
    async def process(job: AsyncJob) -> None:
        await asyncio.Event().wait()

    outcome = await arun(Worker("emails", process, timeout=0.05), make_async_job(None))
    assert outcome.error is not None
    assert outcome.error.name == "DeadlineExceeded"


async def test_a_thread_is_answered_for_at_its_deadline() -> None:
    ended = threading.Event()
    outcome = await arun(Worker("emails", lambda job: ended.wait(60), timeout=0.05), make_job(None))
    ended.set()
    assert outcome.error is not None
    assert outcome.error.name == "DeadlineExceeded"


async def test_the_value_of_a_failure_is_an_assertion_that_shows_the_stack() -> None:
    outcome = run(Worker("emails", raising(ValueError("no such address"))), make_job(None))
    with pytest.raises(AssertionError, match=r"(?s)failed: ValueError: no such address\nTraceback"):
        _ = outcome.value


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (JobOutcome(completed=True, return_value=1), "<JobOutcome completed: 1>"),
        (JobOutcome(failed=True, error=JobError("E", "no")), "<JobOutcome failed: E: no>"),
        (
            JobOutcome(failed=True, unrecoverable=True, error=JobError("E", "no")),
            "<JobOutcome failed, unrecoverable: E: no>",
        ),
        (JobOutcome(rate_limited=5), "<JobOutcome rate limited for 5 ms>"),
        (JobOutcome(delayed=5), "<JobOutcome delayed until 5>"),
        (JobOutcome(waiting_children=True), "<JobOutcome waiting for children>"),
    ],
)
def test_an_outcome_shows_what_it_is(outcome: JobOutcome, shown: str) -> None:
    assert repr(outcome) == shown
