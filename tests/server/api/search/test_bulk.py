"""POST /v1/bulk: change many jobs in the background, each once."""

from __future__ import annotations

import asyncio
import functools
import itertools
import typing as t

import httpx
import pytest

from nextmq_handler.protocol import strict_json
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.queues.bulk import operations, runner
from nextmq_server.engine.queues.bulk.actions import Actor
from nextmq_server.engine.queues.search import scanning
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.api import problem_paths, refusal, send
from tests.support.redriving import DLQ, LETTER
from tests.support.searching import put

if t.TYPE_CHECKING:
    from ...conftest import WaitUntil

pytestmark = pytest.mark.anyio

BULK = "/v1/bulk"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "STEP", 5)
    monkeypatch.setattr(runner, "POLL", 0.05)
    monkeypatch.setattr(scanning, "MAX_JOBS", 7)


@pytest.fixture
def run(api: httpx.AsyncClient, wait_until: WaitUntil) -> t.Callable[..., t.Awaitable[dict[str, t.Any]]]:
    async def run(action: str, which: str | list[str], **body: t.Any) -> dict[str, t.Any]:
        """Do it, and return the operation once it has ended."""
        key = "filter" if isinstance(which, str) else "ids"
        asked = {"action": action, "queue": "emails", key: which, **body}
        answer = await send(api, "POST", BULK, asked)
        assert answer.status_code == 202, answer.text
        path = f"{BULK}/{answer.json()['id']}"

        async def has_ended() -> bool:
            return bool((await api.get(path)).json()["state"] != "running")

        await wait_until(has_ended)
        return dict((await api.get(path)).json())

    return run


Run = t.Callable[..., t.Awaitable[dict[str, t.Any]]]


async def counts(service: Service, queue: str = "emails") -> dict[str, int]:
    return {state: count for state, count in (await service.queues.counts(queue)).items() if count}


