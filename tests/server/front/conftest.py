"""A server behind a front, on both event loops, with an app that does what a path says; clients of raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import typing as t

import pytest
from starlette.types import Message, Receive, Scope, Send

from nextmq_server.front import bounds, caller
from nextmq_server.front.front import Front
from nextmq_server.serving import HTTPServer
from tests.support.serving import running

OK = b"HTTP/1.1 200 OK\r\n"
BIG = 8 * 1024 * 1024
PATIENCE = 8.0
"""How long, in s, a test waits for the end of a connection: less than HEAD_TIMEOUT, which ends each."""


class FakeApp:
    """An ASGI app whose paths say what it does. `calls` are their paths, `bodies` what it read."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.bodies: list[bytes] = []
        self.ended: list[str] = []
        self.release = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        self.calls.append(path)
        try:
            await self._answer(path, scope, receive, send)
        finally:
            self.ended.append(path)

    async def _answer(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path == "/known":
            caller.admit(scope)
        elif path == "/wrong":
            await caller.refuse(scope, "sent a wrong API key")
        elif path == "/wait":
            await self.release.wait()
        if path == "/read":
            body = b""
            message: Message = {"more_body": True}
            while message.get("more_body"):
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body += message["body"]
            self.bodies.append(body)
        if path == "/endless":
            await send({"type": "http.response.start", "status": 200})
            gone = asyncio.create_task(_gone(receive))
            while not gone.done():
                await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
            return
        content = b"x" * BIG if path == "/big" else b"ok"
        headers = [(b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Client:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        """Write the parts, each by itself; nothing more once the server has reset the connection."""
        with contextlib.suppress(ConnectionError):
            for part in parts:
                self.writer.write(part)
                await self.writer.drain()
                await asyncio.sleep(0)

    async def answer(self) -> tuple[int, bytes]:
        """Read one answer that has a content-length: its status, its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return int(head.split()[1]), await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Read to the end; a reset ends it too. Fails the test if the server does not end the connection."""
        with contextlib.suppress(ConnectionError):
            try:
                async with asyncio.timeout(PATIENCE):
                    return await self.reader.read(-1)
            except TimeoutError:
                raise AssertionError("the server did not end the connection") from None
        return b""

    def reset(self) -> None:
        """Reset the connection, unless it is closed."""
        if self.writer.transport.is_closing():
            return
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


class Fronted:
    """A running server: its app, its front, its connections."""

    def __init__(self, app: FakeApp, front: Front, server: HTTPServer, port: int) -> None:
        self.app = app
        self.front = front
        self.port = port
        self._server = server
        self._clients: list[Client] = []

    @property
    def open(self) -> int:
        """How many connections the server has."""
        return len(self._server.server_state.connections)

    async def connect(self) -> Client:
        """Open a connection, closed after the test."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    async def talk(self, *parts: bytes) -> bytes:
        """Send the parts over a new connection; return all that comes back, to its end."""
        client = await self.connect()
        sending = asyncio.create_task(client.send(*parts))
        said = await client.rest()
        sending.cancel()
        return said

    def close_clients(self) -> None:
        """Reset all connections."""
        for client in self._clients:
            client.reset()


Serve = t.Callable[..., t.AsyncContextManager[Fronted]]


@contextlib.asynccontextmanager
async def _fronted(**options: t.Any) -> t.AsyncGenerator[Fronted]:
    app, front = FakeApp(), Front(**options)
    server = HTTPServer(app, shutdown_timeout=1, front=front)
    async with running(server) as port:
        fronted = Fronted(app, front, server, port)
        try:
            async with asyncio.timeout(30):
                yield fronted
        finally:
            app.release.set()
            fronted.close_clients()
            for task in server.server_state.tasks:
                task.cancel()


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run each test on both event loops: their transports differ."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def front_of() -> Serve:
    """Give a function that serves behind a front with these options."""
    return _fronted


@pytest.fixture
async def fronted() -> t.AsyncIterator[Fronted]:
    """Serve behind a front."""
    async with _fronted() as fronted:
        yield fronted


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the front's times short."""
    monkeypatch.setattr(bounds, "SWEEP", 0.01)
    monkeypatch.setattr(bounds, "MIN_BODY_RATE", 2**30)
    for name in ("HEAD_TIMEOUT", "BODY_TIMEOUT", "SEND_TIMEOUT", "LINGER"):
        monkeypatch.setattr(bounds, name, 0.06)
