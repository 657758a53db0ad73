"""POST /v1/queues/{queue}/redrive: dead letters become jobs again."""

from __future__ import annotations

import asyncio
import typing as t

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.rules.bodies import RedriveBody
from nextmq_server.engine.queues.redrive import Redriver
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.api import JOBS, WORKER, any_json, one_service, problem_paths, registration, send
from tests.support.redriving import DLQ, LETTER, REDRIVE, add_letter, jobs, only_job, redrive

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

NO_LETTERS: dict[str, t.Any] = {
    "null": None,
    "a text": "x",
    "a list": [LETTER],
    "an empty object": {},
    "of no queue": {**LETTER, "queue": "bull:emails"},
    "of its own queue": {**LETTER, "queue": "emails-dlq"},
    "options that are none": {**LETTER, "opts": []},
    "a priority that is none": {**LETTER, "opts": {"priority": "high"}},
    "a priority below zero": {**LETTER, "opts": {"priority": -1}},
    "a priority over the highest": {**LETTER, "opts": {"priority": 2**21}},
    "telemetry that is none": {**LETTER, "opts": {"telemetry": "x"}},
    "an option that is no Unicode": {**LETTER, "opts": {"tag": "\ud800"}},
    "an option over 64 bits": {**LETTER, "opts": {"attempts": 2**70}},
    "a name that is no Unicode": {**LETTER, "name": "\ud800"},
    "an id that is no Unicode": {**LETTER, "id": "\ud800"},
}


async def test_a_job_that_failed_for_good_runs_again(
    api: httpx.AsyncClient, service: Service, project: Project, app: App, wait_until: WaitUntil
) -> None:
    app.outcome = {"outcome": "failed", "error": {"name": "Error", "message": "", "stack": ""}}
    sent = registration(project, url=app.url, options={"deadLetter": "emails-dlq"})
    (await api.put(WORKER, json=sent)).raise_for_status()
    await api.post(JOBS, json={"name": "welcome", "data": {"to": 1}, "opts": {"removeOnFail": True}})

    async def has(queue: str, state: str) -> bool:
        return bool((await service.queues.counts(queue))[state])

    await wait_until(lambda: has("emails-dlq", "waiting"))
    app.outcome = {"outcome": "completed", "returnValue": "sent"}
    assert len(await redrive(api)) == 1
    await wait_until(lambda: has("emails", "completed"))
    job = await only_job(api)
    assert (job["data"], job["returnValue"], await jobs(api, f"{DLQ}/jobs")) == ({"to": 1}, "sent", [])


async def test_a_redriven_letter_is_gone(api: httpx.AsyncClient) -> None:
    letter_id = await add_letter(api)
    assert await redrive(api) == [letter_id]
    assert await jobs(api, f"{DLQ}/jobs") == []


@pytest.mark.parametrize("data", [{"to": "b"}, None])
async def test_a_letter_goes_back_with_new_data(api: httpx.AsyncClient, data: object) -> None:
    letter_id = await add_letter(api)
    await redrive(api, ids=[letter_id], data=data)
    assert (await only_job(api))["data"] == data


@pytest.mark.parametrize("wanted", [{}, {"ids": []}, {"ids": ["a", "b"]}, {"name": "welcome"}])
async def test_new_data_is_for_one_letter_only(api: httpx.AsyncClient, wanted: dict[str, t.Any]) -> None:
    await add_letter(api)
    assert problem_paths(await api.post(REDRIVE, json={**wanted, "data": 1})) == {""}
    assert len(await jobs(api, f"{DLQ}/jobs")) == 1


async def test_letters_go_back_in_the_order_in_which_they_came(api: httpx.AsyncClient) -> None:
    ids = [await add_letter(api, {**LETTER, "data": number}) for number in range(3)]
    assert await redrive(api) == ids
    assert [job["data"] for job in await jobs(api)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["a", "b", "c"]),
        ({"ids": None, "name": None, "reason": None}, ["a", "b", "c"]),
        ({"ids": ["c", "a"]}, ["c", "a"]),
        ({"ids": ["a", "a", "x"]}, ["a"]),
        ({"ids": []}, []),
        ({"ids": ["meta", "id", "wait", "events", "a:lock", "1"]}, []),
        ({"name": "welcome"}, ["a", "b"]),
        ({"name": "Welcome"}, []),
        ({"reason": "Value"}, ["a", "c"]),
        ({"reason": "value"}, []),
        ({"reason": "ValueError", "name": "bye"}, ["c"]),
        ({"ids": ["a", "b"], "reason": "Key"}, ["b"]),
        ({"limit": 2}, ["a", "b"]),
        ({"limit": 1, "ids": ["x", "b", "c"]}, ["b"]),
        ({"limit": 1, "name": "bye"}, ["c"]),
    ],
    ids=repr,
)
async def test_only_the_wanted_letters_go_back(
    api: httpx.AsyncClient, wanted: dict[str, t.Any], found: list[str]
) -> None:
    await add_letter(api, {**LETTER, "reason": "ValueError: no"}, jobId="a")
    await add_letter(api, {**LETTER, "reason": "KeyError: no"}, jobId="b")
    await add_letter(api, {**LETTER, "reason": "ValueError: no", "name": "bye"}, jobId="c")
    assert await redrive(api, **wanted) == found


