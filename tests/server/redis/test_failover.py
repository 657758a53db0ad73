"""A primary that dies or steps down: the new one is found, and jobs go on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import typing as t
from pathlib import Path

import pytest

from nextmq_handler.errors import ConfigurationError
from nextmq_server.redis import connection as connection_module
from nextmq_server.redis import primary, silence
from nextmq_server.redis.address import Address
from nextmq_server.redis.checks import check_redis
from nextmq_server.redis.connection import ConnectionLost, RedisConnection, RedisError
from nextmq_server.redis.primary import Primary
from nextmq_server.redis.resp import Protocol
from nextmq_server.redis.sentinels import Sentinels
from nextmq_server.testing.processes import free_port
from tests.support.failover import Pair, ask, by_hosts, by_sentinels

from ..conftest import Engine

if t.TYPE_CHECKING:
    from ..conftest import Processor, WaitUntil

# A loaded machine makes a Sentinel wait for half a minute before it trusts its clock again.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
PATIENCE = 200


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "MAX_RETRY_DELAY", 0.2)


@pytest.fixture
async def pair(tmp_path: Path, wait_until: WaitUntil) -> t.AsyncIterator[Pair]:
    """Start a primary and a replica of it."""
    pair = Pair(tmp_path)
    pair.start()
    try:
        await wait_until(pair.is_synced)
        yield pair
    finally:
        pair.stop()


@pytest.fixture
async def sentinel(pair: Pair, wait_until: WaitUntil) -> int:
    """Start a Sentinel that knows both and give its port."""
    port = pair.start_sentinel()

    async def knows_the_replica() -> bool:
        with contextlib.suppress(OSError):
            return bool(await ask(port, "watching", "SENTINEL", "REPLICAS", "main"))
        return False

    await wait_until(knows_the_replica)
    return port


@contextlib.asynccontextmanager
async def engine_on(url: str) -> t.AsyncIterator[Engine]:
    engine = Engine(url)
    await engine.open()
    yield engine
    await engine.close()


async def until_elsewhere(engine: Engine) -> None:
    """Wait until the connection was lost and there is a primary again."""

    async def write() -> None:
        while True:
            await engine.redis.execute("SET", "probe", 1)

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ConnectionLost):
            await write()
        await engine.redis.ready()


async def test_jobs_go_on_after_sentinel_made_the_replica_the_primary(
    pair: Pair, sentinel: int, processor: type[Processor]
) -> None:
    async with engine_on(by_sentinels(sentinel)) as engine:
        process = processor()
        await engine.run(process)
        await engine.until_state(await engine.add(), "completed")
        pair.kill(pair.primary)
        await until_elsewhere(engine)
        job_id = await engine.add()
        await engine.until_state(job_id, "completed")
        assert process.started[-1].id == job_id


async def test_the_sentinel_is_asked_that_answers_and_knows_the_service(pair: Pair, sentinel: int) -> None:
    nobody = free_port()
    no_sentinel = pair.primary
    async with engine_on(by_sentinels(nobody, no_sentinel, sentinel)) as engine:
        assert f"tcp_port:{pair.primary}" in await engine.redis.execute("INFO", "server")


async def test_the_start_checks_look_at_the_primary_that_a_sentinel_names(sentinel: int) -> None:
    assert await check_redis(Address(by_sentinels(sentinel))) == []


async def test_a_service_that_no_sentinel_knows_is_named(sentinel: int) -> None:
    url = by_sentinels(sentinel).replace("/main", "/mian")
    with pytest.raises(ConfigurationError, match="this Sentinel does not know the service 'mian'"):
        await RedisConnection(Address(url), name="test").connect()


async def test_the_password_of_a_sentinel_is_not_in_its_refusal(sentinel: int) -> None:
    url = by_sentinels(sentinel).replace("watching", "sw0rdfish")
    with pytest.raises(ConfigurationError, match=r"refused the connection: WRONGPASS (?!.*(sw0rdfish|hunter2))"):
        await RedisConnection(Address(url), name="test").connect()


async def test_of_several_hosts_the_primary_is_used(pair: Pair) -> None:
    async with engine_on(by_hosts(pair.replica, pair.primary)) as engine:
        assert f"tcp_port:{pair.primary}" in await engine.redis.execute("INFO", "server")


async def test_jobs_go_on_after_the_other_host_became_the_primary(
    pair: Pair, processor: type[Processor], wait_until: WaitUntil
) -> None:
    async with engine_on(by_hosts(pair.primary, pair.replica)) as engine:
        process = processor()
        process.gate.clear()
        await engine.run(process, concurrency=2)
        under_way = await engine.add()
        await wait_until(lambda: process.running)
        await wait_until(pair.is_synced)
        await ask(pair.replica, "hunter2", "REPLICAOF", "NO", "ONE")
        await ask(pair.primary, "hunter2", "REPLICAOF", "127.0.0.1", pair.replica)
        process.gate.set()
        await until_elsewhere(engine)
        await engine.until_state(await engine.add(), "completed")
        await engine.until_state(under_way, "completed")


async def test_a_write_that_a_replica_refuses_is_a_lost_connection(pair: Pair) -> None:
    async with engine_on(by_hosts(pair.primary)) as engine:
        await ask(pair.primary, "hunter2", "REPLICAOF", "127.0.0.1", pair.replica)
        with pytest.raises(ConnectionLost, match="READONLY"):
            await engine.redis.execute("SET", "key", "value")


async def test_a_write_of_a_script_that_a_replica_refuses_is_a_lost_connection(pair: Pair) -> None:
    async with engine_on(by_hosts(pair.primary)) as engine:
        await ask(pair.primary, "hunter2", "REPLICAOF", "127.0.0.1", pair.replica)
        with pytest.raises(ConnectionLost, match="READONLY"):
            await engine.redis.execute("EVAL", "return redis.call('SET', KEYS[1], 1)", 1, "key")


async def test_a_wait_for_markers_that_a_new_replica_ends_is_a_lost_connection(
    pair: Pair, wait_until: WaitUntil
) -> None:
    async with engine_on(by_hosts(pair.primary)) as engine:
        waiting = engine.redis.execute("BZPOPMIN", "marker", 0)

        async def is_waiting() -> bool:
            return "blocked_clients:1" in await ask(pair.primary, "hunter2", "INFO", "clients")

        await wait_until(is_waiting)
        await ask(pair.primary, "hunter2", "REPLICAOF", "127.0.0.1", pair.replica)
        with pytest.raises(ConnectionLost, match="UNBLOCKED"):
            await waiting


async def test_a_host_that_is_gone_without_a_word_is_noticed(pair: Pair) -> None:
    address = Address(by_hosts(pair.primary))
    protocol = await address.connect(address.places[0], Protocol)
    assert protocol.transport is not None
    sock = protocol.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert 0 < sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) < 75  # the system's own
    protocol.close()


@contextlib.asynccontextmanager
async def connected(url: str) -> t.AsyncIterator[RedisConnection]:
    connection = RedisConnection(Address(url), name="test")
    await connection.connect()
    yield connection
    await connection.close()


async def until_at(connection: RedisConnection, port: int) -> None:
    """Wait until the connection leads to the server on that port."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(ConnectionLost):
                if f"tcp_port:{port}\r\n" in await connection.execute("INFO", "server"):
                    return
                await asyncio.sleep(0.01)
            await connection.ready()