async def dry_run(api: httpx.AsyncClient, **body: t.Any) -> dict[str, t.Any]:
    asked = {"queue": "emails", **body}
    answer = await send(api, "POST", f"{BULK}?dryRun=true", asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


CASES: dict[str, tuple[str, str, dict[str, t.Any], dict[str, int]]] = {
    # kept in, filter, body -> counts afterwards, of 40 jobs whose number is matched by the filter for 10..19
    "retry": ("failed", "state:failed data.number:1*", {}, {"failed": 29, "waiting": 11}),
    "retry of completed": ("completed", "state:completed data.number:1*", {}, {"completed": 29, "waiting": 11}),
    "retry of a whole state": ("failed", "state:failed", {}, {"waiting": 40}),
    "retry without a state": ("failed", "error:502", {"options": {"resetAttempts": True}}, {"waiting": 40}),
    "promote": ("delayed", "data.number:1*", {}, {"delayed": 29, "waiting": 11}),
    "remove waiting": ("wait", "data.number:1*", {}, {"waiting": 29}),
    "remove all that wait": ("wait", "state:waiting", {}, {}),
    "remove failed": ("failed", "state:failed data.number:1*", {}, {"failed": 29}),
    "remove prioritized": ("prioritized", "name:welcome", {}, {}),
    "priority": ("wait", "data.number:1*", {"options": {"priority": 3}}, {"waiting": 29, "prioritized": 11}),
    "no priority": ("wait", "data.number:1*", {"options": {"priority": 0}}, {"waiting": 40}),
    "delay": ("delayed", "data.number:1*", {"options": {"delay": 10**9}}, {"delayed": 40}),
}


@pytest.mark.parametrize("case", CASES)
async def test_each_job_that_matches_is_changed_and_no_other(
    api: httpx.AsyncClient, service: Service, run: Run, case: str
) -> None:
    kept, which, body, left = CASES[case]
    action = {"no": "priority"}.get(case.split()[0], case.split()[0])
    await put(service.jobs, kept, range(40))
    counted = await dry_run(api, action=action, filter=which, **body)
    ended = await run(action, which, **body)
    matching = 11 if "data.number" in which else 40
    assert (counted["matching"], counted["isComplete"]) == (matching, True)
    assert (ended["state"], ended["matching"], ended["done"], ended["skipped"]) == ("done", matching, matching, {})
    assert await counts(service) == left
    assert ended["finishedAt"] >= ended["createdAt"]


async def test_a_dry_run_changes_nothing(api: httpx.AsyncClient, service: Service) -> None:
    await put(service.jobs, "failed", range(3))
    body = {"action": "remove", "filter": "state:failed"}
    assert await dry_run(api, **body) == {"matching": 3, "lookedAt": 3, "total": 3, "isComplete": True}
    assert (await counts(service), (await api.get(BULK)).json()) == ({"failed": 3}, {"operations": []})


async def test_jobs_that_cannot_be_changed_are_counted_with_the_reason(
    api: httpx.AsyncClient, service: Service, run: Run
) -> None:
    scripts = service.jobs.scripts("emails")
    await put(service.jobs, "failed", ["a", "b"])
    await put(service.jobs, "wait", ["waits"])
    await put(service.jobs, "delayed", ["locked"])
    await scripts.connection.execute("SET", scripts.key("locked", "lock"), "x")
    retried = await run("retry", ["a", "gone", "waits", "b", "é/%:"])
    assert (retried["matching"], retried["done"], retried["skipped"]) == (5, 2, {"gone": 2, "state": 1})
    removed = await run("remove", ["locked", "waits"])
    assert (removed["done"], removed["skipped"]) == (1, {"locked": 1})
    changed = await run("priority", ["a"], options={"priority": 1})
    assert (changed["done"], changed["skipped"]) == (1, {})


async def test_dead_letters_are_redriven_and_other_jobs_left(
    api: httpx.AsyncClient, service: Service, run: Run
) -> None:
    letters = [{**LETTER, "id": f"gone-{i}"} for i in range(8)]
    for i, data in enumerate([*letters, "no letter"]):
        await put(service.jobs, "wait", [f"letter-{i}"], queue="emails-dlq", data=strict_json.compact(data))
    ended = await run("redrive", "state:waiting", queue="emails-dlq")
    assert (ended["done"], ended["skipped"]) == (8, {"refused": 1})
    assert (await counts(service), await counts(service, "emails-dlq")) == ({"waiting": 8}, {"waiting": 1})
    names = [one["name"] for one in (await api.get("/v1/queues")).json()["queues"]]
    assert "emails" in names
    assert (await api.get(f"{DLQ}/jobs/letter-8")).status_code == 200


async def test_jobs_that_come_later_are_not_changed(
    api: httpx.AsyncClient, service: Service, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(service.jobs, "failed", range(20))
    await put(service.jobs, "failed", ["later"], score=10**12)
    for which in ("state:failed error:502", "state:failed"):
        await run("retry", which)
        assert (await counts(service))["failed"] == 1


async def test_a_job_that_comes_back_meanwhile_is_not_changed_twice(
    api: httpx.AsyncClient, service: Service, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(service.jobs, "delayed", range(30), score=5)
    act = Actor.act

    async def act_and_delay_again(self: Actor, *args: t.Any) -> str:
        answer = await act(self, *args)
        if answer != "done":
            return answer
        hit = args[1]
        scripts = service.jobs.scripts("emails")
        await scripts.connection.execute("LREM", scripts.keys["wait"], 1, hit.id)
        await scripts.connection.execute("ZADD", scripts.keys["delayed"], int(hit.score) - 1, hit.id)
        return answer

    monkeypatch.setattr(Actor, "act", act_and_delay_again)
    ended = await run("promote", "name:welcome")
    assert (ended["done"], ended["matching"]) == (30, 30)


async def test_a_cancelled_operation_changes_no_job_from_then_on(
    api: httpx.AsyncClient, service: Service, run: Run
) -> None:
    await put(service.jobs, "failed", range(30))
    body = {"action": "retry", "queue": "emails", "filter": "state:failed", "perSecond": 20}
    started = (await send(api, "POST", BULK, body)).json()
    cancelled = (await send(api, "POST", f"{BULK}/{started['id']}/cancel", None)).json()
    before = await counts(service)
    other = await run("priority", ["1"], options={"priority": 2})  # the next one has had its turn
    assert (cancelled["state"], other["state"], await counts(service)) == ("cancelled", "done", before)
    assert before["failed"] == 30 - cancelled["done"]
    again = (await send(api, "POST", f"{BULK}/{started['id']}/cancel", None)).json()
    assert again["finishedAt"] == cancelled["finishedAt"]


@pytest.mark.parametrize("which", ["state:failed error:502", "ids"])
async def test_an_operation_goes_on_where_a_killed_process_left_it_and_does_each_job_once(
    valkey: EmbeddedValkey,
    project: Project,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
    which: str,
) -> None:
    monkeypatch.setattr(operations, "LOCK_LIFE", 100)
    act, acted = Actor.act, list[str]()
    kills = iter([3, 7, 11, 30, 31])
    dies_at = next(kills)

    async def act_or_die(self: Actor, *args: t.Any) -> str:
        nonlocal dies_at
        answer = await act(self, *args)
        if answer == "done":
            acted.append(args[1].id)
        if len(acted) == dies_at:
            dies_at = next(kills, -1)
            await asyncio.Event().wait()
        return answer

    monkeypatch.setattr(Actor, "act", act_or_die)
    services = [Service(project, valkey.url, egress=EgressRules.for_development()) for _ in range(6)]
    await services[0].start()
    await put(services[0].jobs, "failed", range(40))
    some = {"ids": [str(i) for i in range(40)]} if which == "ids" else {"filter": which}
    fields = {"action": "retry", "queue": "emails", "options": {"resetAttempts": False}, **some}
    operation = await services[0].bulk.create(fields)
    for before, after in itertools.pairwise(services):
        await wait_until(functools.partial(_has, acted, dies_at))
        task = before.bulk._task
        assert task is not None
        monkeypatch.setattr(before.bulk.operations, "release", _nothing)  # a killed process says no farewell
        await before.bulk.stop()
        await after.start()

    async def has_ended() -> bool:
        return bool((await services[-1].bulk.operations.get(operation.id)).view()["state"] == "done")

    await wait_until(has_ended)
    shown = (await services[-1].bulk.operations.get(operation.id)).view()
    assert sorted(map(int, acted)) == list(range(40))
    assert (shown["done"], shown["matching"], shown["skipped"]) == (40, 40, {})
    for service in services:
        await service.stop(grace=0)


def _has(acted: list[str], count: int) -> bool:
    return len(acted) >= count


async def _nothing(*_: object) -> None:
    pass


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"action": "retry"}, {"filter"}),
        ({"action": "retry", "filter": "state:failed", "ids": ["1"]}, {"filter"}),
        ({"action": "remove", "filter": " "}, {"filter"}),
        ({"action": "promote", "filter": "state:failed"}, {"filter"}),
        ({"action": "priority", "filter": "name:x"}, {"options.priority"}),
        ({"action": "retry", "filter": "name:x", "options": {"delay": 1}}, {"options.delay"}),
        ({"action": "retry", "ids": []}, {"ids"}),
        ({"action": "retry", "ids": ["x"] * 1001}, {"ids"}),
        ({"action": "burn", "ids": ["x"]}, {"action"}),
        ({"action": "retry", "ids": ["x"], "perSecond": 0}, {"perSecond"}),
        ({"action": "retry", "ids": ["x"], "queue": "a:b"}, {"queue"}),
    ],
)
async def test_what_cannot_be_done_is_refused(
    api: httpx.AsyncClient, body: dict[str, t.Any], paths: set[str]
) -> None:
    assert problem_paths(await send(api, "POST", BULK, {"queue": "emails", **body})) == paths


