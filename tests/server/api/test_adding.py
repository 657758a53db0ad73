"""Adding through the REST API: many jobs at once, only once with an idempotency key, what kept a job out."""

from __future__ import annotations

import asyncio
import typing as t

import httpx
import pytest

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.service import Service
from tests.support.api import COUNTS, JOBS, refusal

pytestmark = pytest.mark.anyio

BULK = f"{JOBS}/bulk"
ONCE = {"idempotency-key": "order-42"}


async def add(api: httpx.AsyncClient, *, key: str | None = None, **opts: t.Any) -> dict[str, t.Any]:
    headers = {} if key is None else {"idempotency-key": key}
    answer = await api.post(JOBS, json={"name": "welcome", "data": 1, "opts": opts}, headers=headers)
    assert answer.status_code == 201, answer.text
    added: dict[str, t.Any] = answer.json()
    return added


async def counts(api: httpx.AsyncClient) -> dict[str, int]:
    """How many jobs there are in each state that has any."""
    numbers: dict[str, int] = (await api.get(COUNTS)).json()
    return {state: number for state, number in numbers.items() if number}


async def test_a_bulk_is_added_in_its_order(api: httpx.AsyncClient) -> None:
    answer = await api.post(BULK, json={"jobs": [{"name": name} for name in "abc"]})
    ids = [job["id"] for job in answer.json()["jobs"]]
    assert [(await api.get(f"{JOBS}/{id}")).json()["name"] for id in ids] == ["a", "b", "c"]


async def test_a_job_of_a_bulk_that_was_there_is_shown(api: httpx.AsyncClient) -> None:
    await add(api, jobId="order-42")
    jobs = [{"name": "a", "opts": {"jobId": "order-42"}}, {"name": "b"}]
    there, new = (await api.post(BULK, json={"jobs": jobs})).json()["jobs"]
    assert (there["deduplicated"], there["job"]["name"], new["deduplicated"], new["job"]) == (
        True,
        "welcome",
        False,
        None,
    )


async def test_a_bulk_puts_each_job_in_its_own_state(api: httpx.AsyncClient) -> None:
    jobs = [{"name": "a"}, {"name": "b", "opts": {"delay": 60_000}}, {"name": "c", "opts": {"priority": 5}}]
    answer = await api.post(BULK, json={"jobs": jobs})
    assert [job["state"] for job in answer.json()["jobs"]] == ["waiting", "delayed", "prioritized"]
    assert await counts(api) == {"waiting": 1, "delayed": 1, "prioritized": 1}


async def test_a_bulk_of_1000_jobs_is_taken(api: httpx.AsyncClient) -> None:
    answer = await api.post(BULK, json={"jobs": [{"name": "a", "data": "x" * 5000}] * 1000})
    assert (answer.status_code, await counts(api)) == (201, {"waiting": 1000})


@pytest.mark.parametrize("size", [0, 1001])
async def test_a_bulk_of_another_size_is_refused(api: httpx.AsyncClient, size: int) -> None:
    assert refusal(await api.post(BULK, json={"jobs": [{"name": "a"}] * size})) == (422, "invalid_request")


async def test_a_bulk_with_one_wrong_job_adds_none(api: httpx.AsyncClient) -> None:
    assert refusal(await api.post(BULK, json={"jobs": [{"name": "a"}, {"name": ""}]})) == (422, "invalid_request")
    assert await counts(api) == {}


async def test_a_bulk_with_one_parent_that_is_gone_adds_none(api: httpx.AsyncClient) -> None:
    orphan = {"name": "b", "opts": {"parent": {"id": "nobody", "queue": "reports"}}}
    answer = await api.post(BULK, json={"jobs": [{"name": "a"}, orphan]})
    assert refusal(answer) == (404, "not_found")
    assert (answer.json()["details"], await counts(api)) == ({"parent": {"id": "nobody", "queue": "reports"}}, {})


async def test_a_job_with_a_parent_is_shown_with_it(api: httpx.AsyncClient) -> None:
    parent = {"id": (await add(api))["id"], "queue": "emails"}
    child = await add(api, parent=parent)
    assert (child["parent"], (await api.get(f"{JOBS}/{child['id']}")).json()["parent"]) == (parent, parent)


async def test_the_parent_of_a_job_that_is_there_cannot_be_replaced(api: httpx.AsyncClient) -> None:
    first, second = [(await add(api))["id"] for _ in range(2)]
    await add(api, jobId="child", parent={"id": first, "queue": "emails"})
    opts = {"jobId": "child", "parent": {"id": second, "queue": "emails"}}
    answer = await api.post(JOBS, json={"name": "welcome", "opts": opts})
    assert refusal(answer) == (409, "parent_cannot_be_replaced")


async def test_a_job_whose_id_is_there_is_not_made_again(api: httpx.AsyncClient) -> None:
    first = await add(api, jobId="order-42")
    again = await add(api, jobId="order-42")
    assert (first["deduplicated"], again["deduplicated"], again["id"]) == (False, True, "order-42")
    assert await counts(api) == {"waiting": 1}


async def test_a_deduplicated_job_is_answered_with_the_one_that_keeps_it_out(api: httpx.AsyncClient) -> None:
    first = await add(api, deduplication={"id": "order-42"})
    again = await add(api, deduplication={"id": "order-42"})
    assert (first["deduplicated"], again["deduplicated"], again["id"]) == (False, True, first["id"])


async def test_a_deduplicated_job_with_an_id_of_its_own_names_the_one_that_keeps_it_out(
    api: httpx.AsyncClient,
) -> None:
    first = await add(api, deduplication={"id": "order-42"})
    again = await add(api, deduplication={"id": "order-42"}, jobId="mine")
    assert (again["deduplicated"], again["id"]) == (True, first["id"])