async def test_the_letters_that_are_not_wanted_stay(api: httpx.AsyncClient) -> None:
    stays, goes = await add_letter(api), await add_letter(api, {**LETTER, "name": "bye"})
    assert await redrive(api, name="bye") == [goes]
    assert [job["id"] for job in await jobs(api, f"{DLQ}/jobs")] == [stays]


async def test_wanted_letters_are_found_between_many_others(api: httpx.AsyncClient) -> None:
    names = ["bye" if number % 2 else "welcome" for number in range(450)]
    bulk = [{"name": name, "data": {**LETTER, "name": name}} for name in names]
    added = (await api.post(f"{DLQ}/jobs/bulk", json={"jobs": bulk})).raise_for_status().json()["jobs"]
    wanted = [job["id"] for job, name in zip(added, names, strict=True) if name == "bye"]
    assert await redrive(api, name="bye") == wanted
    assert len(await jobs(api, f"{DLQ}/jobs")) == 450 - len(wanted)


@pytest.mark.parametrize(
    "opts", [{}, {"delay": 3_600_000}, {"priority": 5}], ids=["waits", "delayed", "prioritized"]
)
async def test_a_letter_goes_back_whatever_it_waits_for(api: httpx.AsyncClient, opts: dict[str, t.Any]) -> None:
    letter_id = await add_letter(api, **opts)
    assert await redrive(api) == [letter_id]


async def test_a_letter_of_a_paused_queue_goes_back(api: httpx.AsyncClient) -> None:
    await api.post(f"{DLQ}/pause")
    letter_id = await add_letter(api)
    assert await redrive(api) == [letter_id]


@pytest.mark.parametrize("outcome", ["completed", "failed"])
async def test_a_letter_that_a_worker_has_seen_goes_back(
    api: httpx.AsyncClient, service: Service, project: Project, app: App, wait_until: WaitUntil, outcome: str
) -> None:
    app.outcome = {"outcome": outcome}
    sent = registration(project, url=app.url.replace("emails", "emails-dlq"))
    await api.put(f"{DLQ}/worker", json=sent)
    letter_id = await add_letter(api)

    async def is_seen() -> bool:
        return bool((await service.queues.counts("emails-dlq"))[outcome])

    await wait_until(is_seen)
    assert await redrive(api) == [letter_id]


@pytest.mark.parametrize("by_id", [True, False], ids=["named", "not named"])
async def test_a_letter_that_a_worker_holds_stays(
    api: httpx.AsyncClient, project: Project, app: App, wait_until: WaitUntil, by_id: bool
) -> None:
    app.gate.clear()
    await api.put(f"{DLQ}/worker", json=registration(project, url=app.url))
    letter_id = await add_letter(api)
    await wait_until(lambda: app.deliveries)
    redriven = await redrive(api, ids=[letter_id] if by_id else None)
    app.gate.set()
    assert (redriven, await jobs(api)) == ([], [])


async def test_a_letter_that_stalled_in_a_worker_stays(api: httpx.AsyncClient, service: Service) -> None:
    letter_id = await add_letter(api)
    scripts = service.jobs.scripts("emails-dlq")
    await scripts.connection.execute("LMOVE", scripts.keys["wait"], scripts.keys["active"], "LEFT", "LEFT")
    assert (await redrive(api, ids=[letter_id]), await jobs(api)) == ([], [])


async def test_a_letter_that_is_locked_stays(api: httpx.AsyncClient, service: Service) -> None:
    letter_id = await add_letter(api)
    scripts = service.jobs.scripts("emails-dlq")
    await scripts.connection.execute("SET", scripts.key(letter_id, "lock"), "a worker")
    assert (await redrive(api, ids=[letter_id]), await jobs(api)) == ([], [])


@pytest.mark.parametrize("change", ["is mended", "is removed"])
async def test_a_letter_that_changes_after_it_was_read_stays_as_it_is(
    api: httpx.AsyncClient, service: Service, change: str
) -> None:
    letter_id = await add_letter(api)

    async def change_it(queues: set[str]) -> None:
        if change == "is mended":
            await service.jobs.update_data("emails-dlq", letter_id, {**LETTER, "data": "mended"})
        else:
            await service.jobs.remove("emails-dlq", letter_id, with_children=True)

    redriver = Redriver(service.jobs, note=change_it)
    assert await redriver.redrive("emails-dlq", RedriveBody(), now=1) == {}
    assert await jobs(api) == []


