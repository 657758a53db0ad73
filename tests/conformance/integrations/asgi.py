"""The ASGI integrations of this process: alone and mounted in frameworks. Bodies arrive in chunks."""

from __future__ import annotations

import asyncio
import itertools
import typing as t
from collections.abc import Iterator

from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from litestar import Litestar, asgi
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nextmq_adapters.fastapi import nextmq_router
from nextmq_handler import create_nextmq_handler

from ..setups import WORKERS, mount_of, setups
from .integration import Answer, HeaderList, split_mount, split_target

CHUNK = 64 * 1024


class ASGIIntegration:
    """Calls an ASGI app as a server does, on the loop of `portal`."""

    def __init__(self, app: ASGIApp, portal: BlockingPortal) -> None:
        self._app = app
        self._portal = portal

    def send(self, method: str, target: str, headers: HeaderList, body: bytes, *, stalls: bool = False) -> Answer:
        path, query = split_target(target)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": path.decode("utf-8", "replace"),
            "raw_path": target.partition("?")[0].encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in headers],
            "client": ("192.0.2.1", 50000),
            "server": ("app.example", 443),
            "state": {},
        }
        return self._portal.call(_call, self._app, scope, body, stalls)


async def _call(app: ASGIApp, scope: Scope, body: bytes, stalls: bool) -> Answer:
    messages = _messages(body, stalls=stalls)
    sent: list[Message] = []

    async def receive() -> Message:
        for message in messages:
            return message
        await asyncio.Event().wait()  # the caller stays
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * len(rest)]
    assert not rest[-1].get("more_body", False)
    headers = [(name.lower(), value) for name, value in start.get("headers", [])]
    return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in rest))


def _messages(body: bytes, *, stalls: bool) -> Iterator[Message]:
    """`body` in chunks of many sizes, an empty one among them."""
    cuts = [0, 1, 1, len(body) // 2, *range(len(body) // 2 + CHUNK, len(body), CHUNK), len(body)]
    chunks = [body[start:end] for start, end in itertools.pairwise(cuts)]
    for chunk in chunks[:3] if stalls else chunks[:-1]:
        yield {"type": "http.request", "body": chunk, "more_body": True}
    if not stalls:
        yield {"type": "http.request", "body": chunks[-1], "more_body": False}


def alone() -> ASGIApp:
    """No framework: the handler is the server's app."""
    apps = {name: create_nextmq_handler(WORKERS, **options) for name, options in setups().items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        setup, path = split_mount(scope["path"])
        await apps[setup]({**scope, "path": path}, receive, send)

    return app


def starlette_mount() -> ASGIApp:
    return Starlette(
        routes=[
            Mount(mount_of(name), create_nextmq_handler(WORKERS, **options)) for name, options in setups().items()
        ]
    )


def fastapi_mount() -> ASGIApp:
    app = FastAPI()
    for name, options in setups().items():
        app.mount(mount_of(name), create_nextmq_handler(WORKERS, **options))
    return app


def fastapi_router() -> ASGIApp:
    app = FastAPI()
    for name, options in setups().items():
        app.include_router(nextmq_router(WORKERS, **options), prefix=mount_of(name))
    return app


def litestar_mount() -> ASGIApp:
    return t.cast(
        "ASGIApp",
        Litestar(
            [
                asgi(mount_of(name), is_mount=True, copy_scope=True)(create_nextmq_handler(WORKERS, **options))
                for name, options in setups().items()
            ],
            logging_config=None,
        ),
    )
