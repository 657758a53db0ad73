"""POST and GET …/jobs, and …/counts: what is taken, what is refused, and what Redis then holds."""

from __future__ import annotations

import json
import typing as t
from urllib.parse import quote, unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.rules.job_ids import QUEUE_KEYS
from nextmq_handler.rules.states import STORED_STATES
from nextmq_server.api.http.bodies import MAX_BODY_SIZE
from tests.support.api import COUNTS, JOBS, WORKER, any_json, one_service, problem_paths, refusal, send
from tests.support.api_cases import DATA, MIB, NO_JSON, RENAMED, RIGHT, WRONG, WRONG_JOBS, cases

if t.TYPE_CHECKING:
    from nextmq_server.service import Service

    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio


async def add(api: httpx.AsyncClient, name: str = "welcome", **members: t.Any) -> dict[str, t.Any]:
    """Return the job of the answer."""
    return dict((await send(api, "POST", JOBS, {"name": name, **members})).raise_for_status().json())


async def get(api: httpx.AsyncClient, job_id: str) -> dict[str, t.Any]:
    return dict((await api.get(f"{JOBS}/{job_id}")).raise_for_status().json())


async def in_redis(service: Service, job_id: str, field: str) -> t.Any:
    scripts = service.jobs.scripts("emails")
    return json.loads(await scripts.connection.execute("HGET", scripts.key(job_id), field))


@pytest.fixture
async def busy_queue(api: httpx.AsyncClient, app: App, wait_until: WaitUntil) -> t.AsyncIterator[None]:
    """Fill a queue: an active job, two waiting jobs, a delayed one and one with a priority."""
    app.gate.clear()
    await send(api, "PUT", WORKER, app.registration())
    await add(api)
    await wait_until(lambda: app.deliveries)
    for opts in ({}, {}, {"delay": 3_600_000}, {"priority": 1}):
        await add(api, opts=opts)
    yield
    app.gate.set()


async def test_an_added_job_is_answered_whole(api: httpx.AsyncClient) -> None:
    added = await add(api, data={"to": "a@example.com"}, opts={"attempts": 3, "timestamp": 1_790_000_000_000})
    assert added == {
        "id": "1",
        "name": "welcome",
        "state": "waiting",
        "data": {"to": "a@example.com"},
        "opts": {"attempts": 3, "delay": 0, "timestamp": 1_790_000_000_000},
        "progress": 0,
        "attemptsMade": 0,
        "attemptsStarted": 0,
        "stalledCounter": 0,
        "delay": 0,
        "priority": 0,
        "returnValue": None,
        "failedReason": None,
        "stacktrace": [],
        "deliveries": [],
        "deliveriesCount": 0,
        "parent": None,
        "repeatJobKey": None,
        "deduplicationId": None,
        "timestamp": 1_790_000_000_000,
        "processedOn": None,
        "finishedOn": None,
        "deduplicated": False,
    }


async def test_adding_a_job_answers_201(api: httpx.AsyncClient) -> None:
    assert (await api.post(JOBS, json={"name": "welcome"})).status_code == 201


async def test_get_answers_what_adding_did(api: httpx.AsyncClient) -> None:
    added = await add(api, data=5)
    assert {**await get(api, added["id"]), "deduplicated": False} == added


