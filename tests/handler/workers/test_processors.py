"""Which processor runs a job, on which thread, with what."""

import threading
from contextvars import ContextVar

import pytest

from nextmq_handler import AsyncJob, Job, Worker
from tests.support.handler import (
    Style,
    as_async_def,
    as_def,
    deliver,
    delivery,
    failed,
    make_handler,
    outcome_of,
    sync_and_async,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("job_name", ["welcom", "WELCOME", "x", ""])
async def test_a_job_name_without_a_processor_fails_the_attempt(job_name: str) -> None:
    worker = Worker("emails")
    worker.processor("welcome")(as_def(lambda job: None))
    outcome = await deliver(make_handler(worker), delivery(job={"name": job_name}))
    assert outcome == failed(
        "UnknownJobName", f"queue emails has no processor for jobs named {job_name!r}; it has 'welcome'"
    )


async def test_the_nearest_job_name_comes_first() -> None:
    worker = Worker("emails")
    for name in ("goodbye", "welcome", "reminder"):
        worker.processor(name)(as_def(lambda job: None))
    outcome = await deliver(make_handler(worker), delivery(job={"name": "welcom"}))
    assert outcome["error"]["message"].endswith("it has 'welcome', 'goodbye', 'reminder'")


@pytest.mark.parametrize(("job_name", "value"), [("welcome", "named"), ("goodbye", "fallback")])
async def test_a_job_is_run_by_the_processor_of_its_name(job_name: str, value: str) -> None:
    worker = Worker("emails", as_def(lambda job: "fallback"))
    worker.processor("welcome")(as_async_def(lambda job: "named"))
    outcome = await deliver(make_handler(worker), delivery(job={"name": job_name}))
    assert outcome["returnValue"] == value


@pytest.mark.parametrize(("style", "kind"), [(as_def, Job), (as_async_def, AsyncJob)], ids=["def", "async def"])
async def test_a_processor_gets_the_job_of_its_kind(style: Style, kind: type) -> None:
    outcome = await outcome_of(style(lambda job: type(job) is kind))
    assert outcome["returnValue"] is True


@pytest.mark.parametrize(("style", "same"), [(as_def, False), (as_async_def, True)], ids=["def", "async def"])
async def test_an_async_def_runs_on_the_loops_thread_and_a_def_off_it(style: Style, same: bool) -> None:
    outcome = await outcome_of(style(lambda job: threading.get_ident()))
    assert (outcome["returnValue"] == threading.get_ident()) is same


request_id: ContextVar[str] = ContextVar("request_id")


@sync_and_async
async def test_a_processor_sees_the_context_of_its_request(style: Style) -> None:
    request_id.set("r1")
    outcome = await outcome_of(style(lambda job: request_id.get()))
    assert outcome["returnValue"] == "r1"
