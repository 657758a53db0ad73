"""The getters of a queue: their requests, and what they return."""

from __future__ import annotations

import typing as t

import pytest
import respx

from nextmq_handler import ConfigurationError
from tests.support.client import QUEUE, Case, Kind, both_kinds, case, cases_of, observed, queue_of, value_of
from tests.support.handler import JOB

pytestmark = pytest.mark.anyio

COUNTS = {
    "waiting": 1,
    "active": 2,
    "delayed": 4,
    "prioritized": 8,
    "waiting-children": 16,
    "completed": 32,
    "failed": 64,
    "paused": 128,
}
CAUSE = {
    "code": "paused",
    "sentence": 'queue "emails" is paused: 1 job waits',
    "remedy": {"text": "resume it", "command": "nextmq resume emails"},
    "since": None,
    "until": None,
    "age": None,
    "details": {},
}
INSPECTION = [
    case("get_job_state", "42", request=f"GET {QUEUE}/jobs/42", answer=JOB, returned="waiting"),
    case(
        "get_job_logs",
        "42",
        request=f"GET {QUEUE}/jobs/42/logs?start=0&end=-1&asc=true",
        answer={"logs": ["a"], "count": 9},
        returned={"logs": ["a"], "count": 9},
    ),
    case("get_job_counts", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=COUNTS),
    case("why", request=f"GET {QUEUE}/why", answer={"causes": [CAUSE]}, returned=[CAUSE]),
    case(
        "get_job_counts",
        "failed",
        "active",
        request=f"GET {QUEUE}/counts",
        answer=COUNTS,
        returned={"failed": 64, "active": 2},
    ),
    case("get_job_count_by_types", "failed", "active", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=66),
    case("get_job_count_by_types", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=255),
    case("count", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=1 + 128 + 4 + 8 + 16),
    case("get_waiting_count", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=129),
    case("get_active_count", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=2),
    case("get_delayed_count", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=4),
    case("get_prioritized_count", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=8),
    case("get_waiting_children_count", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=16),
    case("get_completed_count", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=32),
    case("get_failed_count", request=f"GET {QUEUE}/counts", answer=COUNTS, returned=64),
    case(
        "get_counts_per_priority",
        [0, 5, 0],
        request=f"GET {QUEUE}/counts-per-priority?priorities=0%2C5",
        answer={"counts": {"0": 1, "5": 2}},
        returned={0: 1, 5: 2},
    ),
    case(
        "get_deduplication_job_id",
        "x",
        request=f"GET {QUEUE}/deduplication/x",
        answer={"jobId": "42"},
        returned="42",
    ),
    case(
        "get_metrics",
        "completed",
        request=f"GET {QUEUE}/metrics/completed?start=0&end=-1",
        answer={"meta": {"count": 1, "prevTS": 2, "prevCount": 3}, "data": [4, 5], "count": 2},
        returned={"meta": {"count": 1, "prev_ts": 2, "prev_count": 3}, "data": [4, 5], "count": 2},
    ),
    case("get_workers", request=f"GET {QUEUE}/workers", answer={"workers": [{"id": "1"}]}, returned=[{"id": "1"}]),
    case("get_workers_count", request=f"GET {QUEUE}/workers", answer={"workers": [{}, {}]}, returned=2),
    case("is_paused", request=f"GET {QUEUE}", answer={"isPaused": True}, returned=True),
    case("is_maxed", request=f"GET {QUEUE}/maxed", answer={"isMaxed": False}, returned=False),
]


@both_kinds
@cases_of(INSPECTION)
async def test_a_call_makes_its_request_and_returns_what_the_answer_says(
    kind: Kind, case: Case, server: respx.MockRouter
) -> None:
    assert await observed(queue_of(kind), case, server) == (case.request, case.sent, case.returned)