async def until_promoted(pair: Pair, sentinel: int) -> None:
    """Wait until the Sentinel names the replica as the primary."""
    async with asyncio.timeout(PATIENCE):
        while True:
            named = await ask(sentinel, "watching", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
            if int(named[1]) == pair.replica:
                return
            await asyncio.sleep(0.01)


def nothing(*_: object) -> None:
    """Do nothing."""


def never(monkeypatch: pytest.MonkeyPatch, *ways: str) -> None:
    """Switch off these ways to notice that a primary is one no more."""
    if "silence" in ways:
        monkeypatch.setattr(silence, "SILENCE_LIMIT", 3600.0)
    if "the word of a Sentinel" in ways:
        monkeypatch.setattr(Sentinels, "follow", nothing)
    if "a doubt" in ways:
        monkeypatch.setattr(Primary, "doubt", nothing)


WAYS = {"silence", "the word of a Sentinel", "a doubt"}


@pytest.mark.parametrize("way", sorted(WAYS))
async def test_each_way_alone_leads_from_a_primary_that_hung_to_the_new_one(
    pair: Pair, sentinel: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SILENCE_LIMIT", 1.0)
    monkeypatch.setattr(primary, "PLACE_TIMEOUT", 0.5)
    never(monkeypatch, *WAYS - {way})
    async with connected(by_sentinels(sentinel)) as connection:
        pair.pause(pair.primary)
        await until_promoted(pair, sentinel)
        pair.resume(pair.primary)
        await until_at(connection, pair.replica)
        await connection.execute("SET", "written", "here")
        assert await ask(pair.replica, "hunter2", "GET", "written") == "here"


async def test_what_is_written_after_a_primary_hung_is_not_written_there(
    pair: Pair, sentinel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SILENCE_LIMIT", 1.0)
    monkeypatch.setattr(primary, "PLACE_TIMEOUT", 0.5)
    async with connected(by_sentinels(sentinel)) as connection:
        pair.pause(pair.primary)
        with pytest.raises(ConnectionLost):
            await connection.execute("PING")
        pair.resume(pair.primary)
        await connection.ready()
        await connection.execute("SET", "written", 1)
        assert await ask(await primary_by(sentinel), "hunter2", "GET", "written") == "1"


async def primary_by(sentinel: int) -> int:
    return int((await ask(sentinel, "watching", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"))[1])


async def switch(sentinel: int) -> bool:
    """Make the Sentinel promote the replica. Return False while that is not ready."""
    with contextlib.suppress(RedisError):
        return bool(await ask(sentinel, "watching", "SENTINEL", "FAILOVER", "main"))
    return False


async def test_a_switch_is_one_line_and_the_new_primary_another(
    pair: Pair, sentinel: int, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = f"127.0.0.1:{pair.primary}", f"127.0.0.1:{pair.replica}"
    async with connected(by_sentinels(sentinel)) as connection:
        await wait_until(lambda: switch(sentinel))
        await until_at(connection, pair.replica)
        where = Address(by_sentinels(sentinel))
        said = [record.getMessage() for record in caplog.records if "cannot connect" not in record.getMessage()]
        assert said[-1] == f"connected to Redis at {where}: the primary is {new}, it was {old}"
        assert len(said) == 2


async def test_of_two_primaries_the_one_that_took_over_is_used(pair: Pair) -> None:
    await ask(pair.replica, "hunter2", "REPLICAOF", "NO", "ONE")
    for hosts in ((pair.primary, pair.replica), (pair.replica, pair.primary)):
        async with connected(by_hosts(*hosts)) as connection:
            assert f"tcp_port:{pair.replica}" in await connection.execute("INFO", "server")


async def test_a_primary_without_the_replicas_that_it_needs_is_waited_for(
    pair: Pair, wait_until: WaitUntil
) -> None:
    async with connected(by_hosts(pair.primary)) as connection:
        await ask(pair.primary, "hunter2", "CONFIG", "SET", "min-replicas-to-write", 1)
        pair.kill(pair.replica)

        async def is_left() -> bool:
            with contextlib.suppress(ConnectionLost):
                await connection.execute("SET", "key", 1)
                return False
            return True

        await wait_until(is_left)
        pair.start_valkey(pair.replica, "--replicaof", f"127.0.0.1 {pair.primary}")
        await wait_until(pair.is_synced)
        await connection.ready()
        assert await connection.execute("SET", "key", 1) == "OK"
