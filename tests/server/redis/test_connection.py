"""The multiplexed connection: answers matched to commands, errors, loss and return, a Redis that is not there."""

from __future__ import annotations

import asyncio
import logging
import typing as t

import pytest

from nextmq_handler.errors import ConfigurationError
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.redis import connection as connection_module
from nextmq_server.redis.address import Address, Place
from nextmq_server.redis.connection import ConnectionLost, RedisConnection, RedisError

if t.TYPE_CHECKING:
    from ..conftest import Engine, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture
async def connection(engine: Engine) -> t.AsyncIterator[RedisConnection]:
    """Give a connection to the shared Valkey."""
    connection = RedisConnection(engine.address, name=f"connection-{engine.prefix}")
    await connection.connect()
    yield connection
    await connection.close()


@pytest.fixture
async def connect() -> t.AsyncIterator[t.Callable[[str], t.Awaitable[RedisConnection]]]:
    """Give a function that connects to a URL, and close the connections after the test."""
    connections: list[RedisConnection] = []

    async def connect(url: str) -> RedisConnection:
        connection = RedisConnection(Address(url), name="test")
        await connection.connect()
        connections.append(connection)
        return connection

    yield connect
    for connection in connections:
        await connection.close()


Connect = t.Callable[[str], t.Awaitable[RedisConnection]]


async def sever(connection: RedisConnection, engine: Engine) -> None:
    """Make Valkey close the connection while a command is in flight."""
    own_id = await connection.execute("CLIENT", "ID")
    waiting = connection.execute("BLPOP", engine.key("nothing"), 0)
    await engine.redis.execute("CLIENT", "KILL", "ID", own_id)
    with pytest.raises(ConnectionLost):
        await waiting


async def test_concurrent_callers_get_the_answers_to_their_own_commands(connection: RedisConnection) -> None:
    words = [f"word {number}" for number in range(1000)]
    assert await asyncio.gather(*(connection.execute("ECHO", word) for word in words)) == words


async def test_commands_over_many_loop_ticks_keep_their_answers(connection: RedisConnection) -> None:
    async def echo(number: int) -> bool:
        for _ in range(number % 7):
            await asyncio.sleep(0)
        return bool(await connection.execute("ECHO", number) == str(number))

    assert all(await asyncio.gather(*(echo(number) for number in range(300))))


async def test_a_cancelled_caller_does_not_shift_the_answers_of_others(connection: RedisConnection) -> None:
    first, second = connection.execute("ECHO", "first"), connection.execute("ECHO", "second")
    first.cancel()
    assert await second == "second"


async def test_a_large_answer_comes_whole(connection: RedisConnection, engine: Engine) -> None:
    await connection.execute("SET", engine.key("large"), "x" * 3_000_000)
    assert len(await connection.execute("GET", engine.key("large"))) == 3_000_000


async def test_bytes_that_are_no_utf8_come_back_as_they_went(connection: RedisConnection) -> None:
    answer: str = await connection.execute("ECHO", b"\xff\xfe")
    assert answer.encode("utf-8", "surrogateescape") == b"\xff\xfe"


async def test_an_error_answer_is_a_redis_error_with_its_code(connection: RedisConnection, engine: Engine) -> None:
    await connection.execute("SET", engine.key("text"), "a")
    with pytest.raises(RedisError, match=r"^WRONGTYPE "):
        await connection.execute("LLEN", engine.key("text"))


async def test_an_error_is_of_its_own_command_only(connection: RedisConnection) -> None:
    before, wrong, after = (connection.execute(*command) for command in (("PING",), ("NONSENSE",), ("PING",)))
    answers = await asyncio.gather(before, wrong, after, return_exceptions=True)
    assert [type(answer) for answer in answers] == [str, RedisError, str]


async def test_a_command_in_flight_when_the_connection_breaks_is_lost(
    connection: RedisConnection, engine: Engine
) -> None:
    own_id = await connection.execute("CLIENT", "ID")
    waiting = connection.execute("BLPOP", engine.key("nothing"), 0)
    await engine.redis.execute("CLIENT", "KILL", "ID", own_id)
    with pytest.raises(ConnectionLost):
        await waiting


async def test_a_command_while_disconnected_is_lost_at_once(own_valkey: EmbeddedValkey, connect: Connect) -> None:
    connection = await connect(own_valkey.url)
    own_valkey.stop()
    with pytest.raises(ConnectionLost):
        await connection.execute("PING")
    refused = connection.execute("PING")
    assert refused.done()
    assert isinstance(refused.exception(), ConnectionLost)


async def test_a_severed_connection_comes_back_by_itself(connection: RedisConnection, engine: Engine) -> None:
    await sever(connection, engine)
    await connection.ready()
    assert await connection.execute("PING") == "PONG"