RANGES = [
    case("get_jobs", request=f"GET {QUEUE}/jobs?start=0&end=99&asc=false"),
    case("get_jobs", "failed", request=f"GET {QUEUE}/jobs?states=failed&start=0&end=99&asc=false"),
    case(
        "get_jobs",
        ["failed", "completed"],
        5,
        9,
        asc=True,
        request=f"GET {QUEUE}/jobs?states=failed%2Ccompleted&start=5&end=9&asc=true",
    ),
    case("get_waiting", request=f"GET {QUEUE}/jobs?states=waiting&start=0&end=99&asc=true"),
    case("get_active", 1, 2, request=f"GET {QUEUE}/jobs?states=active&start=1&end=2&asc=true"),
    case("get_completed", request=f"GET {QUEUE}/jobs?states=completed&start=0&end=99&asc=false"),
    case("get_failed", request=f"GET {QUEUE}/jobs?states=failed&start=0&end=99&asc=false"),
    case("get_delayed", request=f"GET {QUEUE}/jobs?states=delayed&start=0&end=99&asc=true"),
    case("get_prioritized", request=f"GET {QUEUE}/jobs?states=prioritized&start=0&end=99&asc=true"),
    case("get_waiting_children", request=f"GET {QUEUE}/jobs?states=waiting-children&start=0&end=99&asc=true"),
]


@both_kinds
@cases_of([each._replace(answer={"jobs": [JOB, {**JOB, "id": "43"}]}) for each in RANGES])
async def test_a_range_of_jobs_is_asked_for_by_state(kind: Kind, case: Case, server: respx.MockRouter) -> None:
    request, _, jobs = await observed(queue_of(kind), case, server)
    assert (request, [job.id for job in jobs]) == (case.request, ["42", "43"])


@both_kinds
@pytest.mark.parametrize(
    ("method", "args", "returned"),
    [("get_jobs", [[]], []), ("get_counts_per_priority", [[]], {}), ("add_bulk", [[]], [])],
)
async def test_nothing_asked_for_is_nothing_sent(
    kind: Kind, method: str, args: list[t.Any], returned: t.Any, server: respx.MockRouter
) -> None:
    assert await value_of(getattr(queue_of(kind), method)(*args)) == returned


@both_kinds
async def test_states_that_are_no_list_are_refused(kind: Kind) -> None:
    with pytest.raises(ConfigurationError, match="get_jobs takes a list of states, not int"):
        await value_of(queue_of(kind).get_jobs(5))


@both_kinds
async def test_a_state_that_is_none_is_not_counted_as_nothing(kind: Kind, server: respx.MockRouter) -> None:
    server.get(f"{QUEUE}/counts").respond(200, json=COUNTS)
    with pytest.raises(ConfigurationError, match=r"\Aunknown state wait: choose from waiting, active, "):
        await value_of(queue_of(kind).get_job_counts("wait", "active"))


@both_kinds
@pytest.mark.parametrize(
    ("method", "args", "returned"),
    [
        ("get_job", ["1"], None),
        ("get_job_state", ["1"], "unknown"),
        ("get_job_scheduler", ["1"], None),
        ("remove_job_scheduler", ["1"], False),
        ("get_deduplication_job_id", ["1"], None),
        ("remove", ["1"], False),
    ],
)
async def test_what_the_server_does_not_have_is_not_an_error_if_that_is_an_answer(
    kind: Kind, method: str, args: list[str], returned: t.Any, server: respx.MockRouter
) -> None:
    server.route().respond(404, json={"error": "not_found"})
    assert await value_of(getattr(queue_of(kind), method)(*args)) == returned


@both_kinds
async def test_a_queue_tells_its_limits_and_its_worker(kind: Kind, server: respx.MockRouter) -> None:
    view = {
        "name": "emails",
        "isPaused": False,
        "counts": COUNTS,
        "concurrency": {"global": None, "worker": 5},
        "rateLimit": {"max": 1, "duration": 2},
        "rateLimitTtl": 3,
        "worker": {"url": "https://app.example"},
        "hold": {"kind": "breaker", "since": 1, "until": 2, "detail": "deliveries fail"},
    }
    _, _, seen = await observed(queue_of(kind), case("info", request="", answer=view), server)
    assert tuple(seen)[: len(view)] == tuple(view.values())
    assert (seen.state, seen.dead_letters_of) == (None, None)  # an older server does not tell them
