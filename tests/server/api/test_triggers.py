"""/v1/triggers: create, show, change and delete triggers."""

from __future__ import annotations

import time
import typing as t

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.service import Service
from nextmq_server.triggers import records
from nextmq_server.triggers.schedules import QUEUE
from tests.support.api import any_json, one_service, problem_paths, refusal, send
from tests.support.rest_api import rest_api
from tests.support.triggering import HOUR, PAYLOAD, TRIGGERS, Triggering, trigger

if t.TYPE_CHECKING:
    from ..conftest import Serve, WaitUntil

pytestmark = pytest.mark.anyio

URL = "https://a.example/hooks"
TEN_YEARS = 10 * 365 * 86_400_000

WRONG: dict[str, list[t.Any]] = {
    "name": ["", "x" * 257, 5, "\ud800"],
    "url": [
        None,
        5,
        "",
        "a.example",
        "ftp://a.example/",
        "http://a.example/",
        "http://10.0.0.1/",
        "http://127.0.0.1.example/",
        "https://user@a.example/",
        "https://user:secret@a.example/",
        "https:///hooks",
        "https://a.example:65536/",
        "https://a.example/a b",
        "https://a.example/\n",
        "https://a.example/\ud800",
        "https://a.example/" + "x" * 2048,
    ],
    "payload": ["x" * (256 * 1024 - 1), "✓" * (256 * 1024 // 3 + 1)],
    "repeat": [
        None,
        {},
        "1h",
        {"every": 1000, "pattern": "* * * * *"},
        {"every": 1000, "tz": "Europe/Berlin"},
        {"tz": "Europe/Berlin"},
        {"pattern": "every day"},
        {"pattern": "61 * * * *"},
        {"pattern": "0 0 30 2 *"},
        {"pattern": "* * * * *", "tz": "Mars/Olympus"},
        {"pattern": "* * * * *", "tz": "../../etc/passwd"},
    ],
    "repeat.every": [{"every": every} for every in (0, -1, 999, TEN_YEARS + 1, 2**70, 1000.5, "1000", True)],
    "repeat.pattern": [{"pattern": pattern} for pattern in ("", 5, "* " * 200)],
    "repeat.limit": [{"every": 1000, "limit": 5}],
    "attempts": [0, 101, "3", True, None],
    "backoff": [-1, "exponential", {"type": "fixed"}, {"type": "custom", "delay": 1}, {"type": "slow"}],
    "timeout": [0, -1, 600_001, 1.5, "30", None],
    "secret": ["whsec_" + "x" * 32],
}

RIGHT: dict[str, list[t.Any]] = {
    "name": [None, "x", "x" * 256, "żółć"],
    "url": ["http://localhost:1/", "http://127.0.0.1/", "http://[::1]:1/", "https://a.example:8443/?a=b#c"],
    "repeat": [
        {"every": 1000},
        {"every": TEN_YEARS},
        {"pattern": "0 9 * * MON-FRI"},
        {"pattern": "*/10 * * * * *", "tz": "Europe/Berlin"},
    ],
    "attempts": [1, 100],
    "backoff": [None, 0, 1000, {"type": "exponential", "delay": 1000, "jitter": 0.5}],
    "timeout": [1, 600_000],
}


def cases(table: dict[str, list[t.Any]]) -> list[t.Any]:
    return [
        pytest.param(field, value, id=f"{field}-{number}")
        for field, values in table.items()
        for number, value in enumerate(values)
    ]


@pytest.fixture
async def triggers(api: httpx.AsyncClient, serve: Serve, wait_until: WaitUntil) -> Triggering:
    return await Triggering.open(api, serve, wait_until)


async def test_what_is_created_is_shown_with_its_defaults(triggers: Triggering) -> None:
    created = await triggers.create()
    for field in ("id", "secret", "next"):
        del created[field]
    assert created == {
        "name": None,
        "url": triggers.receiver.url,
        "payload": PAYLOAD,
        "repeat": {"every": HOUR},
        "attempts": 1,
        "backoff": None,
        "timeout": 30_000,
        "isPaused": False,
        "lastRun": None,
    }


@pytest.mark.parametrize(("field", "value"), cases(RIGHT))
async def test_what_is_within_its_limits_is_kept(triggers: Triggering, field: str, value: t.Any) -> None:
    created = await triggers.create(**{field: value})
    assert (await triggers.get(created["id"]))[field] == value


@pytest.mark.parametrize(("field", "value"), cases(WRONG))
async def test_what_is_not_is_refused(api: httpx.AsyncClient, field: str, value: t.Any) -> None:
    member = field.partition(".")[0]
    paths = problem_paths(await send(api, "POST", TRIGGERS, trigger(URL) | {member: value}))
    assert {".".join(path.split(".")[: len(field.split("."))]) for path in paths} == {field}


@pytest.mark.parametrize("field", ["url", "payload", "repeat"])
async def test_what_a_trigger_must_have_is_asked_for(api: httpx.AsyncClient, field: str) -> None:
    body = trigger(URL)
    del body[field]
    assert problem_paths(await send(api, "POST", TRIGGERS, body)) == {field}


@one_service
@given(body=any_json | st.fixed_dictionaries({}, optional=dict.fromkeys(trigger(URL), any_json)))
async def test_whatever_is_sent_the_answer_is_no_server_error(api: httpx.AsyncClient, body: t.Any) -> None:
    assert (await send(api, "POST", TRIGGERS, body)).status_code in (201, 400, 422)


async def test_the_first_run_of_an_interval_comes_one_interval_later(triggers: Triggering) -> None:
    before = int(time.time() * 1000)
    created = await triggers.create()
    assert before + HOUR <= created["next"] <= time.time() * 1000 + HOUR


async def test_the_list_shows_each_trigger_as_it_is(triggers: Triggering, api: httpx.AsyncClient) -> None:
    ids = [(await triggers.create(name=name))["id"] for name in "cab"]
    listed = {one["id"]: one for one in (await api.get(TRIGGERS)).json()["triggers"]}
    assert listed == {id: await triggers.get(id) for id in ids}


@pytest.mark.parametrize("action", ["get", "get runs", "pause", "resume", "fire"])
async def test_no_answer_but_that_of_the_creation_shows_the_secret(
    triggers: Triggering, service: Service, api: httpx.AsyncClient, action: str
) -> None:
    created = await triggers.create()
    await service.queues.pause(QUEUE)
    path = f"{TRIGGERS}/{created['id']}"
    calls = {"get": ("GET", path), "get runs": ("GET", f"{path}/runs")}
    method, path = calls.get(action, ("POST", f"{path}/{action}"))
    answer = await api.request(method, path)
    assert answer.status_code == 200
    assert "whsec_" not in answer.text


async def test_the_list_shows_no_secret(triggers: Triggering, api: httpx.AsyncClient) -> None:
    await triggers.create()
    assert "whsec_" not in (await api.get(TRIGGERS)).text


async def test_a_rotation_shows_another_secret(triggers: Triggering) -> None:
    created = await triggers.create()
    rotated = await triggers.post(created["id"], "rotate-secret")
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != created["secret"]


async def test_a_paused_trigger_has_no_next_run(triggers: Triggering) -> None:
    created = await triggers.create()
    await triggers.post(created["id"], "pause")
    shown = await triggers.get(created["id"])
    assert (shown["isPaused"], shown["next"]) == (True, None)


async def test_a_resumed_trigger_goes_on_in_step(triggers: Triggering) -> None:
    created = await triggers.create()
    await triggers.post(created["id"], "pause")
    await triggers.post(created["id"], "resume")
    shown = await triggers.get(created["id"])
    assert (shown["isPaused"], shown["next"]) == (False, created["next"])


@pytest.mark.parametrize("action", ["resume", "fire", "rotate-secret"])
async def test_the_schedule_stays_as_it_is_where_it_is_not_meant(
    triggers: Triggering, service: Service, action: str
) -> None:
    created = await triggers.create()
    await service.queues.pause(QUEUE)
    await triggers.post(created["id"], action)
    assert (await triggers.get(created["id"]))["next"] == created["next"]


async def test_a_second_pause_changes_nothing(triggers: Triggering) -> None:
    created = await triggers.create()
    for _ in range(2):
        await triggers.post(created["id"], "pause")
    assert (await triggers.get(created["id"]))["isPaused"]


async def test_the_last_run_is_shown_with_the_trigger(triggers: Triggering) -> None:
    created = await triggers.fired()
    run = await triggers.last_run(created["id"])
    assert created["next"] - HOUR <= run.pop("at") <= time.time() * 1000
    assert run.pop("durationMs") >= 0
    assert run == {"status": 204, "outcome": "succeeded", "attempt": 1, "error": None}


async def test_a_trigger_that_was_deleted_is_not_found(triggers: Triggering, api: httpx.AsyncClient) -> None:
    created = await triggers.create()
    await triggers.delete(created["id"])
    assert refusal(await api.get(f"{TRIGGERS}/{created['id']}")) == (404, "not_found")


@pytest.mark.parametrize("id", ["trg_nobody", "a%2Fb", "@triggers", "%00", "x" * 1024])
@pytest.mark.parametrize(
    "call", ["GET ", "DELETE ", "GET /runs", "POST /pause", "POST /resume", "POST /fire", "POST /rotate-secret"]
)
async def test_a_trigger_that_is_not_there_is_not_found(api: httpx.AsyncClient, call: str, id: str) -> None:
    method, _, action = call.partition(" ")
    assert refusal(await api.request(method, f"{TRIGGERS}/{id}{action}")) == (404, "not_found")


async def test_a_project_has_a_bounded_number_of_triggers(
    triggers: Triggering, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_TRIGGERS", 2)
    for _ in range(2):
        await triggers.create()
    assert refusal(await send(api, "POST", TRIGGERS, trigger(URL))) == (422, "too_many_triggers")


async def test_the_triggers_of_a_project_are_bounded_in_size(
    triggers: Triggering, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_TOTAL_SIZE", 150_000)
    payload = "x" * 100_000
    await triggers.create(payload=payload)
    answer = await send(api, "POST", TRIGGERS, trigger(URL, payload=payload))
    assert refusal(answer) == (422, "too_many_triggers")


@pytest.mark.parametrize(
    "path", [f"/v1/queues/{QUEUE}", f"/v1/queues/{QUEUE}/jobs", "/v1/queues/%40triggers/jobs"]
)
async def test_no_route_of_queues_reaches_the_queue_of_the_triggers(
    triggers: Triggering, api: httpx.AsyncClient, path: str
) -> None:
    await triggers.create()
    assert refusal(await api.get(path)) == (422, "invalid_queue_name")


async def test_the_queue_of_the_triggers_is_not_listed(triggers: Triggering, api: httpx.AsyncClient) -> None:
    await triggers.fired()
    assert (await api.get("/v1/queues")).json() == {"queues": []}


async def test_another_project_sees_no_trigger(
    valkey: EmbeddedValkey, triggers: Triggering, project: Project
) -> None:
    created = await triggers.create()
    fresh = new_project(f"{project.name}-b")
    b = Project(fresh.name, fresh.api_keys, fresh.webhook_secrets, prefix=f"{project.prefix}b")
    service = Service(b, valkey.url, egress=EgressRules.for_development())
    await service.start()
    headers = {"authorization": f"Bearer {b.api_key}"}
    transport = httpx.ASGITransport(rest_api(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://b.example", headers=headers) as client:
        listed = (await client.get(TRIGGERS)).json()
        found = await client.get(f"{TRIGGERS}/{created['id']}")
    await service.stop(grace=0)
    assert (listed, refusal(found)) == ({"triggers": []}, (404, "not_found"))
