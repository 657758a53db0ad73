"""Fixtures of the server's tests: a real Valkey, engines and services on it, real apps, one way to wait."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import json
import time
import typing as t
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from hypothesis import settings
from hypothesis import strategies as st

from nextmq_handler.protocol.outcomes import Completed
from nextmq_handler.protocol.signing import OUTCOME, signature_headers
from nextmq_handler.rules.views import JobView
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.reports import Report
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.queues.jobs import Jobs, NoSuchJob
from nextmq_server.engine.queues.queues import Queues
from nextmq_server.engine.queues.schedulers import JobSchedulers
from nextmq_server.engine.scripts.scripts import ScriptRunner
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker.gate import Gate
from nextmq_server.engine.worker.hub import Hub
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.service import Service
from tests.support.rest_api import rest_api

settings.register_profile("server", max_examples=100, deadline=None, derandomize=True, print_blob=True)
settings.load_profile("server")

QUEUE = "emails"
_PATIENCE = 30.0
_numbers = itertools.count(1)

Handler = t.Callable[[web.Request], t.Awaitable[web.StreamResponse]]
Serve = t.Callable[[Handler], t.Awaitable[str]]
RawHandler = t.Callable[[asyncio.StreamReader, asyncio.StreamWriter], t.Awaitable[None]]
Listen = t.Callable[[RawHandler], t.Awaitable[int]]


class WaitUntil(t.Protocol):
    async def __call__(self, condition: t.Callable[[], object], /) -> None: ...


async def _until(condition: t.Callable[[], object], /) -> None:
    """Wait until `condition`, plain or async, holds."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        held = condition()
        if inspect.isawaitable(held):
            held = await held
        if held:
            return
        assert time.monotonic() < deadline, f"never came true:\n{inspect.getsource(condition)}"
        await asyncio.sleep(0.005)


class Processor:
    """A fake dispatcher: its verdicts in turn, the last one again and again. Close the `gate` to hold jobs."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.started: list[EngineJob] = []
        self.aborted: list[str] = []
        self.running = 0
        self.most_running = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._verdicts = list(verdicts) or [Completed(None)]

    async def __call__(self, job: EngineJob) -> Verdict:
        self.started.append(job)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
        except asyncio.CancelledError:
            self.aborted.append(job.id)
            raise
        finally:
            self.running -= 1
        return self._verdicts.pop(0) if len(self._verdicts) > 1 else self._verdicts[0]


class Engine:
    """Hubs under one fresh prefix, a producer beside them, and a look at what Redis holds."""

    def __init__(self, url: str) -> None:
        self.address = Address(url)
        self.prefix = f"t{next(_numbers)}"
        self.redis = RedisConnection(self.address, name="test")
        self.keys = ProjectKeys(self.prefix)
        self._runner = ScriptRunner(self.redis, self.keys)
        self.jobs = Jobs(self._runner, self.prefix)
        self.queues = Queues(self.jobs)
        self.schedulers = JobSchedulers(self.jobs)
        self._hubs: list[Hub] = []

    async def open(self) -> None:
        await self.redis.connect()

    async def close(self) -> None:
        for hub in self._hubs:
            await hub.stop(grace=0)
        await self.redis.close()

    async def start_hub(self, *, alone: bool = False, instance_id: str | None = None) -> Hub:
        instance_id = instance_id or f"instance{next(_numbers)}"
        hub = Hub(self.address, self.keys, prefix=self.prefix, instance_id=instance_id, alone=alone)
        await hub.start()
        self._hubs.append(hub)
        return hub

    async def stop_hub(self, hub: Hub, *, grace: float) -> None:
        self._hubs.remove(hub)
        await hub.stop(grace=grace)

    async def run(self, process: Processor, *, queue: str = QUEUE, **options: t.Any) -> Hub:
        """Start a hub that runs `queue`."""
        hub = await self.start_hub()
        await hub.add(queue, RunnerOptions(**options), process)
        return hub

    async def add(self, data: object = None, *, queue: str = QUEUE, **opts: t.Any) -> str:
        now = round(time.time() * 1000)
        return (await self.jobs.add([self.jobs.new(queue, "welcome", data, opts, now=now)]))[0].id

    async def job(self, job_id: str, *, queue: str = QUEUE) -> JobView:
        return await self.jobs.get(queue, job_id)

    async def until_state(self, job_id: str, state: str, *, queue: str = QUEUE) -> JobView:
        """Return the job, once it is in `state`."""

        async def is_there() -> bool:
            try:
                return bool((await self.job(job_id, queue=queue))["state"] == state)
            except NoSuchJob:
                return False

        await _until(is_there)
        return await self.job(job_id, queue=queue)

    async def settle(self, hub: Hub) -> None:
        """Wait until the hub has carried out what it had to do so far: a job of another queue goes through."""
        if "sentinel" not in hub.queues:
            await hub.add("sentinel", RunnerOptions(), Processor())
        await self.until_state(await self.add(queue="sentinel"), "completed", queue="sentinel")

    def key(self, *names: str, queue: str = QUEUE) -> str:
        return ":".join((self.prefix, queue, *names))

    async def field(self, job_id: str, name: str, *, queue: str = QUEUE) -> str | None:
        """Return a field of the job's hash."""
        return t.cast("str | None", await self.redis.execute("HGET", self.key(job_id, queue=queue), name))


