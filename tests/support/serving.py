"""The REST API over real connections, for streams, long waits and clients that disconnect."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import typing as t
from dataclasses import dataclass

import httpx

from nextmq_server.front.front import Front
from nextmq_server.service import Service
from nextmq_server.serving import HTTPServer
from tests.support.rest_api import rest_api


@contextlib.asynccontextmanager
async def running(server: HTTPServer) -> t.AsyncGenerator[int]:
    """Run a server on a free port of this loop, and yield the port.

    uvicorn's own `serve` and `shutdown` look each 0.1 s whether there is something to do: much for a short test.
    """
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        await server.startup(sockets=[listener])
        await server.on_tick(0)
        try:
            yield listener.getsockname()[1]
        finally:
            for each in server.servers:
                each.close()
            for connection in tuple(server.server_state.connections):
                connection.shutdown()
            async with asyncio.timeout(30):
                while server.server_state.connections or server.server_state.tasks:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def serving(
    service: Service, *others: Service, front: Front | None = None
) -> t.AsyncGenerator[httpx.AsyncClient]:
    """Serve the API of the services on a free port; yield a client with the key of the first."""
    app = rest_api(service, *others)
    server = HTTPServer(app, shutdown_timeout=60, front=front or Front())
    async with (
        running(server) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"authorization": f"Bearer {service.project.api_key}"},
            timeout=60,
        ) as client,
    ):
        yield client


@dataclass
class Message:
    """A server-sent event, as a client of the WHATWG specification would read it."""

    id: str = ""
    event: str = ""
    data: t.Any = None
    retry: str = ""
    comment: str = ""


class EventSource:
    """A reader of the messages of an answer."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def block(self) -> Message:
        """Read the next block of lines. Raises StopAsyncIteration after the last."""
        message = Message()
        while line := await anext(self._lines):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            setattr(message, name or "comment", json.loads(value) if name == "data" else value)
        return message

    async def events(self, count: int) -> list[Message]:
        """Read the next events; skip comments and blocks that only set an id."""
        found: list[Message] = []
        while len(found) < count:
            message = await self.block()
            if message.event:
                found.append(message)
        return found

    async def rest(self) -> list[Message]:
        """Read all events until the stream ends. Raises httpx.RemoteProtocolError if it breaks instead."""
        found: list[Message] = []
        with contextlib.suppress(StopAsyncIteration):
            while True:
                found += await self.events(1)
        return found


@contextlib.asynccontextmanager
async def streaming(client: httpx.AsyncClient, path: str, **options: t.Any) -> t.AsyncGenerator[EventSource]:
    """Open a stream of events and read the block that it begins with."""
    async with client.stream("GET", path, **options) as response:
        response.raise_for_status()
        source = EventSource(response)
        await source.block()
        yield source