async def test_a_finished_job_has_its_return_value(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    app.outcome = {"outcome": "completed", "returnValue": ["\ud800", 0.5]}
    await send(api, "PUT", WORKER, app.registration())
    added = await add(api)

    async def is_finished() -> bool:
        return bool((await get(api, added["id"]))["state"] == "completed")

    await wait_until(is_finished)
    assert (await get(api, added["id"]))["returnValue"] == ["\ud800", 0.5]


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
async def test_data_is_any_json(api: httpx.AsyncClient, data: t.Any) -> None:
    added = await add(api, data=data)
    assert json.dumps((await get(api, added["id"]))["data"]) == json.dumps(data)


@pytest.mark.parametrize("name", ["x", "x" * 256, "żółć ☃ a:b/c"])
async def test_a_name_is_any_text(api: httpx.AsyncClient, name: str) -> None:
    assert (await add(api, name))["name"] == name


@pytest.mark.parametrize("option", RENAMED)
async def test_an_option_with_a_short_name_is_kept_under_it(
    api: httpx.AsyncClient, service: Service, option: str
) -> None:
    sent, kept = RENAMED[option]
    added = await add(api, opts=sent)
    held = await in_redis(service, added["id"], "opts")
    assert {name: held.get(name) for name in kept} == kept


@pytest.mark.parametrize("option", RENAMED)
async def test_an_option_with_a_short_name_is_shown_under_its_long_one(
    api: httpx.AsyncClient, option: str
) -> None:
    sent, _ = RENAMED[option]
    shown = (await get(api, (await add(api, opts=sent))["id"]))["opts"]
    assert {name: shown.get(name) for name in sent} == sent


@pytest.mark.parametrize(("option", "value"), cases(RIGHT))
async def test_an_option_arrives_in_redis_as_it_was_sent(
    api: httpx.AsyncClient, service: Service, option: str, value: t.Any
) -> None:
    added = await add(api, opts={option: value})
    held = (await in_redis(service, added["id"], "opts"))[option]
    assert json.dumps(held, sort_keys=True) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize(
    ("opts", "held"),
    [({}, {}), ({"attempts": None}, {}), ({"keepLogs": 5}, {"kl": 5})],
    ids=["nothing", "null", "BullMQ's short name"],
)
async def test_redis_holds_the_options_as_bullmq_writes_them(
    api: httpx.AsyncClient, service: Service, opts: dict[str, t.Any], held: dict[str, t.Any]
) -> None:
    added = await add(api, opts=opts)
    assert await in_redis(service, added["id"], "opts") == {"attempts": 0, "delay": 0} | held


@pytest.mark.parametrize(
    ("opts", "shown"), [({"keepLogs": 5}, 5), ({"backoff": 1500}, {"type": "fixed", "delay": 1500})]
)
async def test_options_are_shown_as_bullmq_spells_them(
    api: httpx.AsyncClient, opts: dict[str, t.Any], shown: object
) -> None:
    assert (await add(api, opts=opts))["opts"] == {"attempts": 0, "delay": 0} | dict.fromkeys(opts, shown)


@pytest.mark.parametrize(("option", "value"), cases(WRONG))
async def test_a_wrong_option_is_refused_and_named(api: httpx.AsyncClient, option: str, value: object) -> None:
    answer = await send(api, "POST", JOBS, {"name": "welcome", "opts": {option: value}})
    assert {".".join(path.split(".")[:2]) for path in problem_paths(answer)} == {f"opts.{option}"}


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("backoff", {"type": "fixed", "delay": 1, "jitter": 2}, "opts.backoff.jitter: Input should be less than"),
        ("backoff", {"type": "fixed"}, "opts.backoff.delay: Field required"),
        ("backoff", {"type": "slo", "delay": 1}, "opts.backoff.type: Input should be 'fixed' or 'exponential'"),
        ("backoff", {"type": "slow", "jitter": 2}, "opts.backoff.jitter: Input should be less than"),
        ("backoff", -1, "opts.backoff: Input should be greater than or equal to 0"),
        ("backoff", "fixed", "opts.backoff: Input should be ms, or an object with type and delay"),
        ("backoff", True, "opts.backoff: Input should be ms, or an object with type and delay"),
        ("removeOnComplete", -1, "opts.removeOnComplete: Input should be greater than or equal to 0"),
        ("removeOnFail", {"age": True}, "opts.removeOnFail.age: Input should be a valid integer"),
        ("removeOnFail", "all", "opts.removeOnFail: Input should be a boolean, a number of jobs, or an object"),
        ("jobId", "a:b", "opts.jobId: a custom job id must not contain"),
    ],
    ids=str,
)
async def test_what_is_wrong_with_an_option_is_told_of_the_form_it_was_given_in(
    api: httpx.AsyncClient, option: str, value: object, problem: str
) -> None:
    answer = await send(api, "POST", JOBS, {"name": "a", "opts": {option: value}})
    assert answer.json()["message"].startswith(problem)


@pytest.mark.parametrize(("body", "path"), WRONG_JOBS.values(), ids=WRONG_JOBS)
async def test_a_wrong_job_is_refused_and_the_member_named(
    api: httpx.AsyncClient, body: object, path: str
) -> None:
    assert problem_paths(await send(api, "POST", JOBS, body)) == {path}


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
async def test_a_body_that_is_no_strict_json_is_refused(api: httpx.AsyncClient, content: bytes) -> None:
    answer = await api.post(JOBS, content=content, headers={"content-type": "application/json"})
    assert refusal(answer) == (400, "invalid_json")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "nothing"])
async def test_a_body_that_is_not_said_to_be_json_is_refused(api: httpx.AsyncClient, content_type: str) -> None:
    answer = await api.post(JOBS, content=b'{"name":"welcome"}', headers={"content-type": content_type})
    assert refusal(answer) == (422, "invalid_request")


async def test_a_body_declared_over_4_mib_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post(JOBS, content=b" " * (MAX_BODY_SIZE + 1), headers={"content-type": "application/json"})
    assert refusal(answer) == (413, "payload_too_large")


