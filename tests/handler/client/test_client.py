"""Queue and AsyncQueue: the calls they make, what they return, what they raise."""

import json
import typing as t
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import respx

from nextmq_handler import (
    AsyncQueue,
    ConfigurationError,
    NextMQHTTPError,
    Queue,
)
from tests.support.client import Kind, both_kinds, job_of
from tests.support.handler import ADDED, API_KEY, JOB, JOBS, URL, Call, both_queues

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
        ({"timestamp": datetime(2030, 1, 1, tzinfo=UTC)}, {"timestamp": 1_893_456_000_000}),
        ({"size_limit": 5}, {"sizeLimit": 5}),
        ({"remove_on_complete": {"age": timedelta(minutes=1)}}, {"removeOnComplete": {"age": 60}}),
        ({"parent": {"id": "7", "queue_name": "reports"}}, {"parent": {"id": "7", "queue": "reports"}}),
        (
            {"fail_parent_on_failure": True, "continue_parent_on_failure": False},
            {"failParentOnFailure": True, "continueParentOnFailure": False},
        ),
        (
            {"ignore_dependency_on_failure": True, "remove_dependency_on_failure": True},
            {"ignoreDependencyOnFailure": True, "removeDependencyOnFailure": True},
        ),
        (
            {"deduplication": {"id": "a", "ttl": timedelta(seconds=5), "keep_last_if_active": True}},
            {"deduplication": {"id": "a", "ttl": 5000, "keepLastIfActive": True}},
        ),
        (
            {"telemetry": {"metadata": "{}", "omit_context": True}},
            {"telemetry": {"metadata": "{}", "omitContext": True}},
        ),
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
        ({"attempt": 5}, "attempt: no such job option; there are attempts, backoff, keep_logs"),
        ({"jobId": "a"}, "jobId: no such job option"),
        ({"delay": timedelta(days=4000)}, "delay takes 0 to"),
        ({"delay": timedelta(seconds=-1)}, "delay takes 0 to"),
        ({"backoff": {"type": "fixed", "delay": timedelta(seconds=-1)}}, r"backoff\.delay takes 0 to"),
        ({"backoff": {"typ": "fixed"}}, r"backoff\.typ: no such member of backoff; there are type, delay, jitter"),
        (
            {"deduplication": {"id": "a", "keepLast": True}},
            r"deduplication\.keepLast: no such member of deduplication",
        ),
        ({"timestamp": datetime(2030, 1, 1)}, "timestamp takes an aware datetime"),  # noqa: DTZ001
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
    fields = {name: value for name, value in vars(job).items() if not name.startswith("_")}
    assert {**fields, "data": job.data, "return_value": job.return_value} == {
        "queue_name": "emails",
        "id": "42",
        "name": "welcome",
        "state": "waiting",
        "deduplicated": False,
        "deduplication_id": None,
        "data": {"to": "ä@example.com"},
        "opts": {"attempts": 3, "keepLogs": 5},
        "progress": 0,
        "attempts_made": 1,
        "attempts_started": 2,
        "stalled_counter": 3,
        "delay": 4,
        "priority": 5,
        "return_value": None,
        "failed_reason": None,
        "stacktrace": [],
        "deliveries": JOB["deliveries"],
        "deliveries_count": 1,
        "lock": None,
        "parent": {"id": "7", "queue": "reports"},
        "repeat_job_key": None,
        "timestamp": 1_790_000_000_000,
        "processed_on": 1_790_000_000_001,
        "finished_on": None,
    }


@both_queues
async def test_a_job_that_was_there_already_says_so(call: Call, server: respx.MockRouter) -> None:
    server.post(JOBS).respond(201, json={**JOB, "deduplicated": True, "deduplicationId": "a"})
    job = await call("add", "welcome", deduplication={"id": "a"})
    assert (job.deduplicated, job.deduplication_id) == (True, "a")


@both_kinds
def test_the_repr_of_a_job_tells_which_it_is(kind: Kind) -> None:
    assert repr(job_of(kind)) == f"<{kind.__name__}Job emails/42 'welcome' waiting>"


@both_queues
async def test_a_job_of_a_bulk_is_as_it_was_sent(call: Call, server: respx.MockRouter) -> None:
    server.post(JOBS + "/bulk").respond(201, json={"jobs": [{**ADDED, "state": "delayed"}]})
    [job] = await call(
        "add_bulk", [{"name": "a", "data": [1], "opts": {"delay": 5, "deduplication": {"id": "d"}}}]
    )
    seen = (job.name, job.data, job.state, job.delay, job.deduplication_id, job.timestamp, job.deduplicated)
    assert seen == ("a", [1], "delayed", 5, "d", ADDED["timestamp"], False)


@both_queues
async def test_a_job_of_a_bulk_that_was_there_already_is_that_one(call: Call, server: respx.MockRouter) -> None:
    server.post(JOBS + "/bulk").respond(201, json={"jobs": [{**ADDED, "deduplicated": True, "job": JOB}]})
    [job] = await call("add_bulk", [{"name": "a", "data": [1]}])
    assert (job.name, job.data, job.deduplicated) == (JOB["name"], JOB["data"], True)


@both_queues
async def test_add_bulk_sends_all_jobs_at_once(call: Call, server: respx.MockRouter) -> None:
    route = server.post(JOBS + "/bulk").respond(201, json={"jobs": [ADDED, {**ADDED, "id": "43"}]})
    jobs = await call("add_bulk", [{"name": "a"}, {"name": "b", "data": [1], "opts": {"job_id": "x", "delay": 5}}])
    assert [job.id for job in jobs] == ["42", "43"]
    assert json.loads(route.calls.last.request.content) == {
        "jobs": [
            {"name": "a", "data": None, "opts": {}},
            {"name": "b", "data": [1], "opts": {"jobId": "x", "delay": 5}},
        ]
    }


@both_queues
@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([{"name": "a"}] * 1001, "add_bulk takes up to 1000 jobs at once, not 1001"),
        ([{"name": "a", "date": 1}], r"jobs\.0\.date: no such member of a job; there are name, data, opts"),
        ([{"name": "a", "opts": {"jobId": "a"}}], r"jobs\.0\.opts\.jobId: no such job option"),
        ([{"name": "a", "opts": None}], r"jobs\.0\.opts takes a dict, not NoneType"),
        ({"name": "a"}, "add_bulk takes a list of jobs, not dict"),
        ([{"name": "a"}, "b"], r"jobs\.1 takes a dict, not str"),
        ([{"name": "a", "opts": {"delay": timedelta(-1)}}], r"jobs\.0\.opts\.delay takes 0 to"),
    ],
    ids=["1001", "unknown member", "unknown option", "no options", "no list", "no job", "no time"],
)
async def test_jobs_that_cannot_be_sent_are_refused_by_place(call: Call, jobs: list[t.Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\A{message}"):
        await call("add_bulk", jobs)


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
        ("a%2Fb", b"a%252Fb"),
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
@pytest.mark.parametrize("job_id", ["", 42, None, "\ud800", b"42"], ids=repr)
async def test_an_id_that_no_path_can_carry_is_refused(call: Call, job_id: t.Any) -> None:
    with pytest.raises(ConfigurationError):
        await call("get_job", job_id)


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


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
def test_a_url_that_is_not_text_is_refused(kind: t.Any) -> None:
    with pytest.raises(ConfigurationError, match="url takes a connection string, not int"):
        kind("emails", url=7410)


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
