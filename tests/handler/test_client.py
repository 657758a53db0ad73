"""Queue and AsyncQueue: the calls they make, what they return, what they raise."""

import json
import typing as t
from collections.abc import Awaitable
from datetime import timedelta

import httpx
import pytest
import respx

from nextmq_handler import (
    AsyncQueue,
    ConfigurationError,
    NextMQHTTPError,
    Queue,
)
from tests.handler.support import API_KEY, JOB, JOBS, URL, Call, both_queues

pytestmark = pytest.mark.anyio


@both_queues
async def test_add_sends_the_name_the_data_and_the_options(call: Call, server: respx.MockRouter) -> None:
    route = server.post(JOBS).respond(201, json=JOB)
    await call("add", "welcome", {"to": "ä@example.com"}, attempts=5)
    assert json.loads(route.calls.last.request.content) == {
        "name": "welcome",
        "data": {"to": "ä@example.com"},
        "opts": {"attempts": 5},
    }


@both_queues
async def test_add_needs_a_name_only(call: Call, server: respx.MockRouter) -> None:
    route = server.post(JOBS).respond(201, json=JOB)
    await call("add", "welcome")
    assert json.loads(route.calls.last.request.content) == {"name": "welcome", "data": None, "opts": {}}


@both_queues
async def test_a_call_is_authorised_by_the_api_key(call: Call, server: respx.MockRouter) -> None:
    route = server.post(JOBS).respond(201, json=JOB)
    await call("add", "welcome")
    assert route.calls.last.request.headers["authorization"] == f"Bearer {API_KEY}"


@both_queues
async def test_a_call_of_a_producer_names_no_delivery(call: Call, server: respx.MockRouter) -> None:
    route = server.post(JOBS).respond(201, json=JOB)
    await call("add", "welcome")
    assert "x-nextmq-delivery" not in route.calls.last.request.headers


@both_queues
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"job_id": "a"}, {"jobId": "a"}),
        ({"remove_on_complete": True}, {"removeOnComplete": True}),
        ({"remove_on_fail": {"age": 60, "count": 5}}, {"removeOnFail": {"age": 60, "count": 5}}),
        ({"stack_trace_limit": 3, "keep_logs": 4}, {"stackTraceLimit": 3, "keepLogs": 4}),
        ({"lifo": True, "priority": 7, "timestamp": 9}, {"lifo": True, "priority": 7, "timestamp": 9}),
        ({"delay": 1500}, {"delay": 1500}),
        ({"delay": timedelta(seconds=1.5)}, {"delay": 1500}),
        ({"backoff": timedelta(minutes=1)}, {"backoff": 60_000}),
        (
            {"backoff": {"type": "exponential", "delay": timedelta(seconds=1), "jitter": 0.5}},
            {"backoff": {"type": "exponential", "delay": 1000, "jitter": 0.5}},
        ),
    ],
)
async def test_options_are_sent_in_camel_case_and_ms(
    call: Call, options: dict[str, t.Any], sent: dict[str, t.Any], server: respx.MockRouter
) -> None:
    route = server.post(JOBS).respond(201, json=JOB)
    await call("add", "welcome", **options)
    assert json.loads(route.calls.last.request.content)["opts"] == sent


@both_queues
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attempt": 5}, "attempt: no such job option; there are attempts, backoff, delay"),
        ({"jobId": "a"}, "jobId: no such job option"),
        ({"delay": timedelta(days=4000)}, "delay takes 0 to"),
        ({"delay": timedelta(seconds=-1)}, "delay takes 0 to"),
        ({"backoff": {"type": "fixed", "delay": timedelta(seconds=-1)}}, r"backoff\.delay takes 0 to"),
    ],
)
async def test_an_option_that_cannot_be_sent_is_refused_by_name(
    call: Call, options: dict[str, t.Any], message: str, server: respx.MockRouter
) -> None:
    with pytest.raises(ConfigurationError, match=rf"\A{message}"):
        await call("add", "welcome", **options)