async def test_a_letter_that_waits_for_children_stays(api: httpx.AsyncClient, service: Service) -> None:
    parent = service.jobs.new("emails-dlq", "welcome", LETTER, {"jobId": "p"}, now=1, is_parent=True)
    await service.add([parent])
    assert (await redrive(api, ids=["p"]), await jobs(api)) == ([], [])


@pytest.mark.parametrize("data", NO_LETTERS.values(), ids=NO_LETTERS)
async def test_what_is_no_dead_letter_is_left_alone(api: httpx.AsyncClient, data: object) -> None:
    body = {"name": "welcome", "data": data}
    other = (await send(api, "POST", f"{DLQ}/jobs", body)).raise_for_status().json()["id"]
    letter_id = await add_letter(api)
    assert await redrive(api) == [letter_id]
    assert [job["id"] for job in await jobs(api, f"{DLQ}/jobs")] == [other]


async def test_a_letter_that_was_mended_goes_back_as_it_is_now(api: httpx.AsyncClient) -> None:
    letter_id = await add_letter(api)
    mended = {**LETTER, "data": {"to": "right"}}
    (await api.put(f"{DLQ}/jobs/{letter_id}/data", json={"data": mended})).raise_for_status()
    await redrive(api)
    assert (await only_job(api))["data"] == {"to": "right"}


async def test_who_redrives_at_the_same_time_redrives_no_letter_twice(api: httpx.AsyncClient) -> None:
    bulk = [{"name": "welcome", "data": {**LETTER, "data": number}} for number in range(60)]
    await api.post(f"{DLQ}/jobs/bulk", json={"jobs": bulk})
    redriven = await asyncio.gather(*(redrive(api) for _ in range(4)))
    assert sorted((id for ids in redriven for id in ids), key=int) == [str(number) for number in range(1, 61)]
    assert sorted(job["data"] for job in await jobs(api)) == list(range(60))


async def test_at_every_moment_there_is_the_letter_or_the_job(api: httpx.AsyncClient, service: Service) -> None:
    bulk = [{"name": "welcome", "data": {**LETTER, "id": f"order-{number}"}} for number in range(50)]
    added = (await api.post(f"{DLQ}/jobs/bulk", json={"jobs": bulk})).json()["jobs"]
    source, target = service.jobs.scripts("emails-dlq"), service.jobs.scripts("emails")
    pairs = [(source.key(job["id"]), target.key(f"order-{number}")) for number, job in enumerate(added)]
    redriving = asyncio.create_task(redrive(api))
    seen: set[int] = set()
    while not redriving.done():
        for pair in pairs:
            seen.add(await source.connection.execute("EXISTS", *pair))
    assert (len(await redriving), seen) == (50, {1})


async def test_the_queue_that_letters_go_back_to_is_one_of_the_projects(api: httpx.AsyncClient) -> None:
    await add_letter(api, {**LETTER, "queue": "reports"})
    await redrive(api)
    names = [queue["name"] for queue in (await api.get("/v1/queues")).json()["queues"]]
    assert names == ["emails-dlq", "reports"]


async def test_a_queue_without_letters_redrives_none(api: httpx.AsyncClient) -> None:
    assert await redrive(api) == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"ids": "a"}, "ids"),
        ({"ids": [1]}, "ids.0"),
        ({"ids": [""]}, "ids.0"),
        ({"ids": ["x" * 1025]}, "ids.0"),
        ({"ids": ["a"] * 1001}, "ids"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 4097}, "reason"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": None}, "limit"),
        ({"state": "failed"}, "state"),
        ([], ""),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_wrong_body_is_refused_and_the_member_named(
    api: httpx.AsyncClient, body: object, path: str
) -> None:
    assert problem_paths(await send(api, "POST", REDRIVE, body)) == {path}


@one_service
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(LETTER, any_json)))
async def test_whatever_is_in_the_queue_the_answer_is_no_5xx(
    api: httpx.AsyncClient, members: dict[str, t.Any]
) -> None:
    answer = await send(api, "POST", f"{DLQ}/jobs", {"name": "welcome", "data": {**LETTER, **members}})
    assert answer.status_code in (201, 400, 422), answer.text
    assert (await send(api, "POST", REDRIVE, {})).status_code == 200


@one_service
@given(any_json)
async def test_whatever_the_body_is_the_answer_to_a_redrive_is_no_5xx(
    api: httpx.AsyncClient, body: object
) -> None:
    assert not (await send(api, "POST", REDRIVE, body)).is_server_error