async def test_a_filter_that_does_not_parse_is_refused_with_its_place(api: httpx.AsyncClient) -> None:
    answer = await send(api, "POST", BULK, {"action": "retry", "queue": "emails", "filter": "stat:x"})
    assert (refusal(answer), answer.json()["details"]["position"]) == ((422, "invalid_filter"), 0)


async def test_only_so_many_operations_run_and_are_kept(
    api: httpx.AsyncClient, service: Service, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MAX_KEPT", 3)
    for _ in range(5):
        await run("retry", ["x"])
    assert len((await api.get(BULK)).json()["operations"]) == 3
    monkeypatch.setattr(operations, "MAX_RUNNING", 0)
    answer = await send(api, "POST", BULK, {"action": "retry", "queue": "emails", "ids": ["x"]})
    assert refusal(answer) == (429, "too_many_operations")
    assert refusal(await api.get(f"{BULK}/nobody")) == (404, "not_found")


async def test_an_operation_that_redis_refuses_fails_and_says_why(
    api: httpx.AsyncClient, service: Service, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(service.jobs, "failed", range(3))
    scripts = service.jobs.scripts("emails")
    await scripts.connection.execute("SET", scripts.keys["wait"], "not a list")
    ended = await run("retry", "state:failed error:502")
    assert (ended["state"], "WRONGTYPE" in ended["problem"], ended["done"]) == ("failed", True, 0)
