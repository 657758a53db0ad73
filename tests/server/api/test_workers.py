"""PUT, GET and DELETE /v1/queues/{queue}/worker (protocol section 4)."""

from __future__ import annotations

import dataclasses
import typing as t

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.signing import generate_secret
from nextmq_server.projects.projects import Project
from tests.support.api import WORKER, any_json, one_service, problem_paths, refusal, registration, send

if t.TYPE_CHECKING:
    from ..conftest import WaitUntil

pytestmark = pytest.mark.anyio

Register = t.Callable[..., t.Awaitable[httpx.Response]]

DEFAULTS: dict[str, object] = {
    "concurrency": 1,
    "timeout": 30_000,
    "limiter": None,
    "lockDuration": 30_000,
    "stalledInterval": 30_000,
    "maxStalledCount": 3,
    "deadLetter": None,
    "backoffStrategies": {},
}
OPTIONS = {
    "concurrency": 5,
    "timeout": 60_000,
    "limiter": {"max": 10, "duration": 1000},
    "lockDuration": 20_000,
    "stalledInterval": 10_000,
    "maxStalledCount": 0,
    "deadLetter": "emails-dlq",
    "backoffStrategies": {"slow": [1000, 60_000]},
}
OTHER_URL = "https://other.example/queues/emails"

BAD_URLS = {
    "http off this machine": "http://app.example/queues/emails",
    "http to a private address": "http://10.0.0.1/queues/emails",
    "http to a name that starts like this machine": "http://127.0.0.1.example/queues/emails",
    "a user": "https://user@app.example/queues/emails",
    "an empty user": "https://@app.example/queues/emails",
    "ftp": "ftp://app.example/queues/emails",
    "no scheme": "app.example/queues/emails",
    "no host": "https:///queues/emails",
    "a port over 65535": "https://app.example:65536/",
    "a port that is no number": "https://app.example:port/",
    "a bracket alone": "https://[::1/",
    "a line break": "https://app.example/queues\n/emails",
    "a space": "https://app.example/queues /emails",
    "empty": "",
    "too long": "https://app.example/" + "x" * 2048,
    "no text": 5,
    "null": None,
}
GOOD_URLS = [
    "https://app.example/queues/emails",
    "https://app.example:8443/api/nextmq/queues/emails?tenant=1",
    "http://localhost:8000/queues/emails",
    "http://[::1]:8000/queues/emails",
]
BAD_OPTIONS: list[tuple[dict[str, object], str]] = [
    ({"concurrency": 0}, "concurrency"),
    ({"concurrency": 10_001}, "concurrency"),
    ({"concurrency": "many"}, "concurrency"),
    ({"timeout": 0}, "timeout"),
    ({"timeout": 7 * 86_400_000 + 1}, "timeout"),
    ({"lockDuration": 999}, "lockDuration"),
    ({"stalledInterval": 999}, "stalledInterval"),
    ({"maxStalledCount": -1}, "maxStalledCount"),
    ({"deadLetter": True}, "deadLetter"),
    ({"deadLetter": ""}, "deadLetter"),
    ({"deadLetter": "bull:lost"}, "deadLetter"),
    ({"deadLetter": "x" * 101}, "deadLetter"),
    ({"backoffStrategies": ["slow"]}, "backoffStrategies"),
    ({"backoffStrategies": {"slow": []}}, "backoffStrategies.slow"),
    ({"backoffStrategies": {"slow": [1] * 101}}, "backoffStrategies.slow"),
    ({"backoffStrategies": {"slow": [-1]}}, "backoffStrategies.slow.0"),
    ({"backoffStrategies": {"slow": [1, 10 * 365 * 86_400_000 + 1]}}, "backoffStrategies.slow.1"),
    ({"backoffStrategies": {"fixed": [1]}}, "backoffStrategies"),
    ({"backoffStrategies": {f"slow-{number}": [1] for number in range(21)}}, "backoffStrategies"),
    ({"limiter": 5}, "limiter"),
    ({"limiter": {"duration": 1000}}, "limiter.max"),
    ({"limiter": {"max": 1}}, "limiter.duration"),
    ({"limiter": {"max": 0, "duration": 1000}}, "limiter.max"),
    ({"limiter": {"max": 2**70, "duration": 1000}}, "limiter.max"),
    ({"limiter": {"max": 1, "duration": 0}}, "limiter.duration"),
]


@pytest.fixture
def project(project: Project) -> Project:
    """Return a project in the middle of a rotation: it has two secrets."""
    return dataclasses.replace(project, webhook_secrets=(*project.webhook_secrets, generate_secret()))


@pytest.fixture
def register(api: httpx.AsyncClient, project: Project) -> Register:
    """Register a worker of the project, with these changes."""

    async def register(query: str = "", **changes: t.Any) -> httpx.Response:
        return await send(api, "PUT", f"{WORKER}{query}", registration(project, **changes))

    return register


@pytest.fixture
async def held(register: Register) -> dict[str, t.Any]:
    """Register the app that holds the queue already."""
    return dict((await register()).raise_for_status().json())


