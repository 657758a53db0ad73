"""Failing endpoints, seen from outside: which jobs wait and use attempts, what the API shows, what ends a hold."""

from __future__ import annotations

import asyncio
import typing as t

import httpx
import pytest
from aiohttp import web

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.queues.adding import JobToAdd
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.workers import registry as registry_module
from nextmq_server.workers.registration import Registration
from tests.support.api import JOBS

if t.TYPE_CHECKING:
    from ..conftest import App, Serve, WaitUntil

pytestmark = pytest.mark.anyio

QUEUE = "/v1/queues/emails"


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "POLL_INTERVAL", 0.01)


class Flaky:
    """A proxy of `app` that answers with `status` until that is 200; `gate` releases its answers."""

    def __init__(self, app: App) -> None:
        self.url = ""
        self.status = 500
        self.deliveries: list[dict[str, t.Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._app = app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.status == 200:
            return await self._app.handle(request)
        self.deliveries.append(await request.json())
        await self.gate.wait()
        return web.Response(status=self.status)

    def registration(self, **options: t.Any) -> Registration:
        return Registration.model_validate(self._app.registration(url=self.url, options=options))


@pytest.fixture
async def flaky(app: App, serve: Serve) -> Flaky:
    flaky = Flaky(app)
    flaky.url = await serve(flaky.handle) + "/queues/emails"
    return flaky


class Servers:
    """Server processes of the project, which a test starts and stops."""

    def __init__(self, project: Project, valkey: EmbeddedValkey) -> None:
        self._project = project
        self._valkey = valkey
        self._running: list[Service] = []

    async def start(self) -> Service:
        service = Service(self._project, self._valkey.url, egress=EgressRules.for_development(), max_hold=0.01)
        await service.start()
        self._running.append(service)
        return service

    async def stop(self, service: Service) -> None:
        self._running.remove(service)
        await service.stop(grace=5)

    async def stop_all(self) -> None:
        for service in list(self._running):
            await self.stop(service)


@pytest.fixture
async def servers(project: Project, valkey: EmbeddedValkey) -> t.AsyncIterator[Servers]:
    servers = Servers(project, valkey)
    yield servers
    await servers.stop_all()


def new(service: Service, **opts: t.Any) -> JobToAdd:
    return service.jobs.new("emails", "welcome", None, opts, now=0)


async def kind(service: Service) -> str | None:
    hold = await service.limits.hold("emails")
    return None if hold is None else str(hold["kind"])


async def settle(service: Service, app: App, wait_until: WaitUntil) -> None:
    """Wait until the server is done: let a job of another queue complete."""
    await wait_until(lambda: "emails" in service._hub.queues)
    service._hub.queues["emails"].look_again()
    await service.workers.register("sentinel", Registration.model_validate(app.registration()), replace=None)
    [sentinel] = await service.add([service.jobs.new("sentinel", "sentinel", None, {}, now=0)])

    async def is_done() -> bool:
        return bool((await service.jobs.get("sentinel", sentinel.id))["state"] == "completed")

    await wait_until(is_done)


async def test_410_disables_the_endpoint_over_a_restart_until_its_app_registers(
    servers: Servers, flaky: Flaky, app: App, wait_until: WaitUntil
) -> None:
    flaky.status = 410
    first = await servers.start()
    await first.workers.register("emails", flaky.registration(), replace=None)
    [job] = await first.add([new(first)])
    await wait_until(lambda: flaky.deliveries)
    await servers.stop(first)
    flaky.status = 200
    second = await servers.start()
    await settle(second, app, wait_until)
    assert [delivery["queue"] for delivery in app.deliveries] == ["sentinel"]
    await second.workers.register("emails", flaky.registration(), replace=None)
    await wait_until(lambda: len(app.deliveries) == 2)
    assert app.deliveries[1]["job"]["id"] == job.id


async def test_what_a_registration_through_one_server_ends_the_other_goes_on_with(
    servers: Servers, flaky: Flaky, app: App, wait_until: WaitUntil
) -> None:
    flaky.status = 410
    one, other = await servers.start(), await servers.start()
    await one.workers.register("emails", flaky.registration(), replace=None)
    await wait_until(lambda: other.registry.get("emails"))
    await one.add([new(one)])
    await wait_until(lambda: flaky.deliveries)
    await settle(other, app, wait_until)
    flaky.status = 200
    await one.workers.register("emails", flaky.registration(), replace=None)
    await servers.stop(one)
    await wait_until(lambda: [delivery["queue"] for delivery in app.deliveries].count("emails") == 1)


async def test_deliveries_that_get_410_together_are_one_event(
    servers: Servers, flaky: Flaky, wait_until: WaitUntil
) -> None:
    flaky.status = 410
    flaky.gate.clear()
    one, other = await servers.start(), await servers.start()
    await one.workers.register("emails", flaky.registration(concurrency=4), replace=None)
    await wait_until(lambda: other.registry.get("emails"))
    await one.add([new(one) for _ in range(4)])
    await wait_until(lambda: len(flaky.deliveries) == 4)
    flaky.gate.set()

    async def all_wait() -> bool:
        return (await one.queues.counts("emails"))["waiting"] == 4

    await wait_until(all_wait)
    events = await one._hub.connection.execute("XRANGE", one.jobs.scripts("emails").keys["events"], "-", "+")
    names = [dict(zip(fields[::2], fields[1::2], strict=True))["event"] for _, fields in events]
    assert names.count("endpoint-disabled") == 1


async def test_while_the_circuit_is_open_jobs_wait_and_use_no_attempts(
    service: Service, flaky: Flaky, app: App, wait_until: WaitUntil
) -> None:
    await service.workers.register("emails", flaky.registration(), replace=None)
    added = await service.add([new(service, attempts=2, backoff=3_600_000) for _ in range(8)])
    await wait_until(lambda: len(flaky.deliveries) == 5)
    await settle(service, app, wait_until)
    jobs = [await service.jobs.get("emails", job.id) for job in added]
    assert [job["attemptsMade"] for job in jobs] == [1] * 5 + [0] * 3
    assert [job["attemptsStarted"] for job in jobs[5:]] == [0] * 3


async def test_a_probe_that_succeeds_lets_all_jobs_run(
    servers: Servers, flaky: Flaky, wait_until: WaitUntil
) -> None:
    service = await servers.start()
    await service.workers.register("emails", flaky.registration(), replace=None)
    added = await service.add([new(service) for _ in range(5)])
    await wait_until(lambda: len(flaky.deliveries) == 5)

    async def is_open() -> bool:
        return await kind(service) == "breaker"

    await wait_until(is_open)
    flaky.status = 200
    added = await service.add([new(service) for _ in range(5)])

    async def all_completed() -> bool:
        states = [(await service.jobs.get("emails", job.id))["state"] for job in added]
        return states == ["completed"] * 5

    await wait_until(all_completed)
    assert await kind(service) is None


async def test_unregistering_ends_the_hold_of_the_endpoint(
    service: Service, flaky: Flaky, wait_until: WaitUntil
) -> None:
    flaky.status = 410
    await service.workers.register("emails", flaky.registration(), replace=None)
    await service.add([new(service)])

    async def is_disabled() -> bool:
        return await kind(service) == "disabled"

    await wait_until(is_disabled)
    await service.workers.unregister("emails")
    assert await kind(service) is None


async def test_a_delivery_that_outlives_its_registration_leaves_no_hold(
    service: Service, flaky: Flaky, wait_until: WaitUntil
) -> None:
    flaky.status = 410
    flaky.gate.clear()
    await service.workers.register("emails", flaky.registration(), replace=None)
    await service.add([new(service)])
    await wait_until(lambda: flaky.deliveries)
    await service.workers.unregister("emails")
    flaky.gate.set()
    await wait_until(lambda: not service._hub.queues["emails"].active)
    assert await kind(service) is None


async def test_obliterating_a_queue_leaves_no_hold(service: Service, flaky: Flaky, wait_until: WaitUntil) -> None:
    flaky.status = 410
    await service.workers.register("emails", flaky.registration(), replace=None)
    await service.add([new(service)])
    await wait_until(lambda: kind(service))
    await wait_until(lambda: not service._hub.queues["emails"].active)
    await service.obliterate("emails", force=False)
    assert (await kind(service), await service.limits.rest_left("emails", 0)) == (None, 0)


async def test_the_api_shows_a_hold(
    api: httpx.AsyncClient, service: Service, flaky: Flaky, wait_until: WaitUntil
) -> None:
    flaky.status = 404
    await service.workers.register("emails", flaky.registration(), replace=None)
    await api.post(JOBS, json={"name": "welcome"})

    async def is_held() -> bool:
        return bool((await api.get(QUEUE)).json()["hold"])

    await wait_until(is_held)
    hold = (await api.get(QUEUE)).json()["hold"]
    assert (hold["kind"], hold["since"] < hold["until"], hold["detail"].partition(":")[0]) == (
        "unreachable",
        True,
        "the app answered 404",
    )


async def test_the_api_ends_a_hold(
    api: httpx.AsyncClient, service: Service, flaky: Flaky, app: App, wait_until: WaitUntil
) -> None:
    flaky.status = 410
    await service.workers.register("emails", flaky.registration(), replace=None)
    await api.post(JOBS, json={"name": "welcome"})

    async def is_disabled() -> bool:
        return await kind(service) == "disabled"

    await wait_until(is_disabled)
    flaky.status = 200
    assert (await api.delete(f"{QUEUE}/rate-limited")).json() == {"removed": True}
    await wait_until(lambda: app.deliveries)


async def test_a_hold_counts_as_a_rest_of_the_queue(
    api: httpx.AsyncClient, service: Service, flaky: Flaky, wait_until: WaitUntil
) -> None:
    flaky.status = 429
    await service.workers.register("emails", flaky.registration(), replace=None)
    await api.post(JOBS, json={"name": "welcome"})

    async def is_throttled() -> bool:
        return await kind(service) == "throttled"

    await wait_until(is_throttled)
    assert 0 <= (await api.get(QUEUE)).json()["rateLimitTtl"] <= 5000