async def test_it_comes_back_when_the_server_was_restarted(own_valkey: EmbeddedValkey, connect: Connect) -> None:
    connection = await connect(own_valkey.url)
    await connection.execute("SET", "greeting", "hello")
    own_valkey.stop()
    with pytest.raises(ConnectionLost):
        await connection.execute("PING")
    own_valkey.start()
    await connection.ready()
    assert await connection.execute("GET", "greeting") == "hello"


async def test_it_comes_back_after_many_tries(
    own_valkey: EmbeddedValkey, connect: Connect, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MAX_RETRY_DELAY", 0.01)
    tries: list[object] = []
    connection = await connect(own_valkey.url)
    own_valkey.stop()
    real_connect = Address.connect

    async def counted(address: Address, place: Place, protocol: t.Any) -> t.Any:
        tries.append(place)
        return await real_connect(address, place, protocol)

    monkeypatch.setattr(Address, "connect", counted)
    await wait_until(lambda: len(tries) >= 10)
    own_valkey.start()
    await connection.ready()
    assert await connection.execute("PING") == "PONG"


async def test_ready_waits_from_the_moment_of_the_loss(
    engine: Engine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocols: list[asyncio.Protocol] = []
    real_connect = Address.connect

    async def recorded(address: Address, place: Place, protocol: t.Any) -> t.Any:
        protocols.append(await real_connect(address, place, protocol))
        return protocols[-1]

    monkeypatch.setattr(Address, "connect", recorded)
    connection = await connect(f"unix://{engine.address.places[0].path}")
    protocols[0].connection_lost(None)
    # No other task has run since: a `ready` that returned here would let its caller spin.
    assert asyncio.isfuture(connection.ready().send(None))


async def test_a_returned_connection_has_its_name_again(connection: RedisConnection, engine: Engine) -> None:
    await sever(connection, engine)
    await connection.ready()
    assert await connection.execute("CLIENT", "GETNAME") == f"connection-{engine.prefix}"


async def test_a_returned_connection_has_its_database_again(own_valkey: EmbeddedValkey, connect: Connect) -> None:
    connection = await connect(f"{own_valkey.url}?db=2")
    await connection.execute("SET", "greeting", "of database 2")
    own_valkey.stop()
    with pytest.raises(ConnectionLost):
        await connection.execute("PING")
    own_valkey.start()
    await connection.ready()
    assert await connection.execute("GET", "greeting") == "of database 2"


async def test_loss_and_return_are_logged(
    connection: RedisConnection, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "nextmq_server.redis"):
        await sever(connection, engine)
        await connection.ready()
        await connection.execute("PING")
        await asyncio.sleep(0)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_databases_are_kept_apart(own_valkey: EmbeddedValkey, connect: Connect) -> None:
    first, second = await connect(own_valkey.url), await connect(f"{own_valkey.url}?db=2")
    await first.execute("SET", "greeting", "hello")
    assert await second.execute("GET", "greeting") is None


async def test_the_password_of_the_url_opens_the_door(own_valkey: EmbeddedValkey, connect: Connect) -> None:
    await (await connect(own_valkey.url)).execute("CONFIG", "SET", "requirepass", "p@ss word")
    connection = await connect(own_valkey.url.replace("unix://", "unix://:p%40ss%20word@"))
    assert await connection.execute("PING") == "PONG"


async def test_the_user_of_the_url_opens_the_door(own_valkey: EmbeddedValkey, connect: Connect) -> None:
    await (await connect(own_valkey.url)).execute("ACL", "SETUSER", "queue", "on", ">hunter2", "~*", "+@all")
    connection = await connect(own_valkey.url.replace("unix://", "unix://queue:hunter2@"))
    assert await connection.execute("ACL", "WHOAMI") == "queue"


async def test_a_wrong_password_is_a_configuration_error(own_valkey: EmbeddedValkey, connect: Connect) -> None:
    await (await connect(own_valkey.url)).execute("CONFIG", "SET", "requirepass", "right")
    with pytest.raises(ConfigurationError, match="refused the connection: WRONGPASS"):
        await connect(own_valkey.url.replace("unix://", "unix://:hunter2@"))


async def test_a_missing_password_is_a_configuration_error(own_valkey: EmbeddedValkey, connect: Connect) -> None:
    await (await connect(own_valkey.url)).execute("CONFIG", "SET", "requirepass", "right")
    with pytest.raises(ConfigurationError, match="refused the connection: NOAUTH"):
        await connect(own_valkey.url)


async def test_a_connection_that_is_closed_while_it_returns_leaves_no_client(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    is_returning = asyncio.Event()

    async def end(*_: object) -> None:
        is_returning.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(connection_module, "_end", end)
    name = f"returning-{engine.prefix}"
    connection = RedisConnection(engine.address, name=name)
    await connection.connect()
    await sever(connection, engine)
    await is_returning.wait()
    await connection.close()

    async def is_gone() -> bool:
        return f"name={name}" not in await engine.redis.execute("CLIENT", "LIST")

    await wait_until(is_gone)
