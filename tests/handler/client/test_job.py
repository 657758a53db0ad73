"""QueueJob and AsyncQueueJob: the calls on the job that a producer gets back."""

from __future__ import annotations

import typing as t
from datetime import timedelta

import pytest
import respx

from nextmq_handler import (
    JobRemovedError,
    NextMQHTTPError,
)
from tests.support.client import Case, Kind, body_of, both_kinds, case, cases_of, job_of, observed, value_of
from tests.support.handler import JOB, JOBS

pytestmark = pytest.mark.anyio

PATH = JOBS + "/42"
DEPENDENCIES = {
    "processed": {"a:1": {"x": 1}},
    "unprocessed": ["a:2"],
    "ignored": {"a:3": "late"},
    "failed": ["a:4"],
}
COUNTS = {"processed": 1, "unprocessed": 2, "ignored": 3, "failed": 4}

CALLS = [
    case("update_progress", {"done": 5}, request=f"PUT {PATH}/progress", sent={"progress": {"done": 5}}),
    case("update_data", {"x": 1}, request=f"PUT {PATH}/data", sent={"data": {"x": 1}}),
    case(
        "log",
        "row",
        request=f"POST {PATH}/logs",
        sent={"row": "row", "keepLogs": 5},
        answer={"count": 2},
        returned=2,
    ),
    case(
        "get_logs",
        request=f"GET {PATH}/logs?start=0&end=-1&asc=true",
        answer={"logs": ["a"], "count": 9},
        returned={"logs": ["a"], "count": 9},
    ),
    case(
        "get_logs",
        2,
        5,
        asc=False,
        request=f"GET {PATH}/logs?start=2&end=5&asc=false",
        answer={"logs": [], "count": 0},
        returned={"logs": [], "count": 0},
    ),
    case("clear_logs", request=f"DELETE {PATH}/logs?keep=0"),
    case("clear_logs", 5, request=f"DELETE {PATH}/logs?keep=5"),
    case(
        "get_children_values",
        request=f"GET {PATH}/children-values",
        answer={"values": {"reports:1": 5}},
        returned={"reports:1": 5},
    ),
    case(
        "get_ignored_children_failures",
        request=f"GET {PATH}/ignored-failures",
        answer={"failures": {"reports:1": "late"}},
        returned={"reports:1": "late"},
    ),
    case(
        "get_dependencies",
        request=f"GET {PATH}/dependencies?limit=1000",
        answer={**DEPENDENCIES, "counts": COUNTS},
        returned=DEPENDENCIES,
    ),
    case(
        "get_dependencies",
        limit=5,
        request=f"GET {PATH}/dependencies?limit=5",
        answer={**DEPENDENCIES, "counts": COUNTS},
        returned=DEPENDENCIES,
    ),
    case(
        "get_dependencies_count",
        request=f"GET {PATH}/dependencies?limit=1",
        answer={**DEPENDENCIES, "counts": COUNTS},
        returned=COUNTS,
    ),
    case(
        "retry",
        request=f"POST {PATH}/retry",
        sent={"state": "failed", "resetAttemptsMade": False, "resetAttemptsStarted": False},
    ),
    case(
        "retry",
        "completed",
        reset_attempts_made=True,
        reset_attempts_started=True,
        request=f"POST {PATH}/retry",
        sent={"state": "completed", "resetAttemptsMade": True, "resetAttemptsStarted": True},
    ),
    case(
        "retry",
        data=None,
        request=f"POST {PATH}/retry",
        sent={"state": "failed", "resetAttemptsMade": False, "resetAttemptsStarted": False, "data": None},
    ),
    case("promote", request=f"POST {PATH}/promote"),
    case("remove", request=f"DELETE {PATH}?removeChildren=true"),
    case("remove", remove_children=False, request=f"DELETE {PATH}?removeChildren=false"),
    case("change_delay", timedelta(seconds=1.5), request=f"PUT {PATH}/delay", sent={"delay": 1500}),
    case("change_priority", 5, request=f"PUT {PATH}/priority", sent={"priority": 5, "lifo": False}),
    case("change_priority", 0, lifo=True, request=f"PUT {PATH}/priority", sent={"priority": 0, "lifo": True}),
    case("remove_child_dependency", request=f"DELETE {PATH}/parent", answer={"removed": True}, returned=True),
    case("remove_unprocessed_children", request=f"DELETE {PATH}/children"),
    case(
        "remove_deduplication_key",
        request=f"DELETE {PATH}/deduplication-key",
        answer={"removed": False},
        returned=False,
    ),
    case("refresh", request=f"GET {PATH}", answer=JOB),
    case("get_state", request=f"GET {PATH}", answer={**JOB, "state": "active"}, returned="active"),
    *(
        case(method, request=f"GET {PATH}", answer={**JOB, "state": state}, returned=is_so)
        for state, method in [
            ("completed", "is_completed"),
            ("failed", "is_failed"),
            ("delayed", "is_delayed"),
            ("active", "is_active"),
            ("waiting", "is_waiting"),
            ("waiting-children", "is_waiting_children"),
        ]
        for state, is_so in [(state, True), ("prioritized", False)]
    ),
]