async def test_a_registration_is_answered_as_it_was_sent(api: httpx.AsyncClient, project: Project) -> None:
    sent = registration(project, options=OPTIONS, sdk="nextmq-python/1.2", schemas={"welcome": {"type": "object"}})
    answer = await api.put(WORKER, json=sent)
    assert (answer.status_code, {name: answer.json()[name] for name in sent}) == (200, sent)


async def test_options_that_are_not_given_have_bullmqs_defaults(held: dict[str, t.Any]) -> None:
    assert held["options"] == DEFAULTS


async def test_get_answers_the_registration(api: httpx.AsyncClient, held: dict[str, t.Any]) -> None:
    assert (await api.get(WORKER)).json() == held


async def test_get_without_a_registration_answers_404(api: httpx.AsyncClient) -> None:
    assert refusal(await api.get(WORKER)) == (404, "not_found")


async def test_a_registration_is_of_its_queue_only(api: httpx.AsyncClient, held: dict[str, t.Any]) -> None:
    assert refusal(await api.get("/v1/queues/invoices/worker")) == (404, "not_found")


async def test_registering_again_changes_nothing_but_last_seen(register: Register, held: dict[str, t.Any]) -> None:
    answer = await register()
    assert answer.json() | {"lastSeen": 0} == held | {"lastSeen": 0}


async def test_registering_again_refreshes_last_seen(
    register: Register, held: dict[str, t.Any], wait_until: WaitUntil
) -> None:
    async def is_refreshed() -> bool:
        answer = await register()
        return bool(answer.json()["lastSeen"] > held["lastSeen"])

    await wait_until(is_refreshed)


async def test_last_seen_is_the_servers_to_say(register: Register) -> None:
    answer = await register(lastSeen=5)
    assert answer.json()["lastSeen"] > 5


@pytest.mark.parametrize(
    "changes",
    [{"fingerprint": "f2"}, {"sdk": "nextmq-python/9"}, {"schemas": {"welcome": {}}}],
    ids=lambda changes: next(iter(changes)),
)
async def test_what_makes_no_conflict_is_taken_from_the_last_registration(
    register: Register, api: httpx.AsyncClient, held: dict[str, t.Any], changes: dict[str, t.Any]
) -> None:
    await register(**changes)
    assert (await api.get(WORKER)).json() | {"lastSeen": 0} == held | changes | {"lastSeen": 0}


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({"url": OTHER_URL}, []),
        ({"url": OTHER_URL, "options": {"concurrency": 2}}, ["concurrency 1 → 2"]),
        (
            {"url": OTHER_URL, "schemas": {}, "schedules": [{"id": "hourly", "every": 3_600_000}]},
            ["schedules added: hourly", "schemas"],
        ),
    ],
    ids=["url", "and an option", "and schedules and schemas"],
)
async def test_another_url_is_a_conflict_that_says_what_differs(
    register: Register, held: dict[str, t.Any], changes: dict[str, t.Any], differences: list[str]
) -> None:
    answer = await register(fingerprint="f2", **changes)
    said = [f"url {held['url']} → {OTHER_URL}", *differences]
    assert (*refusal(answer), answer.json()["details"]) == (
        409,
        "worker_conflict",
        {"fields": ["url"], "differences": said},
    )
    assert answer.json()["message"].endswith("; ".join(said))


async def test_secrets_with_none_in_common_are_a_conflict(register: Register, project: Project) -> None:
    first, second = (secret.id for secret in project.secrets)
    await register(secretIds=[first])
    answer = await register(secretIds=[second])
    assert (*refusal(answer), answer.json()["details"]) == (
        409,
        "worker_conflict",
        {"fields": ["secretIds"], "differences": [f"secretIds {first} → {second}"]},
    )


async def test_secrets_with_one_in_common_are_no_conflict(register: Register, project: Project) -> None:
    first, second = (secret.id for secret in project.secrets)
    await register(secretIds=[first])
    answer = await register(secretIds=[second, first])
    assert answer.status_code == 200


async def test_a_conflict_leaves_the_registration_as_it_was(
    register: Register, api: httpx.AsyncClient, held: dict[str, t.Any]
) -> None:
    await register(url=OTHER_URL)
    assert (await api.get(WORKER)).json() == held


async def test_a_dry_run_tells_what_differs_and_changes_nothing(
    register: Register, api: httpx.AsyncClient, held: dict[str, t.Any]
) -> None:
    answer = await register("?dryRun=true", url=OTHER_URL, options={"concurrency": 8})
    assert answer.json() == {
        "isRegistered": True,
        "differences": [f"url {held['url']} → {OTHER_URL}", "concurrency 1 → 8"],
    }
    assert (await api.get(WORKER)).json() == held


async def test_a_dry_run_of_a_first_registration_registers_nothing(
    register: Register, api: httpx.AsyncClient
) -> None:
    assert (await register("?dryRun=true")).json() == {"isRegistered": False, "differences": []}
    assert (await api.get(WORKER)).status_code == 404


