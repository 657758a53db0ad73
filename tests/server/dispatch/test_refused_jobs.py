"""Jobs that something in front of the app refuses for their content: the other jobs of the queue run."""

from __future__ import annotations

import typing as t

import pytest
from aiohttp import web

from nextmq_server.dispatch import health
from nextmq_server.service import Service
from nextmq_server.workers.registration import Registration
from tests.support.holding import let_pass

if t.TYPE_CHECKING:
    from ..conftest import App, Serve, WaitUntil

pytestmark = pytest.mark.anyio

REFUSALS = (401, 403, 404, 405, 408, 415)
BAD, GOOD = "<script>", "hello"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(health.FIRST_HOLDS, "unreachable", 0.05)


class Firewall:
    """A proxy of `app` that answers `status` for jobs whose data it takes for an attack, or for all jobs."""

    def __init__(self, app: App) -> None:
        self.url = ""
        self.status = 403
        self.refuses_all = False
        self.refused: list[str] = []
        self._app = app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        job = (await request.json())["job"]
        if self.refuses_all or job["data"] == BAD:
            self.refused.append(job["id"])
            return web.Response(status=self.status)
        return await self._app.handle(request)

    def registration(self, concurrency: int) -> Registration:
        options = {"concurrency": concurrency}
        return Registration.model_validate(self._app.registration(url=self.url, options=options))


@pytest.fixture
async def firewall(app: App, serve: Serve) -> Firewall:
    firewall = Firewall(app)
    firewall.url = await serve(firewall.handle) + "/queues/emails"
    return firewall


