"""/v1/queues/{queue}/schedulers: what it shows, what it refuses."""

from __future__ import annotations

import json
import time
import typing as t
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.rules.scheduling import overdue_by
from nextmq_server.service import Service
from tests.support.api import any_json, one_service, problem_paths, refusal, registration, send

if t.TYPE_CHECKING:
    from nextmq_server.projects.projects import Project

    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

SCHEDULERS = "/v1/queues/emails/schedulers"
REPORT = f"{SCHEDULERS}/report"
HOUR = 3_600_000
HOURLY = {"every": HOUR, "offset": 1}
NEW_YEAR = {"pattern": "0 0 1 1 *", "tz": "Europe/Berlin"}
TEN_YEARS = 10 * 365 * 86_400_000


async def put(
    api: httpx.AsyncClient, repeat: object = HOURLY, template: object = None, path: str = REPORT
) -> t.Any:
    body = {"repeat": repeat} if template is None else {"repeat": repeat, "template": template}
    return (await send(api, "PUT", path, body)).raise_for_status().json()


async def test_a_scheduler_is_shown_as_it_was_made(api: httpx.AsyncClient) -> None:
    repeat = {**NEW_YEAR, "limit": 3, "startDate": 1_000_000, "endDate": 2_090_000_000_000}
    template = {
        "name": "send",
        "data": {"to": "\ud800"},
        "opts": {"attempts": 3, "removeOnComplete": {"count": 5}},
    }
    await put(api, repeat, template)
    shown = (await api.get(REPORT)).json()
    moment = shown.pop("next")
    assert isinstance(moment, int)
    assert shown == {
        **repeat,
        "id": "report",
        "name": "send",
        "every": None,
        "offset": None,
        "iterationCount": 1,
        "last": None,
        "overdueBy": None,
        "template": {"data": template["data"], "opts": template["opts"]},
    }


async def test_the_answer_has_the_scheduler_and_its_next_job(api: httpx.AsyncClient) -> None:
    answer = await put(api)
    next_run = answer["scheduler"]["next"]
    assert answer["scheduler"] == (await api.get(REPORT)).json()
    assert answer["job"]["id"] == f"repeat:report:{next_run}"
    assert 0 <= answer["job"]["delay"] <= HOUR


async def test_the_next_job_is_a_job_like_any_other(api: httpx.AsyncClient) -> None:
    job_id = (await put(api, template={"data": {"n": 1}}))["job"]["id"]
    job = (await api.get(f"/v1/queues/emails/jobs/{job_id}")).json()
    assert (job["name"], job["data"], job["state"], job["repeatJobKey"]) == (
        "report",
        {"n": 1},
        "delayed",
        "report",
    )


async def test_one_that_has_no_name_calls_its_jobs_by_its_id(api: httpx.AsyncClient) -> None:
    assert (await put(api))["scheduler"]["name"] == "report"


async def test_putting_the_same_again_changes_nothing(api: httpx.AsyncClient) -> None:
    first = await put(api, NEW_YEAR, {"data": [1, 0.5], "opts": {"backoff": {"type": "fixed", "delay": 1}}})
    again = await put(api, NEW_YEAR, {"data": [1, 0.5], "opts": {"backoff": {"type": "fixed", "delay": 1}}})
    assert (again["scheduler"], again["job"]["id"]) == (first["scheduler"], first["job"]["id"])


async def test_schedulers_are_listed_by_their_next_run(api: httpx.AsyncClient) -> None:
    for id, start in (("b", 2_000_000_000_000), ("a", 1_999_000_000_000)):
        await put(api, {"every": HOUR, "startDate": start}, path=f"{SCHEDULERS}/{id}")
    page = (await api.get(SCHEDULERS)).json()
    assert ([one["id"] for one in page["schedulers"]], page["count"]) == (["a", "b"], 2)


@pytest.mark.parametrize(
    ("query", "expected"),
    [("asc=false", ["c", "b", "a"]), ("start=1&end=1", ["b"]), ("start=5&end=9", [])],
)
async def test_a_page_of_schedulers_is_what_was_asked_for(
    api: httpx.AsyncClient, query: str, expected: list[str]
) -> None:
    for place, id in enumerate("abc"):
        await put(api, {"every": HOUR, "startDate": 2_000_000_000_000 + place}, path=f"{SCHEDULERS}/{id}")
    page = (await api.get(f"{SCHEDULERS}?{query}")).json()
    assert ([one["id"] for one in page["schedulers"]], page["count"]) == (expected, 3)


