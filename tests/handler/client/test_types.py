"""Queue[Data, Result]: data and results are validated into the types in the brackets."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import UTC, datetime

import pydantic
import pytest
import respx
import typing_extensions

from nextmq_handler import (
    AsyncQueue,
    AsyncQueueJob,
    ConfigurationError,
    DataError,
    Queue,
    QueueJob,
)
from tests.support.client import value_of
from tests.support.handler import JOB, JOBS, URL

pytestmark = pytest.mark.anyio


class Welcome(pydantic.BaseModel):
    to: str


class Receipt(pydantic.BaseModel):
    sent: int


@dataclass
class Sent:
    at: datetime


class Greeting(typing_extensions.TypedDict):
    to: str


async def result_of(queue: t.Any, server: respx.MockRouter, value: t.Any) -> t.Any:
    answer = {"state": "completed", "returnValue": value, "failedReason": None, "stacktrace": [], "finishedOn": 1}
    server.post(JOBS).respond(201, json=JOB)
    server.get(JOBS + "/42/result").respond(200, json=answer)
    job = await value_of(queue.add("welcome", {"to": "a"}))
    return await value_of(job.wait_until_finished())


class ReceiptQueue(Queue[Welcome, Receipt]):
    pass


class AsyncReceiptQueue(AsyncQueue[Welcome, Receipt]):
    pass


TYPED = {
    "Queue[…]": Queue[Welcome, Receipt]("emails", url=URL),
    "AsyncQueue[…]": AsyncQueue[Welcome, Receipt]("emails", url=URL),
    "a subclass of Queue[…]": ReceiptQueue("emails", url=URL),
    "a subclass of AsyncQueue[…]": AsyncReceiptQueue("emails", url=URL),
}


@pytest.mark.parametrize("queue", TYPED.values(), ids=TYPED)
async def test_a_result_is_what_the_queues_type_says(queue: t.Any, server: respx.MockRouter) -> None:
    assert await result_of(queue, server, {"sent": 1}) == Receipt(sent=1)


@pytest.mark.parametrize("queue", TYPED.values(), ids=TYPED)
async def test_data_comes_back_as_the_queues_type_says(queue: t.Any, server: respx.MockRouter) -> None:
    server.post(JOBS).respond(201, json=JOB)
    job = await value_of(queue.add("welcome", Welcome(to="a")))
    assert job.data == Welcome(to="ä@example.com")


@pytest.mark.parametrize("queue", TYPED.values(), ids=TYPED)
async def test_data_of_a_bulk_is_as_the_queues_type_says(queue: t.Any, server: respx.MockRouter) -> None:
    added = {"id": "42", "state": "waiting", "timestamp": 1, "deduplicated": False, "job": None}
    server.post(JOBS + "/bulk").respond(201, json={"jobs": [added]})
    [job] = await value_of(queue.add_bulk([{"name": "welcome", "data": Welcome(to="a")}]))
    assert job.data == Welcome(to="a")


@pytest.mark.parametrize("queue", TYPED.values(), ids=TYPED)
async def test_a_result_that_is_something_else_is_an_error_without_values(
    queue: t.Any, server: respx.MockRouter
) -> None:
    with pytest.raises(DataError, match=r"\Areturn value\.sent: Input should be a valid integer[^!]*\Z"):
        await result_of(queue, server, {"sent": "secret!"})


@pytest.mark.parametrize("queue", TYPED.values(), ids=TYPED)
async def test_a_job_whose_data_is_something_else_can_still_be_listed(
    queue: t.Any, server: respx.MockRouter
) -> None:
    server.get(JOBS).respond(200, json={"jobs": [{**JOB, "data": 5}]})
    (job,) = await value_of(queue.get_jobs())
    with pytest.raises(DataError, match=r"\Adata: "):
        _ = job.data


@pytest.mark.parametrize("queue", TYPED.values(), ids=TYPED)
async def test_a_job_that_has_not_finished_has_no_result(queue: t.Any, server: respx.MockRouter) -> None:
    server.post(JOBS).respond(201, json=JOB)
    assert (await value_of(queue.add("welcome", Welcome(to="a")))).return_value is None


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
@pytest.mark.parametrize(
    ("data", "result", "value", "returned"),
    [
        (Welcome, Sent, {"at": "2030-01-01T00:00:00Z"}, Sent(datetime(2030, 1, 1, tzinfo=UTC))),
        (Welcome, Greeting, {"to": "a"}, {"to": "a"}),
        (Welcome, int, 5, 5),
        (Welcome, Receipt | None, None, None),
        (Welcome, t.Any, {"x": 1}, {"x": 1}),
    ],
    ids=["dataclass", "TypedDict", "int", "optional", "Any"],
)
async def test_any_annotation_that_pydantic_knows_is_a_type_of_results(
    kind: t.Any, data: t.Any, result: t.Any, value: t.Any, returned: t.Any, server: respx.MockRouter
) -> None:
    assert await result_of(kind[data, result]("emails", url=URL), server, value) == returned


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
async def test_a_type_that_pydantic_does_not_know_is_a_configuration_error(
    kind: t.Any, server: respx.MockRouter
) -> None:
    with pytest.raises(
        ConfigurationError, match=r"\Athe type of the results of Queue\[…\]: .*cannot be validated"
    ):
        await result_of(kind[Welcome, server.__class__]("emails", url=URL), server, 1)


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
async def test_the_type_of_the_data_alone_leaves_results_as_they_are(
    kind: t.Any, server: respx.MockRouter
) -> None:
    assert await result_of(kind[Welcome]("emails", url=URL), server, {"sent": "x"}) == {"sent": "x"}


@pytest.mark.parametrize("kind", [Queue, AsyncQueue, QueueJob, AsyncQueueJob])
def test_three_types_are_refused(kind: t.Any) -> None:
    with pytest.raises(TypeError):
        kind[int, int, int]
