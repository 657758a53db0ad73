"""GET /v1/search: find jobs by a filter."""

from __future__ import annotations

import asyncio
import dataclasses
import typing as t

import httpx
import pytest

from nextmq_handler.rules.search.filters import parse_filter
from nextmq_handler.rules.search.redaction import Redaction
from nextmq_server import shares
from nextmq_server.engine.queues.search import scanning, searching, walks
from nextmq_server.projects.projects import Project
from nextmq_server.projects.roles import ApiKey, Role
from nextmq_server.service import Service
from nextmq_server.shares import SearchTurns
from tests.support.api import JOBS, problem_paths, refusal, send
from tests.support.searching import EPOCH, put, search_all

pytestmark = pytest.mark.anyio

SEARCH = "/v1/search"
STATES = {
    "failed": "failed",
    "completed": "completed",
    "wait": "waiting",
    "paused": "waiting",
    "active": "active",
    "prioritized": "prioritized",
    "delayed": "delayed",
    "waiting-children": "waiting-children",
}


async def find(api: httpx.AsyncClient, q: str, **params: t.Any) -> dict[str, t.Any]:
    answer = await api.get(SEARCH, params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_JOBS", 7)
    monkeypatch.setattr(scanning, "OVERLAP", 3)


@pytest.mark.parametrize("kept", STATES)
async def test_a_search_finds_a_job_in_each_state_and_shows_it_as_the_api_does(
    api: httpx.AsyncClient, service: Service, kept: str
) -> None:
    await put(service.jobs, kept, ["a", "b"], queue="emails")
    found = await find(api, f"state:{STATES[kept]} data.number:1", queue="emails")
    [job] = found["jobs"]
    assert (job["queue"], job["job"]["id"], job["job"]["state"]) == ("emails", "b", STATES[kept])
    shown = (await api.get(f"{JOBS}/b")).json()
    assert job["job"] == {name: shown[name] for name in job["job"]}
    assert (found["lookedAt"], found["total"], found["cursor"]) == (2, 2, None)


@pytest.mark.parametrize("kept", ["failed", "wait", "delayed", "prioritized"])
async def test_pages_meet_every_job_that_stays_once_while_others_come_and_go(
    api: httpx.AsyncClient, service: Service, small_pages: None, kept: str
) -> None:
    scripts = service.jobs.scripts("emails")
    await put(service.jobs, kept, [f"stays-{i}" for i in range(40)], score=5)  # all of one score
    seen: list[str] = []
    params: dict[str, t.Any] = {"q": "", "queue": "emails", "limit": 5}
    for turn in range(100):
        page = (await api.get(SEARCH, params=params)).raise_for_status().json()
        seen += [one["job"]["id"] for one in page["jobs"]]
        if page["cursor"] is None:
            break
        params["cursor"] = page["cursor"]
        await put(service.jobs, kept, [f"new-{turn}"], score=6)
        gone = [id for id in seen if not id.startswith("new")][-1] if turn % 2 else f"new-{turn - 2}"
        if kept == "wait":
            await scripts.connection.execute("LREM", scripts.keys[kept], 1, gone)
        else:
            await scripts.connection.execute("ZREM", scripts.keys[kept], gone)
    stayed = [id for id in seen if id.startswith("stays")]
    assert len(stayed) == len(set(stayed)) == 40


async def test_a_list_is_read_on_from_its_place_however_many_jobs_came_meanwhile(
    api: httpx.AsyncClient, service: Service, small_pages: None
) -> None:
    await put(service.jobs, "wait", range(30))
    first = await find(api, "state:waiting", queue="emails", limit=10)
    await put(service.jobs, "wait", [f"new-{i}" for i in range(50)])
    rest = await find(api, "state:waiting", queue="emails", limit=100, cursor=first["cursor"])
    assert [one["job"]["id"] for one in first["jobs"] + rest["jobs"]] == [str(i) for i in range(29, -1, -1)]


async def test_jobs_of_one_time_come_in_an_order_that_a_cursor_can_go_on_from(
    api: httpx.AsyncClient, service: Service, small_pages: None
) -> None:
    ids = ["a", "B", "ä", "aa", "Z", "\u20ac", "1", "10", "9", *(f"x{i}" for i in range(20))]
    await put(service.jobs, "failed", ids, score=0)
    scripts = service.jobs.scripts("emails")
    page = await find(api, "state:failed", queue="emails", limit=4)
    found = [one["job"]["id"] for one in page["jobs"]]
    await scripts.connection.execute("ZREM", scripts.keys["failed"], found[-1])  # the cursor names it
    rest = await find(api, "state:failed", queue="emails", limit=200, cursor=page["cursor"])
    found += [one["job"]["id"] for one in rest["jobs"]]
    assert found == sorted(ids, key=str.encode, reverse=True)


async def test_since_and_until_are_ranges_of_finished_jobs(api: httpx.AsyncClient, service: Service) -> None:
    await put(service.jobs, "failed", range(100))
    found = await find(api, f"state:failed since:{EPOCH + 40} until:{EPOCH + 49}", queue="emails")
    assert ([int(one["job"]["id"]) for one in found["jobs"]], found["lookedAt"], found["total"]) == (
        list(range(49, 39, -1)),
        10,
        10,
    )


async def test_an_id_is_found_in_every_queue_without_a_scan(api: httpx.AsyncClient, service: Service) -> None:
    for queue in ("emails", "reports"):
        body = {"name": "x", "data": "nothing", "opts": {"jobId": "order-7"}}
        await send(api, "POST", f"/v1/queues/{queue}/jobs", body)
    await send(api, "POST", JOBS, {"name": "x", "data": "order-7"})
    by_id = await find(api, "id:order-7")
    assert ([one["queue"] for one in by_id["jobs"]], by_id["cursor"]) == (["emails", "reports"], None)
    assert [one["queue"] for one in (await find(api, "id:order-7 queue:rep*"))["jobs"]] == ["reports"]
    first = await find(api, "order-7")
    rest = await find(api, "order-7", cursor=first["cursor"])
    assert [one["job"]["data"] for one in first["jobs"] + rest["jobs"]] == ["nothing", "nothing", "order-7"]


async def test_a_search_tells_how_far_it_looked_and_goes_on(
    api: httpx.AsyncClient, service: Service, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MAX_LOOKED", 14)
    await put(service.jobs, "failed", range(40))
    page = await find(api, "data.number:3", queue="emails")
    assert (page["jobs"], page["lookedAt"], page["total"], page["backTo"]) == ([], 14, 40, EPOCH + 26)
    assert await search_all(api, "data.number:3", queue="emails") == ["3"]


async def test_an_answer_ends_at_a_bounded_size(
    api: httpx.AsyncClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MAX_ANSWER", 10_000)
    monkeypatch.setattr(scanning, "MAX_BYTES", 4000)
    await put(service.jobs, "failed", range(20), data="x" * 3000)
    assert len((await find(api, "state:failed", queue="emails"))["jobs"]) < 8
    assert len(await search_all(api, "state:failed", queue="emails")) == 20


@pytest.mark.parametrize(
    ("size", "took", "following"),
    [
        (250, 0.001, 500),
        (250, 0.004, 250),
        (250, 0.006, 125),
        (scanning.MAX_JOBS, 0.0, scanning.MAX_JOBS),
        (walks.LEAST_JOBS, 60.0, walks.LEAST_JOBS),
    ],
)
def test_a_page_is_as_large_as_the_time_of_the_last_one_allows(size: int, took: float, following: int) -> None:
    assert walks.next_size(size, took) == following


async def test_a_page_returns_a_bounded_number_of_jobs(
    api: httpx.AsyncClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "MAX_HITS", 3)
    await put(service.jobs, "failed", range(10))
    walk = walks.Walk(service.jobs, ["emails"], parse_filter("state:failed"), now=EPOCH, whole=False)
    pages = list[int]()
    while not walk.is_end:
        pages.append(len(await walk.page(1000)))
    assert (max(pages), sum(pages)) == (3, 10)


@pytest.mark.parametrize(
    "stored", ['{"to":"J\\u00fcrgen \\ud83d\\ude80"}', '{"to":"Jürgen 🚀"}'], ids=["of Python", "of Node"]
)
async def test_text_is_found_however_the_producer_wrote_it(
    api: httpx.AsyncClient, service: Service, stored: str
) -> None:
    await put(service.jobs, "failed", ["a"], data=stored)
    for q in ("jürgen", '"Jürgen 🚀"', "data:🚀", 'data.to:"Jürgen 🚀"', "data.to:jür*"):
        assert await search_all(api, q, queue="emails") == ["a"], q


@pytest.mark.parametrize("q", ["Ada7@EXAMPLE.com", "ADA7", "example", "7@", "data.to:ada7@example.COM", ".CO"])
async def test_text_is_found_in_any_case(api: httpx.AsyncClient, service: Service, q: str) -> None:
    await put(service.jobs, "failed", ["a"], data={"to": "aDa7@Example.com"})
    await put(service.jobs, "failed", ["b"], data={"to": "eve8"})
    assert await search_all(api, q, queue="emails") == ["a"]


async def test_jobs_that_are_not_as_they_should_be_do_no_harm(api: httpx.AsyncClient, service: Service) -> None:
    scripts = service.jobs.scripts("emails")
    await put(service.jobs, "failed", ["good"])
    await put(service.jobs, "failed", ["bytes"])
    await scripts.connection.execute("HSET", scripts.key("bytes"), "data", b"\xff\xfe good")
    await scripts.connection.execute("ZADD", scripts.keys["failed"], EPOCH, b"\xff\xfe")
    await scripts.connection.execute("ZADD", scripts.keys["failed"], EPOCH, "no-hash")
    await scripts.connection.execute("SET", scripts.key("text"), "good")
    await scripts.connection.execute("ZADD", scripts.keys["failed"], EPOCH, "text")
    odd: dict[str, t.Any] = {"atm": "many", "nextmq:deliveries": "{", "name": "good", "timestamp": "x"}
    await put(service.jobs, "failed", ["odd"], **odd)
    assert set(await search_all(api, "state:failed", queue="emails")) == {"good", "bytes", "odd"}
    assert set(await search_all(api, "good attempts:0", queue="emails")) == {"bytes", "odd"}
    assert await search_all(api, "status:>0", queue="emails") == []


async def test_a_user_of_redis_with_restricted_keys_can_search(service: Service, api: httpx.AsyncClient) -> None:
    await put(service.jobs, "failed", range(30))
    connection = service.jobs.scripts("emails").connection
    await connection.execute("ACL", "SETUSER", "searcher", "on", "nopass", "+@all", f"~{service.project.prefix}:*")
    await connection.execute("AUTH", "searcher", "x")
    try:
        found = await service.search.search(parse_filter(""), "emails", None, limit=50, now=EPOCH)
    finally:
        await connection.execute("AUTH", "default", "")
    assert [one.job["data"]["number"] for one in found.jobs] == list(range(29, -1, -1))


async def test_a_filter_that_does_not_parse_is_refused_with_its_place(api: httpx.AsyncClient) -> None:
    answer = await api.get(SEARCH, params={"q": "state:failed stat:x"})
    assert refusal(answer) == (422, "invalid_filter")
    assert answer.json()["details"] == {"position": 13, "part": "stat:"}
    assert "stat:" in answer.json()["message"]


@pytest.mark.parametrize(
    "cursor",
    ["x", "W10", "bnVsbA", "WzEsMiwzLDQsNSw2XQ", "é", "WyJxIiwiZmFpbGVkIiwibmFuIiwiYSIsLTEsW11d", "A" * 99],
)
async def test_a_cursor_of_nobody_is_refused(api: httpx.AsyncClient, cursor: str) -> None:
    assert problem_paths(await api.get(SEARCH, params={"cursor": cursor})) == {"cursor"}


async def test_who_may_not_see_secrets_cannot_find_them(api: httpx.AsyncClient, service: Service) -> None:
    await put(service.jobs, "failed", ["a"], data={"password": "hunter2", "to": "ada"})

    async def found(q: str, redaction: Redaction | None) -> int:
        result = await service.search.search(
            parse_filter(q), "emails", None, limit=5, now=EPOCH, redaction=redaction
        )
        return len(result.jobs)

    for q in ("hunter2", "data:hunter2", "data.password:hunter2", "data.password:hunt*"):
        assert (await found(q, None), await found(q, Redaction())) == (1, 0), q
    assert await found("data.to:ada", Redaction()) == 1


async def test_a_viewer_sees_and_finds_no_secrets_on_any_route_that_shows_jobs(
    api: httpx.AsyncClient, service: Service, project: Project
) -> None:
    key = ApiKey("nmq_viewer", Role.VIEWER)
    service.credentials.rotate(dataclasses.replace(project, api_keys=(project.api_key, key)))
    data = {"password": "hunter2", "to": "ada"}
    await put(service.jobs, "failed", ["a"], data=data, failedReason="Bearer hunter2", returnvalue='"nmq_hunter2"')
    await service.logs.add("emails", "a", "whsec_hunter2", None)
    headers = {"authorization": f"Bearer {key.key}"}
    for path in ("", "/a", "/a/result", "/a/logs"):
        assert "hunter2" in (await api.get(JOBS + path)).text
        answer = await api.get(JOBS + path, headers=headers)
        assert (answer.status_code, "hunter2" in answer.text) == (200, False), path
    for path in ("/v1/failures", "/v1/search?q=state:failed", "/v1/search?q=a"):
        answer = await api.get(path, params={"queue": "emails"}, headers=headers)
        assert (answer.status_code, "hunter2" in answer.text) == (200, False), path
    found = await api.get("/v1/search", params={"q": "hunter2", "queue": "emails"}, headers=headers)
    assert found.json()["jobs"] == []


async def test_a_project_searches_once_at_a_time_and_leaves_room_for_others() -> None:
    turns = SearchTurns()
    running: list[str] = []
    most = 0
    go_on = asyncio.Event()

    async def one(project: str) -> None:
        nonlocal most
        async with turns.one(project):
            running.append(project)
            most = max(most, len(running))
            await go_on.wait()
            running.remove(project)

    tasks = [asyncio.create_task(one(project)) for project in "aaaaabc"]
    for _ in range(10):
        await asyncio.sleep(0)
    assert sorted(running) == ["a", "b"]
    go_on.set()
    await asyncio.gather(*tasks)
    assert most == shares.MAX_SEARCHES


async def test_a_project_with_too_many_searches_is_refused(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "MAX_WAITING_SEARCHES", 0)
    assert refusal(await api.get(SEARCH)) == (429, "too_many_searches")