@pytest.mark.parametrize("query", ["start=-1", "end=-1", "start=5&end=4", "end=1000", "asc=perhaps"])
async def test_a_page_that_cannot_be_is_refused(api: httpx.AsyncClient, query: str) -> None:
    assert refusal(await api.get(f"{SCHEDULERS}?{query}")) == (422, "invalid_request")


async def test_a_run_now_adds_a_job_and_leaves_the_times(api: httpx.AsyncClient) -> None:
    await put(api, NEW_YEAR, {"name": "send", "data": {"to": 1}, "opts": {"attempts": 3}})
    before = (await api.get(REPORT)).json()
    answer = await api.post(f"{REPORT}/run")
    job = (await api.get(f"/v1/queues/emails/jobs/{answer.json()['job']['id']}")).json()
    assert (answer.status_code, job["name"], job["data"], job["state"]) == (201, "send", {"to": 1}, "waiting")
    assert (job["opts"]["attempts"], (await api.get(REPORT)).json()) == (3, before)


async def test_a_run_now_with_an_idempotency_key_adds_one_job(api: httpx.AsyncClient) -> None:
    await put(api, NEW_YEAR)
    ids = {(await api.post(f"{REPORT}/run", headers={"idempotency-key": "one"})).text for _ in range(3)}
    assert (len(ids), (await api.get("/v1/queues/emails/counts")).json()["waiting"]) == (1, 1)


async def test_a_scheduler_that_is_not_there_does_not_run(api: httpx.AsyncClient) -> None:
    assert refusal(await api.post(f"{REPORT}/run")) == (404, "not_found")


FAULTY: dict[str, tuple[str, int]] = {
    "an option that is not known": ('{"tag":1180591620717411303424}', 201),
    "no object": ("[]", 201),
    "an option of one job": ('{"delay":"soon","parent":{"id":"9"},"deduplication":[1]}', 201),
    "no priority": ('{"priority":[]}', 409),
    "no attempts": ('{"attempts":0}', 409),
}


@pytest.mark.parametrize(("opts", "status"), FAULTY.values(), ids=FAULTY)
async def test_whatever_another_client_wrote_as_template_no_server_fails(
    api: httpx.AsyncClient, service: Service, opts: str, status: int
) -> None:
    await put(api, NEW_YEAR)
    key = f"{service.jobs.scripts('emails').keys['repeat']}:report"
    await service._hub.connection.execute("HSET", key, "opts", opts)
    assert (await api.post(f"{REPORT}/run")).status_code == status