@pytest.mark.parametrize("wrong", [{"url": "http://app.example"}, {"options": {"timeout": 10**6}}])
async def test_a_dry_run_refuses_what_registering_would_refuse(
    register: Register, wrong: dict[str, t.Any]
) -> None:
    dry, wet = await register("?dryRun=true", **wrong), await register("", **wrong)
    assert refusal(dry) == refusal(wet)


async def test_replace_with_the_fingerprint_that_it_replaces_takes_the_queue_over(
    register: Register, api: httpx.AsyncClient, held: dict[str, t.Any]
) -> None:
    await register("?replace=true&fingerprint=f1", url=OTHER_URL)
    assert (await api.get(WORKER)).json()["url"] == OTHER_URL


@pytest.mark.parametrize(
    ("query", "refused_with"),
    [
        ("replace=true&fingerprint=f0", (409, "worker_conflict")),
        ("replace=true&fingerprint=", (409, "worker_conflict")),
        ("replace=false&fingerprint=f1", (409, "worker_conflict")),
        ("fingerprint=f1", (409, "worker_conflict")),
        ("replace=true", (422, "invalid_request")),
        ("replace=perhaps&fingerprint=f1", (422, "invalid_request")),
    ],
)
async def test_replace_without_the_fingerprint_that_it_replaces_is_refused(
    register: Register, held: dict[str, t.Any], query: str, refused_with: tuple[int, str]
) -> None:
    answer = await register(f"?{query}", url=OTHER_URL)
    assert refusal(answer) == refused_with


async def test_unregistering_removes_the_registration(api: httpx.AsyncClient, held: dict[str, t.Any]) -> None:
    await api.delete(WORKER)
    assert refusal(await api.get(WORKER)) == (404, "not_found")


async def test_unregistering_a_second_time_answers_404(api: httpx.AsyncClient, held: dict[str, t.Any]) -> None:
    await api.delete(WORKER)
    assert refusal(await api.delete(WORKER)) == (404, "not_found")


async def test_after_unregistering_another_registration_is_no_conflict(
    register: Register, api: httpx.AsyncClient, held: dict[str, t.Any]
) -> None:
    await api.delete(WORKER)
    assert (await register(url=OTHER_URL)).status_code == 200


async def test_an_app_with_secrets_of_another_project_is_refused(register: Register) -> None:
    assert refusal(await register(secretIds=["00000000"])) == (422, "secret_mismatch")


async def test_an_app_with_one_more_secret_than_the_project_is_taken(register: Register, project: Project) -> None:
    assert (await register(secretIds=["00000000", project.secrets[0].id])).status_code == 200


@pytest.mark.parametrize("url", BAD_URLS.values(), ids=BAD_URLS)
async def test_a_url_that_jobs_must_not_go_to_is_refused(register: Register, url: object) -> None:
    assert problem_paths(await register(url=url)) == {"url"}


@pytest.mark.parametrize("url", GOOD_URLS)
async def test_a_url_that_jobs_may_go_to_is_taken_as_it_is(register: Register, url: str) -> None:
    assert (await register(url=url)).json()["url"] == url


@pytest.mark.parametrize(("options", "path"), BAD_OPTIONS)
async def test_an_option_that_cannot_work_is_refused(
    register: Register, options: dict[str, object], path: str
) -> None:
    answer = await register(options=options)
    assert problem_paths(answer) == {f"options.{path}"}


@pytest.mark.parametrize("word", ["", "x" * 65, "a b", "a\n", "ä", "a.b", 5, None])
async def test_a_malformed_fingerprint_is_refused(register: Register, word: object) -> None:
    assert problem_paths(await register(fingerprint=word)) == {"fingerprint"}


@pytest.mark.parametrize("word", ["", "ABCDEF01", "0123456", "012345678", "01234567\n", "whsec_01", 5])
async def test_a_malformed_secret_id_is_refused(register: Register, word: object) -> None:
    assert problem_paths(await register(secretIds=[word])) == {"secretIds.0"}


@pytest.mark.parametrize("name", ["url", "secretIds", "fingerprint"])
async def test_a_registration_that_lacks_a_member_is_refused(
    api: httpx.AsyncClient, project: Project, name: str
) -> None:
    sent = registration(project)
    del sent[name]
    assert problem_paths(await api.put(WORKER, json=sent)) == {name}


async def test_text_that_is_no_unicode_is_refused_in_schemas(register: Register) -> None:
    assert problem_paths(await register(schemas={"welcome": {"pattern": "\ud800"}})) == {"schemas"}


async def test_unknown_members_are_ignored(api: httpx.AsyncClient, project: Project) -> None:
    sent = registration(project, options={"colour": "red"}, region="eu")
    answer = (await api.put(WORKER, json=sent)).json()
    assert (answer["options"], "region" in answer) == (DEFAULTS, False)


@one_service
@given(changes=st.dictionaries(st.sampled_from(["url", "options", "secretIds", "sdk", "schemas", "x"]), any_json))
async def test_whatever_is_registered_the_answer_is_no_5xx(register: Register, changes: dict[str, t.Any]) -> None:
    answer = await register(**changes)
    assert answer.status_code < 500