class Queue:
    """The queue behind the firewall, and its jobs by their ids."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.scripts = service.jobs.scripts("emails")

    async def add(self, *jobs: tuple[str, dict[str, t.Any]]) -> list[str]:
        new = [self.service.jobs.new("emails", "welcome", data, opts, now=0) for data, opts in jobs]
        return [added.id for added in await self.service.add(new)]

    async def states(self, ids: t.Sequence[str]) -> list[str]:
        return [(await self.service.jobs.get("emails", id))["state"] for id in ids]

    async def held(self) -> bool:
        return await self.service.limits.hold("emails") is not None


@pytest.fixture
def queue(firewall: Firewall, service: Service) -> Queue:
    """Give the queue of a service that stops before the firewall does: it goes on with probes until then."""
    assert firewall.url
    return Queue(service)


JobSpec = tuple[str, dict[str, t.Any]]
PLAIN_GOOD: list[JobSpec] = [(GOOD, {})] * 3
MIXES: dict[str, list[JobSpec]] = {
    "a bad job in front": [(BAD, {}), *PLAIN_GOOD],
    "a bad job behind": [*PLAIN_GOOD, (BAD, {})],
    "bad jobs between good ones": [(BAD, {}), (GOOD, {}), (BAD, {}), (GOOD, {}), (BAD, {}), (GOOD, {})],
    "many bad jobs in front": [(BAD, {})] * 8 + PLAIN_GOOD,
    "a bad job with priority": [(BAD, {"priority": 1}), (GOOD, {"priority": 5}), (GOOD, {"priority": 5})],
    "a bad job without priority before good ones with": [(BAD, {}), (GOOD, {"priority": 5}), (GOOD, {})],
    "bad jobs with and without priority": [(BAD, {}), (BAD, {"priority": 1}), (GOOD, {"priority": 9})],
    "a bad job that is last in, first out": [(GOOD, {}), (BAD, {"lifo": True}), (GOOD, {})],
    "a delayed good job": [(BAD, {}), (GOOD, {"delay": 60})],
    "a delayed bad job": [(BAD, {"delay": 30}), (GOOD, {"delay": 60}), (GOOD, {})],
    "a bad job with attempts": [(BAD, {"attempts": 3}), *PLAIN_GOOD],
    "bad jobs with attempts and backoff": [(BAD, {"attempts": 3, "backoff": 10})] * 2 + PLAIN_GOOD,
}


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("jobs", MIXES.values(), ids=MIXES)
async def test_good_jobs_run_beside_those_that_are_refused(
    queue: Queue, firewall: Firewall, wait_until: WaitUntil, jobs: list[JobSpec], concurrency: int
) -> None:
    ids = await queue.add(*jobs)
    await queue.service.workers.register("emails", firewall.registration(concurrency), replace=None)
    good = [id for id, (data, _) in zip(ids, jobs, strict=True) if data == GOOD]

    async def all_good_completed() -> bool:
        return await queue.states(good) == ["completed"] * len(good)

    await wait_until(all_good_completed)


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_job_that_is_refused_while_others_get_through_uses_its_attempts(
    queue: Queue, firewall: Firewall, wait_until: WaitUntil, status: int
) -> None:
    firewall.status = status
    await queue.service.workers.register("emails", firewall.registration(1), replace=None)
    [bad, *_] = await queue.add((BAD, {"attempts": 2}), *PLAIN_GOOD)

    async def has_failed() -> bool:
        await queue.add((GOOD, {}))
        return await queue.states([bad]) == ["failed"]

    await wait_until(has_failed)
    job = await queue.service.jobs.get("emails", bad)
    reason = job["failedReason"] or ""
    assert (job["attemptsMade"], reason.startswith(f"DeliveryRefused: the app answered {status}")) == (2, True)
    assert "other jobs of the queue got through" in reason


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("status", REFUSALS)
async def test_jobs_that_are_all_refused_use_no_attempt(
    queue: Queue, firewall: Firewall, wait_until: WaitUntil, status: int, concurrency: int
) -> None:
    firewall.status, firewall.refuses_all = status, True
    await queue.service.workers.register("emails", firewall.registration(concurrency), replace=None)
    ids = await queue.add(*PLAIN_GOOD)
    await wait_until(lambda: len(firewall.refused) >= 2 * len(ids))
    jobs = [await queue.service.jobs.get("emails", id) for id in ids]
    assert ([job["attemptsMade"] for job in jobs], await queue.held()) == ([0] * len(ids), True)


async def test_an_endpoint_that_refuses_all_from_now_on_uses_no_attempt_of_a_job_it_took_before(
    queue: Queue, firewall: Firewall, app: App, wait_until: WaitUntil
) -> None:
    await queue.service.workers.register("emails", firewall.registration(1), replace=None)
    app.outcome = {"outcome": "failed", "error": {"name": "Error", "message": "no"}}
    [retried] = await queue.add((GOOD, {"attempts": 2, "backoff": 50}))
    await wait_until(lambda: app.deliveries)
    firewall.refuses_all = True
    await wait_until(lambda: len(firewall.refused) >= 3)
    assert (await queue.service.jobs.get("emails", retried))["attemptsMade"] == 1


async def test_a_good_job_does_not_wait_for_the_long_pause_of_a_bad_one(
    queue: Queue, firewall: Firewall, wait_until: WaitUntil
) -> None:
    await queue.service.workers.register("emails", firewall.registration(1), replace=None)
    await queue.add((BAD, {}))
    await wait_until(lambda: firewall.refused)
    await wait_until(queue.held)
    await queue.scripts.connection.execute(
        "HSET", queue.scripts.own_key("hold"), "until", 9_999_999_999_999, "count", 20
    )
    [good] = await queue.add((GOOD, {}))
    await let_pass(queue.scripts, 60)
    queue.service._hub.poke("emails")

    async def has_completed() -> bool:
        return await queue.states([good]) == ["completed"]

    await wait_until(has_completed)


async def test_the_order_of_jobs_survives_a_hold(
    queue: Queue, firewall: Firewall, app: App, wait_until: WaitUntil
) -> None:
    firewall.refuses_all = True
    await queue.service.workers.register("emails", firewall.registration(1), replace=None)
    ids = await queue.add(*[(GOOD, {})] * 6)
    await wait_until(lambda: len(set(firewall.refused)) >= 3)
    firewall.refuses_all = False

    async def all_completed() -> bool:
        return await queue.states(ids) == ["completed"] * len(ids)

    await wait_until(all_completed)
    order = [delivery["job"]["id"] for delivery in app.deliveries]
    probe = order[0]  # the one job that ran before its turn, because those before it had been refused
    assert [id for id in order if id != probe] == [id for id in ids if id != probe]


async def test_a_prioritized_job_keeps_its_place_while_others_are_probes(
    queue: Queue, firewall: Firewall, app: App, wait_until: WaitUntil
) -> None:
    firewall.refuses_all = True
    await queue.service.workers.register("emails", firewall.registration(1), replace=None)
    ids = await queue.add(*[(GOOD, {"priority": 1 + number // 2}) for number in range(6)])
    await wait_until(lambda: len(set(firewall.refused)) == 6)
    later = await queue.add((GOOD, {"priority": 1}))
    firewall.refuses_all = False
    await wait_until(lambda: len(app.deliveries) == 7)
    order = [delivery["job"]["id"] for delivery in app.deliveries]
    expected = [*ids[:2], *later, *ids[2:]]
    assert [id for id in order[1:] if id != order[0]] == [id for id in expected if id != order[0]]


async def test_a_registration_clears_jobs_of_suspicion(
    queue: Queue, firewall: Firewall, wait_until: WaitUntil
) -> None:
    await queue.service.workers.register("emails", firewall.registration(1), replace=None)
    [bad] = await queue.add((BAD, {}))
    await wait_until(lambda: firewall.refused)
    await queue.service.workers.register("emails", firewall.registration(1), replace=None)
    await wait_until(lambda: len(firewall.refused) >= 3)
    assert (await queue.service.jobs.get("emails", bad))["attemptsMade"] == 0


async def test_a_removed_suspect_is_not_looked_for_any_more(
    queue: Queue, firewall: Firewall, wait_until: WaitUntil
) -> None:
    firewall.refuses_all = True
    await queue.service.workers.register("emails", firewall.registration(1), replace=None)
    removed, _ = await queue.add((BAD, {}), (GOOD, {}))
    await wait_until(lambda: len(set(firewall.refused)) == 2)

    async def was_removed() -> bool:
        return bool(await queue.scripts.pack.remove(removed, False) == 1)

    await wait_until(was_removed)

    async def is_forgotten() -> bool:
        score = await queue.scripts.connection.execute("ZSCORE", queue.scripts.own_key("suspects"), removed)
        return score is None

    await wait_until(is_forgotten)
