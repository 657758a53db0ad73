"""The app of benchmarks/dispatch.py, as fast as Python allows: `python -m benchmarks.dispatch_receiver`.

It prints its port and answers every POST with a signed outcome whose return value is the time of the answer.
"""

from __future__ import annotations

import asyncio
import time
import typing as t

import httptools
import uvloop

from .floor import sealed


class Receiver(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = t.cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self._id = b"unsigned"

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-nextmq-id":
            self._id = value

    def on_message_complete(self) -> None:
        body, sent_at, signature = sealed(self._id, time.time() * 1000)
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"x-nextmq-id: %s\r\nx-nextmq-timestamp: %s\r\nx-nextmq-signature: %s\r\n\r\n"
        )
        self._transport.write(head % (len(body), self._id, sent_at, signature) + body)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, backlog=1024)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