async def test_the_job_that_was_started_last_is_shown_until_the_scheduler_goes(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    await put(api, {"every": HOUR})
    await send(api, "PUT", "/v1/queues/emails/worker", app.registration())

    async def last() -> dict[str, t.Any]:
        found: dict[str, t.Any] = (await api.get(REPORT)).json()["last"] or {}
        return found

    async def has_completed() -> bool:
        return (await last()).get("state") == "completed"

    await wait_until(has_completed)
    shown = await last()
    path = f"/v1/queues/emails/jobs/{quote(shown['jobId'], safe='')}"
    job = (await api.get(path)).json()
    assert (shown["finishedOn"], job["repeatJobKey"]) == (job["finishedOn"], "report")
    await api.delete(path)
    assert await last() == {"jobId": shown["jobId"], "state": "unknown", "finishedOn": None}
    await api.delete(REPORT)
    await put(api, NEW_YEAR)
    assert await last() == {}


async def test_a_run_that_does_not_start_is_overdue(api: httpx.AsyncClient, service: Service) -> None:
    await put(api, NEW_YEAR)
    scripts, due = service.jobs.scripts("emails"), 1_790_000_000_000
    before = (await api.get(REPORT)).json()["next"]
    execute = service._hub.connection.execute
    await execute("RENAME", scripts.key(f"repeat:report:{before}"), scripts.key(f"repeat:report:{due}"))
    await execute("ZADD", scripts.keys["repeat"], due, "report")
    now = round(time.time() * 1000)
    assert abs((await api.get(REPORT)).json()["overdueBy"] - (now - due)) < 10_000


@pytest.mark.parametrize(("due", "expected"), [(None, None), (0, 60_000), (30_000, None), (29_999, 30_001)])
def test_a_run_is_overdue_after_half_a_minute(due: int | None, expected: int | None) -> None:
    assert overdue_by(due, 60_000) == expected


async def test_removing_a_scheduler_tells_whether_there_was_one(api: httpx.AsyncClient) -> None:
    await put(api)
    answers = [(await api.delete(REPORT)).json() for _ in range(2)]
    assert answers == [{"removed": True}, {"removed": False}]


async def test_a_scheduler_that_is_not_there_is_not_found(api: httpx.AsyncClient) -> None:
    assert refusal(await api.get(REPORT)) == (404, "not_found")


async def test_the_queue_of_a_scheduler_is_among_the_queues(api: httpx.AsyncClient) -> None:
    await put(api)
    queues = (await api.get("/v1/queues")).json()["queues"]
    assert [queue["name"] for queue in queues] == ["emails"]


@pytest.mark.parametrize(
    "id", ["a%2Fb", "%C3%A4%20b", "x" * 256, "..%2F"], ids=["slash", "space", "longest", "dots"]
)
async def test_an_id_may_hold_nearly_anything(api: httpx.AsyncClient, id: str) -> None:
    made = await put(api, path=f"{SCHEDULERS}/{id}")
    assert (await api.get(f"{SCHEDULERS}/{id}")).json() == made["scheduler"]


@pytest.mark.parametrize("id", ["a%3Ab", "x" * 257], ids=["colon", "too long"])
async def test_an_id_that_cannot_be_is_refused(api: httpx.AsyncClient, id: str) -> None:
    assert refusal(await send(api, "PUT", f"{SCHEDULERS}/{id}", {"repeat": HOURLY})) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("repeat", "path"),
    [
        ({"every": 0}, "repeat.every"),
        ({"every": TEN_YEARS + 1}, "repeat.every"),
        ({"every": 1.5}, "repeat.every"),
        ({"every": "1h"}, "repeat.every"),
        ({"every": True}, "repeat.every"),
        ({"every": HOUR, "limit": 0}, "repeat.limit"),
        ({"every": HOUR, "limit": 10**13}, "repeat.limit"),
        ({"every": HOUR, "offset": -1}, "repeat.offset"),
        ({"every": HOUR, "endDate": 10**13}, "repeat.endDate"),
        ({"every": HOUR, "startDate": "tomorrow"}, "repeat.startDate"),
        ({"every": HOUR, "immediatly": True}, "repeat.immediatly"),
        ({"pattern": ""}, "repeat.pattern"),
        ({"pattern": "1," * 97 + "1 * * * *"}, "repeat.pattern"),
        ({**NEW_YEAR, "tz": ""}, "repeat.tz"),
        ({**NEW_YEAR, "tz": "x" * 65}, "repeat.tz"),
        ({}, "repeat"),
        ({**NEW_YEAR, "every": HOUR}, "repeat"),
        ({"every": HOUR, "tz": "UTC"}, "repeat"),
        ({"every": HOUR, "offset": HOUR}, "repeat"),
        ({**NEW_YEAR, "offset": 1}, "repeat"),
        ({"every": HOUR, "immediately": True, "startDate": 1}, "repeat"),
        ({"every": HOUR, "startDate": 2, "endDate": 1}, "repeat"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
async def test_times_that_cannot_be_are_refused(api: httpx.AsyncClient, repeat: object, path: str) -> None:
    assert problem_paths(await send(api, "PUT", REPORT, {"repeat": repeat})) == {path}


@pytest.mark.parametrize(
    ("repeat", "reason"),
    [
        ({"pattern": "every day"}, '"every day" is not a cron pattern'),
        ({"pattern": "* * * * * * *"}, "use five fields"),
        ({"pattern": "0 0 31 2 *"}, "never comes"),
        ({"pattern": "61 * * * *"}, "is not a cron pattern"),
        ({**NEW_YEAR, "tz": "Berlin"}, '"Berlin" is not a time zone: use an IANA name'),
        ({**NEW_YEAR, "tz": "../../etc/passwd"}, "is not a time zone"),
        ({"every": HOUR, "endDate": 1}, "endDate: the schedule has no run before it"),
    ],
    ids=["words", "seven fields", "no such day", "no such minute", "no zone", "a path", "an end that is over"],
)
async def test_times_that_never_come_are_refused_with_the_reason(
    api: httpx.AsyncClient, repeat: object, reason: str
) -> None:
    answer = await send(api, "PUT", REPORT, {"repeat": repeat})
    assert refusal(answer) == (422, "invalid_request")
    assert reason in answer.json()["message"]


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ({"name": ""}, "template.name"),
        ({"name": "\ud800"}, "template.name"),
        ({"data": "x" * 1024 * 1024}, "template.data"),
        ({"opts": {"attempts": 0}}, "template.opts.attempts"),
        ({"opts": {"atempts": 3}}, "template.opts.atempts"),
        ({"opts": {"delay": 5}}, "template.opts"),
        ({"opts": {"jobId": "x"}}, "template.opts"),
        ({"opts": {"deduplication": {"id": "x"}}}, "template.opts"),
        ({"opts": {"parent": {"id": "1", "queue": "q"}}}, "template.opts"),
        ({"opts": {"failParentOnFailure": True}}, "template.opts"),
        ({"opts": {"telemetry": {"metadata": "\ud800"}}}, "template.opts.telemetry.metadata"),
        ({"id": "x"}, "template.id"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
async def test_a_template_that_cannot_be_is_refused(api: httpx.AsyncClient, template: object, path: str) -> None:
    answer = await send(api, "PUT", REPORT, {"repeat": HOURLY, "template": template})
    assert problem_paths(answer) == {path}


async def test_what_is_refused_leaves_no_scheduler(api: httpx.AsyncClient) -> None:
    await send(api, "PUT", REPORT, {"repeat": {"pattern": "every day"}})
    assert (await api.get(SCHEDULERS)).json() == {"schedulers": [], "count": 0}


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_a_scheduler_is_for_those_who_have_the_key(api: httpx.AsyncClient, method: str) -> None:
    headers = {"authorization": "Bearer nobody"}
    assert refusal(await api.request(method, REPORT, headers=headers)) == (401, "unauthorized")


@one_service
@given(body=any_json | st.fixed_dictionaries({"repeat": any_json, "template": any_json}))
async def test_whatever_the_body_is_the_answer_is_one_of_ours(api: httpx.AsyncClient, body: object) -> None:
    answer = await send(api, "PUT", REPORT, body)
    assert answer.is_success or refusal(answer)[0] in (400, 422)


@one_service
@given(pattern=st.text(max_size=210), tz=st.none() | st.text(max_size=70))
async def test_whatever_the_pattern_is_the_answer_is_one_of_ours(
    api: httpx.AsyncClient, pattern: str, tz: str | None
) -> None:
    answer = await send(api, "PUT", REPORT, {"repeat": {"pattern": pattern, "tz": tz}})
    assert answer.is_success or refusal(answer) == (422, "invalid_request")


async def test_a_scheduler_that_somebody_makes_stays_when_an_app_registers_without_it(
    api: httpx.AsyncClient, project: Project
) -> None:
    await put(api)
    (await api.put("/v1/queues/emails/worker", json=registration(project))).raise_for_status()
    assert (await api.get(REPORT)).is_success


async def test_a_scheduler_that_somebody_takes_over_stays_when_its_app_has_it_no_more(
    api: httpx.AsyncClient, service: Service, project: Project
) -> None:
    worker = "/v1/queues/emails/worker"
    (await api.put(worker, json=registration(project, schedules=[{"id": "report", **HOURLY}]))).raise_for_status()
    await put(api, NEW_YEAR)
    (await api.put(worker, json=registration(project))).raise_for_status()
    assert (await service.schedulers.get("emails", "report")).view["pattern"] == NEW_YEAR["pattern"]
