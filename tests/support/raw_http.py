"""Servers that write arbitrary bytes, for the tests of the delivery client."""

from __future__ import annotations

import asyncio
import socket
import struct
import typing as t

from nextmq_handler.protocol.messages import Headers
from nextmq_server.dispatch.http.client import DeliveryClient

RawHandler = t.Callable[[asyncio.StreamReader, asyncio.StreamWriter], t.Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"

# Self-signed, for localhost and 127.0.0.1, valid until 2126; no system trusts it.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUMmcf7pdSDwnzbbb/wMz7UisbMYMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzAyNTYyNVoYDzIxMjYxMDMw
MDI1NjI1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQAPajXE8tQVz60LcX1ES+mwvBvVxpLs8mpkXyGi7u+dzwaLY+5UGiB
Vk9d5b6Y9p+odk3N+lNILFUIKAkmm9NIo28wbTAdBgNVHQ4EFgQUTF1y/TmWPYF9
qiFJ8gIK/0iQhegwHwYDVR0jBBgwFoAUTF1y/TmWPYF9qiFJ8gIK/0iQhegwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgHbu/ZRRaqqz3oyp0sqAEYzU5fNmcoCHYyCL+Vdm5W84CIHUz
YuEMCqiq7vpbdm1EeyfW60Vg+wUfahnOqrBG6JGg
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgr5UeeQfJjbUVPzRp
vyXWo/9526Y5DmiMJA0ETkRUSkihRANCAAQAPajXE8tQVz60LcX1ES+mwvBvVxpL
s8mpkXyGi7u+dzwaLY+5UGiBVk9d5b6Y9p+odk3N+lNILFUIKAkmm9NI
-----END PRIVATE KEY-----
"""


class Sent(t.NamedTuple):
    """A request as received."""

    line: bytes
    headers: Headers
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Sent:
    """Read one request. Raises IncompleteReadError if the connection ends before it is whole."""
    line, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    headers = Headers((name, value) for name, _, value in (line.partition(b": ") for line in lines))
    return Sent(line, headers, await reader.readexactly(int(headers.all(b"content-length")[0])))


def answering(*parts: bytes, reset: bool = False) -> RawHandler:
    """Return a handler that reads a request, writes the parts, and closes or resets the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    return handle


async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read until the client closes, and answer nothing."""
    await reader.read(-1)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def answer_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()


async def close_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


class Recorder:
    """A handler that answers each request, on kept-alive connections, with the next of its answers."""

    def __init__(self, *answers: bytes) -> None:
        self.requests: list[Sent] = []
        self.connections = 0
        self._answers = iter(answers)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for answer in self._answers:
            self.requests.append(await read_request(reader))
            writer.write(answer)
            await writer.drain()


async def until_reusable(client: DeliveryClient) -> None:
    """Wait until the client uses connections again to every origin that it keeps one to."""
    async with asyncio.timeout(30):
        while not all(known.idle.limit for known in client._pool._origins.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def keep_for_long(client: DeliveryClient) -> None:
    """Have the client use its idle connections again, however long they were idle."""
    await until_reusable(client)
    for known in client._pool._origins.values():
        known.idle.stayed_open(60)
