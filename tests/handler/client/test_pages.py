"""A list that the server sends in parts comes whole, whichever getter asks for it."""

from __future__ import annotations

import typing as t

import httpx
import pytest
import respx

from nextmq_handler import NextMQ
from tests.support.client import Kind, both_kinds, job_of, queue_of, value_of
from tests.support.handler import JOB, URL

pytestmark = pytest.mark.anyio

JOBS = [{**JOB, "id": str(number)} for number in range(5)]
QUEUE_INFO = {
    "name": "emails",
    "isPaused": False,
    "counts": {},
    "concurrency": {},
    "rateLimit": None,
    "rateLimitTtl": 0,
    "worker": None,
    "hold": None,
}


async def ids(jobs: t.Any) -> list[str]:
    return [job.id for job in await value_of(jobs)]


GETTERS = (
    *("get_jobs", "get_waiting", "get_active", "get_completed", "get_failed", "get_delayed", "get_prioritized"),
    "get_waiting_children",
)
ROWS = [f"row {number}" for number in range(5)]


async def rows(logs: t.Any) -> t.Any:
    found = await value_of(logs)
    assert found["count"] == len(ROWS)
    return found["logs"]


async def names(queues: t.Any) -> list[str]:
    return [queue.name for queue in await value_of(queues)]


@pytest.fixture
def server() -> t.Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


def in_parts(
    server: respx.MockRouter, member: str, items: list[t.Any] | dict[str, t.Any], **others: t.Any
) -> None:
    """Serve two items at a time; `next` is the place of the third."""

    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("from", 0))
        part: t.Any = (
            list(items.items())[start : start + 2] if isinstance(items, dict) else items[start : start + 2]
        )
        found = dict(part) if isinstance(items, dict) else part
        more = {"next": str(start + 2)} if start + 2 < len(items) else {}
        return httpx.Response(200, json={member: found, **others, **more})

    server.get(url__startswith="https://queue.example/").mock(side_effect=answer)


@both_kinds
@pytest.mark.parametrize("getter", GETTERS)
async def test_jobs_in_parts_come_whole(kind: Kind, getter: str, server: respx.MockRouter) -> None:
    in_parts(server, "jobs", JOBS)
    assert await ids(getattr(queue_of(kind), getter)()) == [job["id"] for job in JOBS]


@both_kinds
async def test_logs_in_parts_come_whole(kind: Kind, server: respx.MockRouter) -> None:
    in_parts(server, "logs", ROWS, count=len(ROWS))
    assert await rows(queue_of(kind).get_job_logs("42")) == ROWS


@both_kinds
@pytest.mark.parametrize(
    ("getter", "member"), [("get_children_values", "values"), ("get_ignored_children_failures", "failures")]
)
async def test_what_children_ended_with_comes_whole(
    kind: Kind, getter: str, member: str, server: respx.MockRouter
) -> None:
    values = {f"reports:{number}": str(number) for number in range(5)}
    in_parts(server, member, values)
    assert await value_of(getattr(job_of(kind), getter)()) == values


@pytest.mark.parametrize("getter", ["queues", "aqueues"])
async def test_queues_in_parts_come_whole(getter: str, server: respx.MockRouter) -> None:
    in_parts(server, "queues", [{**QUEUE_INFO, "name": name} for name in "abcde"])
    assert await names(getattr(NextMQ(URL), getter)()) == list("abcde")