@both_kinds
@cases_of(CALLS)
async def test_a_call_makes_its_request_and_returns_what_the_answer_says(
    kind: Kind, case: Case, server: respx.MockRouter
) -> None:
    assert await observed(job_of(kind), case, server) == (case.request, case.sent, case.returned)


@both_kinds
@cases_of(
    [each for each in CALLS if each.method not in ("remove", "get_state") and not each.method.startswith("is_")]
)
async def test_a_job_that_is_gone_is_an_error_of_its_own(kind: Kind, case: Case, server: respx.MockRouter) -> None:
    server.route().respond(404, json={"error": "not_found"})
    with pytest.raises(JobRemovedError) as caught:
        await value_of(getattr(job_of(kind), case.method)(*case.args, **case.options))
    assert (caught.value.job_id, caught.value.queue_name) == ("42", "emails")


@both_kinds
@pytest.mark.parametrize(
    ("method", "returned"), [("remove", None), ("get_state", "unknown"), ("is_failed", False)]
)
async def test_a_job_that_is_gone_is_not_an_error_if_that_is_an_answer(
    kind: Kind, method: str, returned: t.Any, server: respx.MockRouter
) -> None:
    server.route().respond(404, json={"error": "not_found"})
    assert await value_of(getattr(job_of(kind), method)()) == returned


@both_kinds
async def test_a_state_that_does_not_allow_the_call_is_the_servers_error(
    kind: Kind, server: respx.MockRouter
) -> None:
    server.route().respond(409, json={"error": "wrong_state"})
    with pytest.raises(NextMQHTTPError) as caught:
        await value_of(job_of(kind).promote())
    assert (caught.value.status, caught.value.code) == (409, "wrong_state")


@both_kinds
@pytest.mark.parametrize(
    ("method", "args", "attribute", "value"),
    [
        ("update_progress", [5], "progress", 5),
        ("update_data", [{"x": 1}], "data", {"x": 1}),
        ("change_delay", [7], "delay", 7),
        ("change_priority", [8], "priority", 8),
        ("promote", [], "delay", 0),
        ("retry", [], "failed_reason", None),
        ("retry", [], "return_value", None),
        ("retry", [], "state", "waiting"),
    ],
)
async def test_a_job_knows_what_its_calls_changed(
    kind: Kind, method: str, args: list[t.Any], attribute: str, value: t.Any, server: respx.MockRouter
) -> None:
    server.route().respond(200, json={})
    job = job_of(kind, state="failed", failedReason="late", returnValue=1)
    await value_of(getattr(job, method)(*args))
    assert getattr(job, attribute) == value


@both_kinds
async def test_a_call_that_failed_changes_nothing_here(kind: Kind, server: respx.MockRouter) -> None:
    server.route().respond(500)
    job = job_of(kind)
    with pytest.raises(NextMQHTTPError):
        await value_of(job.update_data({"x": 1}))
    assert job.data == JOB["data"]


@both_kinds
async def test_refresh_reads_every_field_again(kind: Kind, server: respx.MockRouter) -> None:
    job = job_of(kind)
    assert (job.data, job.return_value) == (JOB["data"], None)
    server.get(PATH).respond(200, json={**JOB, "state": "completed", "data": 1, "returnValue": 2})
    await value_of(job.refresh())
    assert (job.state, job.data, job.return_value) == ("completed", 1, 2)


@both_kinds
async def test_a_producers_call_names_no_delivery(kind: Kind, server: respx.MockRouter) -> None:
    route = server.put(PATH + "/progress").respond(200, json={})
    await value_of(job_of(kind).update_progress(1))
    assert "x-nextmq-delivery" not in route.calls.last.request.headers
    assert body_of(route) == {"progress": 1}
