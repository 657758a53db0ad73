"""The apps of benchmarks/hostile.py: `python -m benchmarks.hostile_receivers`, which prints their ports."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer

import uvloop

from tests.support.raw_http import OK, RawHandler, answering, endless, read_request

BOMB = gzip.compress(bytes(1_000_000), mtime=0) * 400


async def drip(reader: Reader, writer: Writer) -> None:
    """Send a body of one byte per second."""
    await read_request(reader)
    writer.write(OK + b"content-length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(1)


async def redirect(reader: Reader, writer: Writer) -> None:
    """Answer with 60 redirects, each to the next."""
    for number in range(60):
        await read_request(reader)
        writer.write(b"HTTP/1.1 307 Moved\r\nlocation: /%d\r\ncontent-length: 0\r\n\r\n" % number)
        await writer.drain()


async def promise(reader: Reader, writer: Writer) -> None:
    """Fewer bytes than the length says, and an open line."""
    await read_request(reader)
    writer.write(OK + b"content-length: 1000000\r\n\r\nabc")
    await reader.read()


APPS: dict[str, RawHandler] = {
    "endless body": endless,
    "a byte a second": drip,
    "gzip bomb of 400 MB": answering(
        OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB), BOMB
    ),
    "60 redirects": redirect,
    "reset within the body": answering(OK + b"content-length: 1000\r\n\r\nabc", reset=True),
    "length too large": promise,
    "length too small": answering(OK + b"content-length: 2\r\n\r\n" + b"x" * 100_000),
}


async def serve(app: RawHandler) -> int:
    """Serve the handler; return its port."""

    async def handle(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(OSError, EOFError):
            await app(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


async def main() -> None:
    print(json.dumps({name: await serve(app) for name, app in APPS.items()}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