async def test_a_job_that_replaces_another_is_a_new_one(api: httpx.AsyncClient) -> None:
    opts: dict[str, t.Any] = {"deduplication": {"id": "order-42", "replace": True}, "delay": 60_000}
    first = await add(api, **opts)
    again = await add(api, **opts)
    assert (again["deduplicated"], again["id"] != first["id"], await counts(api)) == (False, True, {"delayed": 1})


async def test_the_same_request_with_the_same_key_is_done_once(api: httpx.AsyncClient) -> None:
    first, again = [await add(api, key="k") for _ in range(2)]
    assert (again["id"], again["deduplicated"], await counts(api)) == (first["id"], False, {"waiting": 1})


async def test_twenty_requests_at_once_with_one_key_add_one_job(api: httpx.AsyncClient) -> None:
    added = await asyncio.gather(*(add(api, key="k") for _ in range(20)))
    assert ({job["id"] for job in added}, await counts(api)) == ({"1"}, {"waiting": 1})


async def test_a_key_is_remembered_when_its_job_is_gone(api: httpx.AsyncClient) -> None:
    first = await add(api, key="k")
    await api.delete(f"{JOBS}/{first['id']}")
    again = await add(api, key="k")
    assert (again["id"], again["state"], await counts(api)) == (first["id"], "unknown", {})


async def test_a_bulk_with_a_key_is_done_once(api: httpx.AsyncClient) -> None:
    body = {"jobs": [{"name": "a"}, {"name": "b", "opts": {"delay": 1000}}]}
    first, again = [(await api.post(BULK, json=body, headers=ONCE)).json() for _ in range(2)]
    ids = [[job["id"] for job in answer["jobs"]] for answer in (first, again)]
    assert (ids, await counts(api)) == ([["1", "2"]] * 2, {"waiting": 1, "delayed": 1})


async def test_a_key_that_came_with_another_request_is_refused(api: httpx.AsyncClient) -> None:
    await api.post(JOBS, json={"name": "welcome"}, headers=ONCE)
    answer = await api.post(JOBS, json={"name": "goodbye"}, headers=ONCE)
    assert (refusal(answer), await counts(api)) == ((422, "idempotency_key_reused"), {"waiting": 1})


async def test_a_key_that_came_with_another_queue_is_refused(api: httpx.AsyncClient) -> None:
    await api.post(JOBS, json={"name": "welcome"}, headers=ONCE)
    answer = await api.post("/v1/queues/reports/jobs", json={"name": "welcome"}, headers=ONCE)
    assert refusal(answer) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "\u00fc"])
async def test_a_key_that_is_none_is_refused(api: httpx.AsyncClient, key: str) -> None:
    headers = {b"idempotency-key": key.encode()}
    assert refusal(await api.post(JOBS, json={"name": "welcome"}, headers=headers)) == (422, "invalid_request")


async def test_a_key_is_kept_for_a_day(api: httpx.AsyncClient, service: Service, project: Project) -> None:
    await add(api, key="k")
    left = await service.jobs.scripts("emails").connection.execute(
        "PTTL", ProjectKeys(service.project.name)("idempotency", "k")
    )
    assert 86_300_000 < left <= 86_400_000


async def test_adding_goes_on_when_redis_forgot_its_scripts(api: httpx.AsyncClient, service: Service) -> None:
    await add(api)
    await service.jobs.scripts("emails").connection.execute("SCRIPT", "FLUSH")
    assert (await add(api))["id"] == "2"


class TestNearTheMemoryLimit:
    """With a Valkey whose limit the test sets."""

    @pytest.fixture
    async def full(self, own_valkey: EmbeddedValkey, project: Project) -> t.AsyncIterator[httpx.AsyncClient]:
        """Serve the API over a Valkey that is near its memory limit and has one job."""
        from tests.support.rest_api import rest_api

        service = Service(project, own_valkey.url)
        await service.start()
        await service.add([service.jobs.new("emails", "welcome", None, {}, now=0)])
        redis = service.jobs.scripts("emails").connection
        used = (await redis.execute("INFO", "memory")).partition("used_memory:")[2].split()[0]
        await redis.execute("CONFIG", "SET", "maxmemory", round(int(used) * 1.05))
        await service.storage.look()
        headers = {"authorization": f"Bearer {project.api_key}"}
        transport = httpx.ASGITransport(rest_api(service))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://server.example", headers=headers
        ) as api:
            yield api
        await service.stop(grace=0)

    async def test_jobs_are_refused_with_storage_full(self, full: httpx.AsyncClient) -> None:
        answer = await full.post(JOBS, json={"name": "welcome"})
        assert (refusal(answer), answer.headers["retry-after"]) == ((503, "storage_full"), "5")

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", f"{JOBS}/1", None),
            ("GET", COUNTS, None),
            ("PUT", f"{JOBS}/1/progress", {"progress": 50}),
            ("POST", "/v1/queues/emails/clean", {"grace": 0}),
            ("DELETE", f"{JOBS}/1", None),
        ],
    )
    async def test_reads_callbacks_and_cleaning_go_on(
        self, full: httpx.AsyncClient, method: str, path: str, body: object
    ) -> None:
        assert (await full.request(method, path, json=body)).status_code == 200

    async def test_jobs_are_taken_again_when_there_is_room(
        self, full: httpx.AsyncClient, own_valkey: EmbeddedValkey
    ) -> None:
        services: t.Sequence[Service] = t.cast("t.Any", full)._transport.app.state.services
        await services[0].jobs.scripts("emails").connection.execute("CONFIG", "SET", "maxmemory", 0)
        await services[0].storage.look()
        assert (await full.post(JOBS, json={"name": "welcome"})).status_code == 201
