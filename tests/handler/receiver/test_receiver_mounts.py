"""Where the ASGI app may hang: alone, mounted, below a server's root path; and scopes that are not HTTP."""

import typing as t

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message

from nextmq_handler import Worker
from nextmq_handler.asgi import NextMQHandler
from tests.support.handler import deliver, delivery, encode, make_handler, send

pytestmark = pytest.mark.anyio

GOOD = encode(delivery())


def make() -> NextMQHandler:
    return make_handler(Worker("emails", lambda job: "done"))


def fastapi() -> ASGIApp:
    app = FastAPI()
    app.mount("/api/nextmq", make())
    return app


def fastapi_in_fastapi() -> ASGIApp:
    inner, outer = FastAPI(), FastAPI()
    inner.mount("/nextmq", make())
    outer.mount("/api", inner)
    return outer


MOUNTS: dict[str, ASGIApp] = {
    "starlette": Starlette(routes=[Mount("/api/nextmq", make())]),
    "starlette, with a slash": Starlette(routes=[Mount("/api/nextmq/", make())]),
    "starlette in starlette": Starlette(routes=[Mount("/api", routes=[Mount("/nextmq", make())])]),
    "starlette, below a parameter": Starlette(routes=[Mount("/api/{tenant}", make())]),
    "fastapi": fastapi(),
    "fastapi in fastapi": fastapi_in_fastapi(),
}


@pytest.mark.parametrize("app", MOUNTS.values(), ids=MOUNTS)
async def test_a_mounted_handler_takes_deliveries_below_its_mount(app: ASGIApp) -> None:
    assert (await send(app, GOOD, path="/api/nextmq/queues/emails")).status == 200


@pytest.mark.parametrize("app", MOUNTS.values(), ids=MOUNTS)
async def test_a_mounted_handler_answers_health_below_its_mount(app: ASGIApp) -> None:
    assert (await send(app, path="/api/nextmq/health", method="GET", headers=[])).status == 200


@pytest.mark.parametrize("app", MOUNTS.values(), ids=MOUNTS)
async def test_a_mounted_handler_knows_its_paths_only(app: ASGIApp) -> None:
    answer = await send(app, GOOD, path="/api/nextmq/api/nextmq/queues/emails")
    assert answer.status == 404


@pytest.mark.parametrize("mount", ["", "/"])
async def test_a_handler_mounted_at_the_root_takes_deliveries(mount: str) -> None:
    assert (await send(Starlette(routes=[Mount(mount, make())]), GOOD)).status == 200


async def test_a_mount_may_be_called_like_the_protocols_own_path() -> None:
    app = Starlette(routes=[Mount("/queues", make())])
    assert (await send(app, GOOD, path="/queues/queues/emails")).status == 200


async def test_a_handler_alone_takes_deliveries() -> None:
    assert await deliver(make()) == {"outcome": "completed", "returnValue": "done"}


@pytest.mark.parametrize(
    ("root_path", "path", "status"),
    [
        ("", "/health", 200),
        ("/api", "/api/health", 200),
        ("/api", "/health", 200),
        ("/api/v1", "/api/v1/health", 200),
        ("/api", "/apis/health", 404),
        ("/api", "/api/api/health", 404),
        ("/health", "/health/health", 200),
        ("/health", "/health", 200),
        ("/api", "/api", 404),
        ("/queues", "/queues/health", 200),
    ],
)
async def test_a_servers_root_path_is_taken_off_where_it_is_there(root_path: str, path: str, status: int) -> None:
    answer = await send(make(), path=path, method="GET", headers=[], root_path=root_path)
    assert answer.status == status


async def ok(request: object) -> PlainTextResponse:
    return PlainTextResponse("ok")


@pytest.mark.parametrize("root_path", ["", "/prod", "/prod/", "/"])
@pytest.mark.parametrize("path", ["/api/nextmq/health", "/prod/api/nextmq/health", "/api/health", "/health"])
async def test_a_mounted_handler_is_found_where_starlettes_own_app_would_be(root_path: str, path: str) -> None:
    theirs = Starlette(routes=[Mount("/api/nextmq", Starlette(routes=[Route("/health", ok)]))])
    ours = Starlette(routes=[Mount("/api/nextmq", make())])
    statuses = [
        (await send(app, path=path, method="GET", headers=[], root_path=root_path)).status
        for app in (theirs, ours)
    ]
    assert statuses[0] == statuses[1]


async def test_a_websocket_is_closed() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def keep(message: t.MutableMapping[str, t.Any]) -> None:
        sent.append(message)

    await make()({"type": "websocket", "path": "/queues/emails", "headers": []}, receive, keep)
    assert [message["type"] for message in sent] == ["websocket.close"]
