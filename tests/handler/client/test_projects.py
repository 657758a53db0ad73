"""NextMQ: several projects in one process, their queues and triggers."""

from __future__ import annotations

import typing as t
from datetime import timedelta

import pytest
import respx

from nextmq_handler import AsyncFlowProducer, AsyncQueue, FlowProducer, NextMQ, NotFoundError, Queue, Trigger
from tests.support.client import Case, Kind, both_kinds, case, cases_of, observed, triggers_of, value_of
from tests.support.handler import API_KEY, SECRET, URL

pytestmark = pytest.mark.anyio

TRIGGERS = "/v1/triggers"
TRIGGER = {
    "id": "trg_1",
    "name": None,
    "url": "https://app.example/daily",
    "payload": {"x": 1},
    "repeat": {"every": 60_000},
    "attempts": 3,
    "backoff": 1000,
    "timeout": 1500,
    "isPaused": False,
    "next": 5,
    "lastRun": {"at": 1, "status": 200, "outcome": "completed"},
}
OTHER_URL = f"nextmq://other_key:{SECRET}@other.example/shop"


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda mq: mq.queue("emails"), Queue),
        (lambda mq: mq.async_queue("emails"), AsyncQueue),
        (lambda mq: mq.flow_producer(), FlowProducer),
        (lambda mq: mq.async_flow_producer(), AsyncFlowProducer),
    ],
    ids=["queue", "async_queue", "flow_producer", "async_flow_producer"],
)
def test_a_project_makes_sync_and_async_producers(make: t.Callable[[NextMQ], object], kind: type) -> None:
    assert type(make(NextMQ(URL))) is kind


async def test_two_projects_talk_to_their_own_servers(server: respx.MockRouter) -> None:
    ours = server.get("https://queue.example/v1/queues/emails/counts").respond(200, json={})
    others = server.get("https://other.example/v1/queues/emails/counts").respond(200, json={})
    NextMQ(URL).queue("emails").get_job_counts()
    await NextMQ(OTHER_URL).async_queue("emails").get_job_counts()
    keys = [route.calls.last.request.headers["authorization"] for route in (ours, others)]
    assert keys == [f"Bearer {API_KEY}", "Bearer other_key"]


@both_kinds
async def test_a_project_lists_its_queues(kind: Kind, server: respx.MockRouter) -> None:
    view = {
        "name": "emails",
        "isPaused": True,
        "counts": {},
        "concurrency": {},
        "rateLimit": None,
        "rateLimitTtl": 0,
        "worker": None,
    }
    server.get("/v1/queues").respond(200, json={"queues": [view]})
    mq = NextMQ(URL)
    (queue,) = await value_of(mq.queues() if kind is Queue else mq.aqueues())
    assert (queue.name, queue.is_paused, queue.worker) == ("emails", True, None)


CALLS = [
    case("pause", "trg_1", request=f"POST {TRIGGERS}/trg_1/pause"),
    case("resume", "trg_1", request=f"POST {TRIGGERS}/trg_1/resume"),
    case("fire", "trg_1", request=f"POST {TRIGGERS}/trg_1/fire"),
    case("delete", "trg_1", request=f"DELETE {TRIGGERS}/trg_1", returned=True),
    case(
        "rotate_secret",
        "a/b",
        request=f"POST {TRIGGERS}/a%2Fb/rotate-secret",
        answer={"secret": "whsec_new"},
        returned="whsec_new",
    ),
]


@both_kinds
@cases_of(CALLS)
async def test_a_call_of_triggers_makes_its_request(kind: Kind, case: Case, server: respx.MockRouter) -> None:
    assert await observed(triggers_of(kind), case, server) == (case.request, case.sent, case.returned)


CREATE = [
    case(
        "create",
        "https://app.example/daily",
        repeat={"pattern": "0 7 * * *", "tz": "Europe/Warsaw"},
        request=f"POST {TRIGGERS}",
        sent={
            "url": "https://app.example/daily",
            "payload": None,
            "repeat": {"pattern": "0 7 * * *", "tz": "Europe/Warsaw"},
            "attempts": 1,
        },
    ),
    case(
        "create",
        "https://app.example/daily",
        repeat={"every": 60_000},
        timeout=timedelta(seconds=2),
        request=f"POST {TRIGGERS}",
        sent={
            "url": "https://app.example/daily",
            "payload": None,
            "repeat": {"every": 60_000},
            "attempts": 1,
            "timeout": 2000,
        },
    ),
    case(
        "create",
        "https://app.example/daily",
        {"x": 1},
        repeat={"every": timedelta(minutes=1)},
        name="daily",
        attempts=3,
        backoff={"type": "fixed", "delay": timedelta(seconds=1)},
        timeout=1.5,
        request=f"POST {TRIGGERS}",
        sent={
            "url": "https://app.example/daily",
            "payload": {"x": 1},
            "repeat": {"every": 60_000},
            "attempts": 3,
            "name": "daily",
            "backoff": {"type": "fixed", "delay": 1000},
            "timeout": 1500,
        },
    ),
]


@both_kinds
@cases_of([each._replace(answer={**TRIGGER, "secret": SECRET}) for each in CREATE])
async def test_a_trigger_is_created_in_the_servers_names(kind: Kind, case: Case, server: respx.MockRouter) -> None:
    request, sent, trigger = await observed(triggers_of(kind), case, server)
    assert (request, sent, trigger.secret) == (case.request, case.sent, SECRET)


@both_kinds
async def test_a_trigger_is_as_the_server_described_it(kind: Kind, server: respx.MockRouter) -> None:
    server.get(f"{TRIGGERS}/trg_1").respond(200, json=TRIGGER)
    trigger = await value_of(triggers_of(kind).get("trg_1"))
    assert vars(trigger) == {
        "id": "trg_1",
        "name": None,
        "url": "https://app.example/daily",
        "payload": {"x": 1},
        "repeat": {"every": 60_000},
        "attempts": 3,
        "backoff": 1000,
        "timeout": 1.5,
        "is_paused": False,
        "next": 5,
        "last_run": {"at": 1, "status": 200, "outcome": "completed"},
        "secret": None,
    }


@both_kinds
async def test_all_triggers_are_listed(kind: Kind, server: respx.MockRouter) -> None:
    server.get(TRIGGERS).respond(200, json={"triggers": [TRIGGER]})
    assert [trigger.id for trigger in await value_of(triggers_of(kind).all())] == ["trg_1"]


@both_kinds
@pytest.mark.parametrize(("method", "returned"), [("get", None), ("delete", False)])
async def test_a_trigger_that_does_not_exist_is_not_an_error_if_that_is_an_answer(
    kind: Kind, method: str, returned: t.Any, server: respx.MockRouter
) -> None:
    server.route().respond(404, json={"error": "not_found"})
    assert await value_of(getattr(triggers_of(kind), method)("trg_1")) == returned


@both_kinds
async def test_a_trigger_that_is_not_there_cannot_be_paused(kind: Kind, server: respx.MockRouter) -> None:
    server.route().respond(404, json={"error": "not_found"})
    with pytest.raises(NotFoundError):
        await value_of(triggers_of(kind).pause("trg_1"))


def test_the_repr_of_a_trigger_shows_no_secret() -> None:
    assert repr(Trigger({**TRIGGER, "secret": SECRET})) == "<Trigger trg_1 https://app.example/daily>"


def test_the_repr_of_a_project_shows_no_key() -> None:
    assert repr(NextMQ(URL)) == "<NextMQ>"
