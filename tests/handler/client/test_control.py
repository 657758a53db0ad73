"""The calls that control a queue and its schedulers: their requests, and what they return."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import respx

from nextmq_handler import ConfigurationError, EndpointProbe, JobScheduler
from tests.support.client import QUEUE, Case, Kind, both_kinds, case, cases_of, observed, queue_of, value_of

pytestmark = pytest.mark.anyio

SCHEDULER: dict[str, t.Any] = {
    "id": "daily",
    "name": "report",
    "every": None,
    "pattern": "0 7 * * *",
    "tz": "Europe/Warsaw",
    "limit": 3,
    "offset": None,
    "startDate": 1,
    "endDate": 2,
    "next": 3,
    "iterationCount": 4,
    "template": {"data": {"x": 1}, "opts": {"attempts": 2}},
    "last": {"jobId": "repeat:daily:2", "state": "completed", "finishedOn": 2},
    "overdueBy": 31_000,
}
SEEN = JobScheduler(
    "daily",
    "report",
    None,
    "0 7 * * *",
    "Europe/Warsaw",
    3,
    None,
    1,
    2,
    3,
    4,
    SCHEDULER["template"],
    last=SCHEDULER["last"],
    overdue_by=31_000,
)
PROBE: dict[str, t.Any] = {
    "reached": False,
    "verdict": "wrong_secret",
    "url": "https://app.example/queues/emails",
    "status": 401,
    "ms": 12,
    "detail": "the handler answered 401",
    "fix": "give the app the secret",
}

CONTROL = [
    case("pause", request=f"POST {QUEUE}/pause"),
    case("resume", request=f"POST {QUEUE}/resume"),
    case("drain", request=f"POST {QUEUE}/drain", sent={"delayed": False}),
    case("drain", delayed=True, request=f"POST {QUEUE}/drain", sent={"delayed": True}),
    case(
        "clean",
        timedelta(seconds=1),
        100,
        request=f"POST {QUEUE}/clean",
        sent={"grace": 1000, "limit": 100, "state": "completed"},
        answer={"removed": ["1", "2"]},
        returned=["1", "2"],
    ),
    case(
        "clean",
        0,
        0,
        "waiting",
        request=f"POST {QUEUE}/clean",
        sent={"grace": 0, "limit": 1000, "state": "wait"},
        answer={"removed": []},
        returned=[],
    ),
    case("obliterate", request=f"POST {QUEUE}/obliterate", sent={"force": False}),
    case("obliterate", force=True, request=f"POST {QUEUE}/obliterate", sent={"force": True}),
    case("retry_jobs", request=f"POST {QUEUE}/retry-jobs", sent={"state": "failed", "timestamp": None}),
    case(
        "retry_jobs",
        "completed",
        timestamp=datetime(2030, 1, 1, tzinfo=UTC),
        request=f"POST {QUEUE}/retry-jobs",
        sent={"state": "completed", "timestamp": 1_893_456_000_000},
    ),
    case("promote_jobs", request=f"POST {QUEUE}/promote-jobs"),
    case(
        "redrive",
        request=f"POST {QUEUE}/redrive",
        sent={"ids": None, "name": None, "reason": None, "limit": 1000},
        answer={"redriven": ["1"]},
        returned=["1"],
    ),
    case(
        "redrive",
        ["1"],
        name="welcome",
        reason="timed out",
        limit=5,
        request=f"POST {QUEUE}/redrive",
        sent={"ids": ["1"], "name": "welcome", "reason": "timed out", "limit": 5},
        answer={"redriven": []},
        returned=[],
    ),
    case(
        "redrive",
        ["1"],
        data=None,
        request=f"POST {QUEUE}/redrive",
        sent={"ids": ["1"], "name": None, "reason": None, "limit": 1000, "data": None},
        answer={"redriven": ["1"]},
        returned=["1"],
    ),
    case(
        "run_scheduler",
        "daily",
        request=f"POST {QUEUE}/schedulers/daily/run",
        answer={"job": {"id": "7"}},
        returned="7",
    ),
    case("probe", request=f"POST {QUEUE}/worker/probe", answer=PROBE, returned=EndpointProbe(**PROBE)),
    case("set_global_concurrency", 5, request=f"PUT {QUEUE}/concurrency", sent={"concurrency": 5}),
    case("get_global_concurrency", request=f"GET {QUEUE}/concurrency", answer={"concurrency": 5}, returned=5),
    case("get_global_concurrency", request=f"GET {QUEUE}/concurrency", answer={"concurrency": None}),
    case("remove_global_concurrency", request=f"DELETE {QUEUE}/concurrency"),
    case(
        "set_global_rate_limit",
        10,
        timedelta(minutes=1),
        request=f"PUT {QUEUE}/rate-limit",
        sent={"max": 10, "duration": 60_000},
    ),
    case(
        "get_global_rate_limit",
        request=f"GET {QUEUE}/rate-limit",
        answer={"rateLimit": {"max": 10, "duration": 5}},
        returned={"max": 10, "duration": 5},
    ),
    case("get_global_rate_limit", request=f"GET {QUEUE}/rate-limit", answer={"rateLimit": None}),
    case("remove_global_rate_limit", request=f"DELETE {QUEUE}/rate-limit"),
    case("rate_limit", timedelta(seconds=2), request=f"PUT {QUEUE}/rate-limited", sent={"duration": 2000}),
    case("rate_limit", 1500, request=f"PUT {QUEUE}/rate-limited", sent={"duration": 1500}),
    case("get_rate_limit_ttl", request=f"GET {QUEUE}/rate-limited", answer={"ttl": 7}, returned=7),
    case("get_rate_limit_ttl", 3, request=f"GET {QUEUE}/rate-limited?maxJobs=3", answer={"ttl": -2}, returned=-2),
    case("remove_rate_limit_key", request=f"DELETE {QUEUE}/rate-limited", answer={"removed": True}, returned=True),
    case(
        "remove_deduplication_key",
        "a/b",
        request=f"DELETE {QUEUE}/deduplication/a%2Fb",
        answer={"removed": False},
        returned=False,
    ),
    case(
        "trim_events",
        10,
        request=f"POST {QUEUE}/trim-events",
        sent={"maxLength": 10},
        answer={"removed": 3},
        returned=3,
    ),
    case("update_job_progress", "42", [1], request=f"PUT {QUEUE}/jobs/42/progress", sent={"progress": [1]}),
    case(
        "add_job_log",
        "42",
        "row",
        request=f"POST {QUEUE}/jobs/42/logs",
        sent={"row": "row", "keepLogs": None},
        answer={"count": 2},
        returned=2,
    ),
    case(
        "add_job_log",
        "42",
        "row",
        5,
        request=f"POST {QUEUE}/jobs/42/logs",
        sent={"row": "row", "keepLogs": 5},
        answer={"count": 2},
        returned=2,
    ),
    case("remove", "42", request=f"DELETE {QUEUE}/jobs/42?removeChildren=true", returned=True),
    case(
        "remove",
        "42",
        remove_children=False,
        request=f"DELETE {QUEUE}/jobs/42?removeChildren=false",
        returned=True,
    ),
]

SCHEDULERS = [
    case(
        "upsert_job_scheduler",
        "daily",
        {
            "pattern": "0 7 * * *",
            "tz": "Europe/Warsaw",
            "start_date": datetime(2030, 1, 1, tzinfo=UTC),
            "end_date": 1_900_000_000_000,
            "limit": 3,
        },
        {
            "name": "report",
            "data": {"x": 1},
            "opts": {"remove_on_complete": True, "backoff": timedelta(seconds=1)},
        },
        request=f"PUT {QUEUE}/schedulers/daily",
        sent={
            "repeat": {
                "pattern": "0 7 * * *",
                "tz": "Europe/Warsaw",
                "startDate": 1_893_456_000_000,
                "endDate": 1_900_000_000_000,
                "limit": 3,
            },
            "template": {"name": "report", "data": {"x": 1}, "opts": {"removeOnComplete": True, "backoff": 1000}},
        },
        answer={"scheduler": SCHEDULER, "job": {"id": "1", "delay": 2}},
        returned=SEEN,
    ),
    case(
        "upsert_job_scheduler",
        "a b",
        {"every": timedelta(minutes=1), "immediately": True, "offset": 5},
        request=f"PUT {QUEUE}/schedulers/a%20b",
        sent={"repeat": {"every": 60_000, "immediately": True, "offset": 5}, "template": {}},
        answer={"scheduler": SCHEDULER, "job": None},
        returned=SEEN,
    ),
    case("get_job_scheduler", "daily", request=f"GET {QUEUE}/schedulers/daily", answer=SCHEDULER, returned=SEEN),
    case(
        "get_job_schedulers",
        1,
        5,
        asc=True,
        request=f"GET {QUEUE}/schedulers?start=1&end=5&asc=true",
        answer={"schedulers": [SCHEDULER], "count": 9},
        returned=[SEEN],
    ),
    case(
        "get_job_schedulers_count",
        request=f"GET {QUEUE}/schedulers?start=0&end=0",
        answer={"schedulers": [SCHEDULER], "count": 9},
        returned=9,
    ),
    case(
        "remove_job_scheduler",
        "daily",
        request=f"DELETE {QUEUE}/schedulers/daily",
        answer={"removed": True},
        returned=True,
    ),
]


@both_kinds
@cases_of(CONTROL + SCHEDULERS)
async def test_a_call_makes_its_request_and_returns_what_the_answer_says(
    kind: Kind, case: Case, server: respx.MockRouter
) -> None:
    assert await observed(queue_of(kind), case, server) == (case.request, case.sent, case.returned)


@both_kinds
async def test_more_jobs_than_one_request_cleans_take_several(kind: Kind, server: respx.MockRouter) -> None:
    route = server.post(f"{QUEUE}/clean")
    pages = [[str(number) for number in range(1000)], [str(number) for number in range(1000, 1500)]]
    route.side_effect = [httpx.Response(200, json={"removed": page}) for page in pages]
    removed = await value_of(queue_of(kind).clean(0, 1500))
    assert (len(removed), route.call_count) == (1500, 2)


@both_kinds
@pytest.mark.parametrize("ids", ["12", 12, {"1": "2"}], ids=["a string", "a number", "a dict"])
async def test_ids_that_are_not_a_list_redrive_no_dead_letters(
    kind: Kind, ids: t.Any, server: respx.MockRouter
) -> None:
    with pytest.raises(ConfigurationError, match=r"\Aredrive takes a list of ids, not "):
        await value_of(queue_of(kind).redrive(ids))
