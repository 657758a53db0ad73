"""The processes of benchmarks/fairness.py: `python -m benchmarks.fairness_apps apps`, or `… serve OPTIONS`.

`apps` serves hostile apps and prints their ports. `serve` is `nextmq serve` on a machine whose name server takes
8 s for some names.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
import typing as t
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer

import uvloop

from tests.support.raw_http import OK, RawHandler, read_request

from .floor import sealed

SLOW_NAMES = ".slow.example"
LOOKUP_TIME = 8.0
"""How long, in s, a lookup of one of these names takes."""

CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def endless(head: bytes, part: bytes) -> RawHandler:
    """Answer with `head`, then with `part` again and again."""

    async def handle(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(head)
        while True:
            writer.write(part)
            await writer.drain()

    return handle


async def never(reader: Reader, writer: Writer) -> None:
    """Read everything and answer nothing."""
    while await reader.read(65_536):
        pass


async def answer(reader: Reader, writer: Writer) -> None:
    """Answer one request with a signed outcome."""
    request = await read_request(reader)
    if b'"bad"' in request.body:
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        return
    [id] = request.headers.all(b"x-nextmq-id")
    body, sent_at, signature = sealed(id, None)
    head = b"content-length: %d\r\nx-nextmq-id: %s\r\nx-nextmq-timestamp: %s\r\nx-nextmq-signature: %s\r\n\r\n"
    writer.write(OK + b"content-type: application/json\r\n" + head % (len(body), id, sent_at, signature) + body)


async def firewall(reader: Reader, writer: Writer) -> None:
    """Refuse some jobs for what is in them."""
    while True:
        await answer(reader, writer)


async def hasty(reader: Reader, writer: Writer) -> None:
    """Close a connection that was idle for 50 ms."""
    await answer(reader, writer)
    while True:
        async with asyncio.timeout(0.05):
            await answer(reader, writer)


APPS: dict[str, RawHandler] = {
    "never answers": never,
    "refuses some jobs": firewall,
    "closes idle connections": hasty,
    "informational answers": endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000),
    "chunk extensions": endless(CHUNKED, b"1;" + b"e" * 60_000 + b"\r\nx\r\n"),
    "small chunks": endless(CHUNKED, b"1\r\nx\r\n" * 10_000),
}


async def serve_app(app: RawHandler) -> int:
    """Serve the handler; return its port."""

    async def handle(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            await app(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1024)
    return int(server.sockets[0].getsockname()[1])


async def serve_apps() -> None:
    print(json.dumps({name: await serve_app(app) for name, app in APPS.items()}), flush=True)
    await asyncio.Event().wait()


def serve() -> None:
    """Run `nextmq serve` with the slow name server."""
    from nextmq_server.__main__ import main

    ask = socket.getaddrinfo

    def getaddrinfo(host: t.Any, *args: t.Any, **options: t.Any) -> t.Any:
        if str(host).endswith(SLOW_NAMES):
            time.sleep(LOOKUP_TIME)
            host = "127.0.0.1"
        return ask(host, *args, **options)

    socket.getaddrinfo = getaddrinfo
    main()


if __name__ == "__main__":
    uvloop.run(serve_apps()) if sys.argv[1] == "apps" else serve()
