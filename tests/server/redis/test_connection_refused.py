"""A Redis that is not there, or is none: one kind of error that says what to look at, and nothing left open."""

from __future__ import annotations

import asyncio
import socket
import typing as t
from pathlib import Path

import pytest

from nextmq_handler.errors import ConfigurationError
from nextmq_server.redis import primary
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection

if t.TYPE_CHECKING:
    from ..conftest import Listen, RawHandler

pytestmark = pytest.mark.anyio


async def refusal(url: str) -> str:
    """Return the error of connecting to `url`."""
    connection = RedisConnection(Address(url), name="test")
    with pytest.raises(ConfigurationError) as caught:
        await connection.connect()
    await connection.close()
    return str(caught.value)


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close at once."""


async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await reader.read()


async def refuse_the_password(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"-WRONGPASS no\r\n+OK\r\n")
    await reader.read()


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_a_closed_port_says_to_look_at_redis_url() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        text = await refusal(f"redis://127.0.0.1:{port}")
    assert text.startswith(f"cannot reach Redis at redis://127.0.0.1:{port}/0: ")
    assert "--redis-url" in text


async def test_a_socket_that_is_not_there_says_to_look_at_redis_url(tmp_path: Path) -> None:
    assert "--redis-url" in await refusal(f"unix://{tmp_path}/nothing.sock")


async def test_a_name_that_does_not_resolve_says_to_look_at_redis_url() -> None:
    assert "--redis-url" in await refusal("redis://nowhere.invalid")


@pytest.mark.parametrize("url", ["redis://a..b", "redis://%00", "unix:///a%00b"])
async def test_what_can_be_no_host_says_to_look_at_redis_url(url: str) -> None:
    assert "--redis-url" in await refusal(url)


async def test_of_several_hosts_each_is_named_with_its_reason(listen: Listen) -> None:
    ports = [await listen(speak_http), await listen(refuse_the_password)]
    text = await refusal(f"redis://:hunter2@127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}")
    assert f"127.0.0.1:{ports[0]}: Protocol error" in text
    assert f"127.0.0.1:{ports[1]}: it refused the connection: WRONGPASS no" in text


@pytest.mark.parametrize("handle", [hang_up, speak_http, say_nothing])
async def test_a_server_that_is_no_redis_says_to_look_at_redis_url(
    listen: Listen, handle: RawHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(primary, "CONNECT_TIMEOUT", 0.2)
    assert "--redis-url" in await refusal(f"redis://127.0.0.1:{await listen(handle)}")


async def test_tls_to_a_server_without_it_says_to_look_at_redis_url(listen: Listen) -> None:
    assert "--redis-url" in await refusal(f"rediss://127.0.0.1:{await listen(hang_up)}")


@pytest.mark.parametrize("handle", [hang_up, speak_http, say_nothing])
async def test_the_password_is_not_in_the_refusal(
    listen: Listen, handle: RawHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(primary, "CONNECT_TIMEOUT", 0.2)
    assert "hunter2" not in await refusal(f"redis://:hunter2@127.0.0.1:{await listen(handle)}")


async def test_a_refused_connection_is_closed(listen: Listen) -> None:
    closed = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-WRONGPASS no\r\n+OK\r\n")
        await reader.read()
        closed.set()

    await refusal(f"redis://:hunter2@127.0.0.1:{await listen(refuse)}")
    assert await asyncio.wait_for(closed.wait(), 10)


async def test_a_password_that_the_other_side_quotes_is_not_told(listen: Listen) -> None:
    async def quote(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hunter2")
        writer.write(b"-ERR unknown command 'AUTH', with args beginning with: 'hunter2' \r\n")
        await reader.read()

    told = await refusal(f"redis://:hunter2@127.0.0.1:{await listen(quote)}")
    assert ("unknown command 'AUTH'" in told, "hunter2" in told) == (True, False)