@both_queues
@pytest.mark.parametrize(
    ("method", "args", "verb", "path"),
    [
        ("add", ["welcome"], "POST", JOBS),
        ("get_job", ["42"], "GET", JOBS + "/42"),
    ],
)
async def test_a_job_comes_back_as_the_server_described_it(
    call: Call, method: str, args: list[str], verb: str, path: str, server: respx.MockRouter
) -> None:
    server.route(method=verb, path=path).respond(200, json=JOB)
    job = await call(method, *args)
    assert vars(job) == {
        "queue_name": "emails",
        "id": "42",
        "name": "welcome",
        "state": "waiting",
        "data": {"to": "ä@example.com"},
        "progress": 0,
        "attempts_made": 1,
        "attempts_started": 2,
        "return_value": None,
        "failed_reason": None,
        "timestamp": 1_790_000_000_000,
        "processed_on": 1_790_000_000_001,
        "finished_on": None,
    }


@both_queues
async def test_the_repr_of_a_job_tells_which_it_is(call: Call, server: respx.MockRouter) -> None:
    server.get(JOBS + "/42").respond(200, json=JOB)
    assert repr(await call("get_job", "42")) == "<JobSnapshot emails/42 'welcome' waiting>"


@both_queues
async def test_a_job_that_the_server_does_not_know_is_none(call: Call, server: respx.MockRouter) -> None:
    server.get(JOBS + "/42").respond(404, json={"error": "not_found"})
    assert await call("get_job", "42") is None


@both_queues
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, text="<h1>Not found</h1>"),
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(404, json={"error": "unknown_project"}),
        httpx.Response(404, json=[]),
    ],
    ids=["page", "another API", "another code", "no object"],
)
async def test_a_404_that_says_something_else_is_an_error(
    call: Call, answer: httpx.Response, server: respx.MockRouter
) -> None:
    server.get(JOBS + "/42").mock(answer)
    with pytest.raises(NextMQHTTPError):
        await call("get_job", "42")


@both_queues
@pytest.mark.parametrize(
    ("job_id", "segment"),
    [
        ("a/b", b"a%2Fb"),
        ("a?b#c", b"a%3Fb%23c"),
        ("ä b", b"%C3%A4%20b"),
        ("..", b"%2E%2E"),
        (".", b"%2E"),
        ("../counts", b"..%2Fcounts"),
    ],
)
async def test_a_job_id_stays_one_segment_of_the_path(
    call: Call, job_id: str, segment: bytes, server: respx.MockRouter
) -> None:
    route = server.get(url__startswith="https://queue.example/").respond(200, json=JOB)
    await call("get_job", job_id)
    assert route.calls.last.request.url.raw_path == JOBS.encode() + b"/" + segment


@both_queues
async def test_job_counts_are_the_servers(call: Call, server: respx.MockRouter) -> None:
    server.get("/v1/queues/emails/counts").respond(200, json={"waiting": 3})
    assert await call("get_job_counts") == {"waiting": 3}


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
def test_the_repr_of_a_queue_is_its_name(kind: type) -> None:
    assert repr(kind("emails", url=URL)) == f"<{kind.__name__} emails>"


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
@pytest.mark.parametrize("name", ["", "a/b", "..", "ä"])
def test_a_queue_of_a_name_that_no_queue_can_have_is_refused(kind: type, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a queue name"):
        kind(name)


@both_queues
async def test_a_queue_without_a_server_asks_for_the_variable(call: Call) -> None:
    with pytest.raises(ConfigurationError, match=r"\ANEXTMQ_URL is not set"):
        await call("add", "welcome", url=None)


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
async def test_a_queue_reads_the_variable_when_it_is_first_used(
    kind: type[t.Any], server: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = kind("emails")
    monkeypatch.setenv("NEXTMQ_URL", URL)
    route = server.get("/v1/queues/emails/counts").respond(200, json={})
    answer = queue.get_job_counts()
    _ = await answer if isinstance(answer, Awaitable) else answer
    assert route.call_count == 1