async def test_a_body_that_grows_over_4_mib_is_refused(api: httpx.AsyncClient) -> None:
    async def chunks() -> t.AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * MIB

    answer = await api.post(JOBS, content=chunks(), headers={"content-type": "application/json"})
    assert refusal(answer) == (413, "payload_too_large")


async def test_a_body_of_4_mib_is_taken(api: httpx.AsyncClient) -> None:
    content = b'{"name":"welcome"}'.ljust(MAX_BODY_SIZE)
    answer = await api.post(JOBS, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 201


async def test_a_refused_job_is_not_added(api: httpx.AsyncClient) -> None:
    await api.post(JOBS, json={"name": "welcome", "opts": {"attempts": 0}})
    assert (await api.get(COUNTS)).json() == dict.fromkeys(STORED_STATES, 0)


async def test_an_id_that_is_there_already_adds_nothing(api: httpx.AsyncClient) -> None:
    await add(api, data="first", opts={"jobId": "order-42"})
    assert (await add(api, data="second", opts={"jobId": "order-42"}))["data"] == "first"


@pytest.mark.parametrize("path", ["order-42", "a%2Fb", "a%2Fprogress", "%E2%9C%93%20%3F", "%2E%2E"])
async def test_a_job_is_found_under_its_own_id(api: httpx.AsyncClient, path: str) -> None:
    job_id = unquote(path)
    await add(api, opts={"jobId": job_id})
    assert (await get(api, path))["id"] == job_id


@pytest.mark.parametrize("job_id", ["nobody", "99", *sorted(QUEUE_KEYS - {""}), "1:lock", "1:logs", "%00"])
@pytest.mark.usefixtures("busy_queue")
async def test_what_is_no_job_is_not_found(api: httpx.AsyncClient, job_id: str) -> None:
    assert refusal(await api.get(f"{JOBS}/{job_id}")) == (404, "not_found")


@pytest.mark.usefixtures("busy_queue")
async def test_counts_say_how_many_jobs_are_in_each_state(api: httpx.AsyncClient) -> None:
    counts = {"waiting": 2, "active": 1, "delayed": 1, "prioritized": 1}
    assert (await api.get(COUNTS)).json() == dict.fromkeys(STORED_STATES, 0) | counts


@pytest.mark.parametrize("queue", ["x", "x" * 100, "1", "...", "A.b_c~d-e"])
async def test_a_queue_may_have_any_name_that_needs_no_escaping(api: httpx.AsyncClient, queue: str) -> None:
    assert (await api.post(f"/v1/queues/{queue}/jobs", json={"name": "welcome"})).status_code == 201


@pytest.mark.parametrize("queue", ["a b", "a:b", "ä", "%0A", "emails%0A", "a+b", "a,b", "{a}", "*", "%00", "%2E"])
async def test_a_name_that_is_no_queues_is_refused(api: httpx.AsyncClient, queue: str) -> None:
    answer = await api.post(f"/v1/queues/{queue}/jobs", json={"name": "welcome"})
    assert refusal(answer) == (422, "invalid_queue_name")


async def test_a_queue_name_over_100_characters_is_refused(api: httpx.AsyncClient) -> None:
    assert refusal(await api.get(f"/v1/queues/{'x' * 101}/counts")) == (422, "invalid_queue_name")


async def test_a_job_id_that_is_not_utf_8_is_refused(api: httpx.AsyncClient) -> None:
    assert refusal(await api.get(f"{JOBS}/%FF")) == (422, "invalid_request")


@one_service
@given(content=any_json.map(json.dumps).map(str.encode) | st.binary())
async def test_whatever_the_body_is_the_answer_is_no_5xx(api: httpx.AsyncClient, content: bytes) -> None:
    answer = await api.post(JOBS, content=content, headers={"content-type": "application/json"})
    assert answer.status_code < 500


@one_service
@given(data=any_json, opts=st.dictionaries(st.sampled_from(sorted(WRONG)), any_json))
async def test_whatever_data_and_options_are_the_answer_is_no_5xx(
    api: httpx.AsyncClient, data: object, opts: dict[str, object]
) -> None:
    answer = await send(api, "POST", JOBS, {"name": "welcome", "data": data, "opts": opts})
    assert answer.status_code < 500


@one_service
@given(job_id=st.text())
async def test_whatever_id_is_asked_for_the_answer_is_no_5xx(api: httpx.AsyncClient, job_id: str) -> None:
    answer = await api.get(f"{JOBS}/{quote(job_id, safe='')}")
    assert answer.status_code < 500