class App:
    """An app's side of the wire: takes deliveries at `url`, answers each with `outcome`, signed."""

    def __init__(self, project: Project) -> None:
        self.url = ""
        self.outcome: dict[str, t.Any] = {"outcome": "completed", "returnValue": "sent"}
        self.deliveries: list[dict[str, t.Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._project = project

    async def handle(self, request: web.Request) -> web.Response:
        delivery = await request.json()
        self.deliveries.append(delivery)
        await self.gate.wait()
        body = json.dumps(self.outcome).encode()
        seal = signature_headers(
            self._project.secrets, delivery["deliveryId"], int(time.time()), body, context=OUTCOME
        )
        headers = {name.decode(): value.decode() for name, value in seal}
        return web.Response(body=body, headers=headers, content_type="application/json")

    def registration(self, **changes: t.Any) -> dict[str, t.Any]:
        """Return the registration of the app."""
        secret_ids = [secret.id for secret in self._project.secrets]
        return {"url": self.url, "options": {}, "secretIds": secret_ids, "fingerprint": "f1", **changes}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    """Give a function that waits until a sync or async condition holds, and fails the test if it never does."""
    return _until


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[EmbeddedValkey]:
    """Start the Valkey that the tests share. Each test uses its own prefix or project."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"), fsync="no")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_valkey(tmp_path: Path) -> t.Iterator[EmbeddedValkey]:
    """Start a Valkey that the test may stop or configure."""
    server = EmbeddedValkey(tmp_path / "own")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def processor() -> type[Processor]:
    """Give the class of a fake dispatcher, made of verdicts."""
    return Processor


@pytest.fixture
async def engine(valkey: EmbeddedValkey) -> t.AsyncIterator[Engine]:
    """Give an engine on a fresh prefix, whose hubs stop after the test."""
    engine = Engine(valkey.url)
    await engine.open()
    yield engine
    await engine.close()


@pytest.fixture
async def own_engine(own_valkey: EmbeddedValkey) -> t.AsyncIterator[Engine]:
    """Give an engine on a Valkey that the test may stop."""
    engine = Engine(own_valkey.url)
    await engine.open()
    yield engine
    await engine.close()


@pytest.fixture
def gate(engine: Engine) -> Gate:
    """Give the gate of a queue that no hub runs."""
    return Gate(engine.jobs.scripts(QUEUE))


@pytest.fixture
def project() -> Project:
    """Give a new project with a fresh name and BullMQ prefix."""
    number = next(_numbers)
    fresh = new_project(f"project{number}")
    return Project(fresh.name, fresh.api_keys, fresh.webhook_secrets, prefix=f"t{number}")


@pytest.fixture
def reports() -> list[Report]:
    """Give the list of the deliveries that the service reports."""
    return []


@pytest.fixture
async def service(valkey: EmbeddedValkey, project: Project, reports: list[Report]) -> t.AsyncIterator[Service]:
    """Run a service of the project."""
    service = Service(project, valkey.url, egress=EgressRules.for_development(), report=reports.append)
    await service.start()
    yield service
    await service.stop(grace=0)


@pytest.fixture
async def api(service: Service, project: Project) -> t.AsyncIterator[httpx.AsyncClient]:
    """Give a client of the service's REST API, with the project's key."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(rest_api(service)),
        base_url="http://server.example",
        headers={"authorization": f"Bearer {project.api_key}"},
    ) as client:
        yield client


@pytest.fixture
async def serve() -> t.AsyncIterator[Serve]:
    """Give a function that serves a handler on a free port, for every path, and returns the URL."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def listen() -> t.AsyncIterator[Listen]:
    """Give a function that serves raw bytes: `handle` gets each connection to the free port that it returns."""
    servers: list[asyncio.Server] = []
    tasks: list[asyncio.Task[None]] = []

    async def start(handle: RawHandler) -> int:
        async def handle_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with contextlib.suppress(OSError):
                    await handle(reader, writer)
            finally:
                writer.close()

        def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.append(asyncio.create_task(handle_one(reader, writer)))

        servers.append(await asyncio.start_server(on_connection, "127.0.0.1", 0))
        return int(servers[-1].sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def app(serve: Serve, project: Project) -> App:
    """Run an app of the project."""
    app = App(project)
    app.url = await serve(app.handle) + "/queues/emails"
    return app


@pytest.fixture(scope="session")
def json_values() -> st.SearchStrategy[t.Any]:
    """Any JSON."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=10,
    )
