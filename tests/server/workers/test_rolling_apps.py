"""A rolling deploy with real apps behind one URL: ASGI, Flask, Django and Lambda processes of two versions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import typing as t

import pytest
from aiohttp import web

from nextmq_handler import ensure_workers_registered
from nextmq_server.dispatch import dispatcher as dispatcher_module
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.serving import HTTPServer, base_url, listen
from nextmq_server.workers import workers as workers_module
from tests.conformance.integrations.aws_lambda import function_url, read_single
from tests.conformance.integrations.integration import Answer, HeaderList
from tests.conformance.integrations.processes import start_function, start_server
from tests.conformance.runtime_api import RuntimeAPI
from tests.support.rest_api import rest_api

from .rolling_app import worker

if t.TYPE_CHECKING:
    from ..conftest import Serve, WaitUntil

pytestmark = pytest.mark.anyio

APP = "tests.server.workers.rolling_app"
SERVERS = {
    "ASGI": (["uvicorn", "--factory", f"{APP}:asgi", "--port", "0", "--no-access-log"], "running on http://"),
    "Flask": (["gunicorn", f"{APP}:flask()", "--bind", "127.0.0.1:0"], "Listening at: http://"),
    "Django": (["gunicorn", f"{APP}:django()", "--bind", "127.0.0.1:0"], "Listening at: http://"),
}


class Instance(t.Protocol):
    """A process of the app."""

    def send(self, method: str, target: str, headers: HeaderList, body: bytes) -> Answer: ...

    def stop(self) -> None: ...


class Function:
    """An execution environment of a Lambda function."""

    def __init__(self, env: dict[str, str]) -> None:
        self.api = RuntimeAPI()
        self.child = start_function(f"{APP}.function", self.api, env)

    def send(self, method: str, target: str, headers: HeaderList, body: bytes) -> Answer:
        return read_single(self.api.invoke(function_url(method, target, headers, body)))

    def stop(self) -> None:
        self.child.kill()
        self.api.stop()


class Deployment:
    """The app's URL: the instances behind it take the requests in turn."""

    def __init__(self) -> None:
        self.url = ""
        self.behind: list[Instance] = []
        self.answered = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.answered += 1
        instance = self.behind[self.answered % len(self.behind)]
        headers = [(name.lower(), value) for name, value in request.raw_headers if name.lower() in _PASSED]
        body = await request.read()
        headers.append((b"content-length", str(len(body)).encode()))
        answer = await asyncio.to_thread(instance.send, request.method, request.path, headers, body)
        return web.Response(
            status=answer.status,
            body=answer.body,
            headers={
                name.decode(): value.decode() for name, value in answer.headers if name in (*_PASSED, b"allow")
            },
        )


_PASSED = (b"content-type", b"x-nextmq-id", b"x-nextmq-timestamp", b"x-nextmq-signature")


class Clock:
    """The clock of the registry, in Unix s, ahead of the real one."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
async def url(service: Service, project: Project) -> t.AsyncIterator[str]:
    """Serve the API over HTTP; return the project's NEXTMQ_URL."""
    with listen("127.0.0.1", 0, command="the test") as listener:
        server = HTTPServer(rest_api(service), shutdown_timeout=1)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield project.connection_string(base_url("127.0.0.1", listener))
        server.should_exit = True
        await serving


@pytest.mark.parametrize("integration", [*SERVERS, "Lambda"])
async def test_a_rolling_deploy_there_and_back_leaves_the_version_deployed_last(
    service: Service,
    url: str,
    serve: Serve,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
    integration: str,
) -> None:
    clock = Clock()
    monkeypatch.setattr(service.registry, "_clock", clock)
    monkeypatch.setattr(workers_module, "HEARD_INTERVAL", 0.0)
    monkeypatch.setattr(dispatcher_module, "TELL_INTERVAL", 0.0)
    deployment = Deployment()
    deployment.url = await serve(deployment.handle) + "/nextmq"
    finished = registered = 0
    register = service.workers.register

    async def counted(*args: t.Any, **options: t.Any) -> t.Any:
        nonlocal registered
        try:
            return await register(*args, **options)
        finally:
            registered += 1

    monkeypatch.setattr(service.workers, "register", counted)

    def start(version: str) -> Instance:
        env = {"NEXTMQ_URL": url, "NEXTMQ_APP_URL": deployment.url, "VERSION": version, "NEXTMQ_RELEASE": version}
        if integration == "Lambda":
            return Function(env)
        arguments, announcement = SERVERS[integration]
        return start_server(arguments, announcement, env)

    async def run(jobs: int) -> None:
        """Run jobs, and see that none is lost."""
        nonlocal finished
        for _ in range(jobs):
            await service.add([service.jobs.new("emails", "welcome", None, {}, now=0)])
        finished += jobs

        async def all_completed() -> bool:
            return (await service.queues.counts("emails"))["completed"] == finished

        await wait_until(all_completed)
        await wait_until(lambda: not service.workers._hearing)

    async def is_held(version: str) -> None:
        async def is_so() -> bool:
            held = service.registry.get("emails")
            schedules = await service.schedulers.page("emails", 0, 99, ascending=True)
            return held is not None and [
                held.release,
                str(held.options.concurrency),
                *(name for name in json.loads(held.schemas or "{}") if name.startswith("j")),
                *(scheduler.view["id"] for scheduler in schedules),
            ] == [version, version, f"j{version}", f"s{version}"]

        await wait_until(is_so)

    async def asked(instance: Instance) -> None:
        """Let the instance register, as a health check does."""
        assert (await asyncio.to_thread(instance.send, "GET", "/nextmq/health", [], b"")).status == 200

    def deploy_step(version: str) -> None:
        ensure_workers_registered([worker(version)], url=url, app_url=deployment.url, release=version, deploy=True)

    async with contextlib.AsyncExitStack() as stack:
        old, new, late = await asyncio.gather(*(asyncio.to_thread(start, version) for version in "121"))
        for instance in (old, new, late):
            stack.callback(instance.stop)
        # An ASGI app registers when it starts, in its own time: begin when all have.
        await wait_until(lambda: integration != "ASGI" or registered >= len((old, new, late)))
        await asyncio.to_thread(deploy_step, "1")
        deployment.behind = [old]
        await run(1)
        await is_held("1")
        await asyncio.to_thread(deploy_step, "2")
        deployment.behind = [old, new]
        await run(6)
        await is_held("2")
        clock.ahead += 3600
        await asked(late)
        deployment.behind = [late]
        await run(1)
        await is_held("2")
        deployment.behind = [late, new]
        await run(4)
        await is_held("2")
        await asyncio.to_thread(deploy_step, "1")
        await run(4)
        await is_held("1")
        await asyncio.to_thread(deploy_step, "2")
        deployment.behind = [old, late]  # and back, without a step
        await asyncio.to_thread(new.stop)
        for _ in range(5):
            await is_held("2")
            clock.ahead += 60
            await run(2)

        async def is_back() -> bool:
            await run(1)  # the instance asks beside it, once it has its last answer
            held = service.registry.get("emails")
            return held is not None and held.release == "1"

        await wait_until(is_back)
        await is_held("1")
