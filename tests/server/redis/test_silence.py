"""A Redis that stops answering is left, whatever the connection waits for, and one that answers slowly is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
import typing as t

import pytest

from nextmq_server.redis import connection as connection_module
from nextmq_server.redis import primary, silence
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import ConnectionLost, RedisConnection

if t.TYPE_CHECKING:
    from nextmq_server.embedded import EmbeddedValkey

    from ..conftest import Engine, Listen, WaitUntil

pytestmark = pytest.mark.anyio

LIMIT = 0.4


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "LOOK_INTERVAL", 0.05)
    monkeypatch.setattr(silence, "SILENCE_LIMIT", LIMIT)
    monkeypatch.setattr(primary, "PLACE_TIMEOUT", 0.2)
    monkeypatch.setattr(connection_module, "MAX_RETRY_DELAY", 0.1)


class Hole:
    """A way to Valkey that swallows all while it is `open`: connections stay, no packet passes."""

    def __init__(self, path: str) -> None:
        self.is_open = False
        self._path = path

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, commands = await asyncio.open_unix_connection(self._path)
        try:
            await asyncio.gather(self._pass_on(reader, commands), self._pass_on(answers, writer))
        finally:
            commands.close()

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65536):
            if not self.is_open:
                target.write(chunk)
        target.close()


class Silent(t.NamedTuple):
    """How to make a Redis silent, and how to end that."""

    url: str
    begin: t.Callable[[], None]
    end: t.Callable[[], None]


@pytest.fixture(params=["hangs", "is behind a hole"])
async def silent(
    request: pytest.FixtureRequest, own_valkey: EmbeddedValkey, listen: Listen
) -> t.AsyncIterator[Silent]:
    """Give a Redis that hangs, and one that the network cuts off."""
    assert own_valkey.pid is not None
    pid = own_valkey.pid
    if request.param == "hangs":
        yield Silent(own_valkey.url, lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT))
        os.kill(pid, signal.SIGCONT)
        return
    hole = Hole(str(own_valkey.socket_path))

    def be(is_open: bool) -> None:
        hole.is_open = is_open

    yield Silent(f"redis://127.0.0.1:{await listen(hole.handle)}", lambda: be(True), lambda: be(False))


@contextlib.asynccontextmanager
async def connected(url: str, **options: t.Any) -> t.AsyncIterator[RedisConnection]:
    connection = RedisConnection(Address(url), name="test", **options)
    await connection.connect()
    yield connection
    await connection.close()


# What the connection waits for when Redis falls silent.
WAITS: dict[str, list[tuple[t.Any, ...]]] = {
    "nothing": [],
    "a command": [("PING",)],
    "many commands": [("PING",)] * 50,
    "a marker": [("BZPOPMIN", "marker", 0.2)],
    "an event": [("XREAD", "BLOCK", 200, "STREAMS", "events", "$")],
    "a script": [("EVAL", "return 1", 0)],
    "a transaction": [("MULTI",), ("SET", "key", 1), ("EXEC",)],
}


@pytest.mark.parametrize("commands", WAITS.values(), ids=WAITS)
async def test_a_silent_redis_is_left_and_found_again(silent: Silent, commands: list[tuple[t.Any, ...]]) -> None:
    async with connected(silent.url, blocks=0.2) as connection:
        silent.begin()
        answers = await asyncio.gather(
            *(connection.execute(*command) for command in [*commands, ("PING",)]), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {ConnectionLost}
        silent.end()
        await connection.ready()
        assert await connection.execute("PING") == "PONG"


async def test_a_connection_without_traffic_notices_the_silence(silent: Silent, wait_until: WaitUntil) -> None:
    async with connected(silent.url) as connection:
        silent.begin()
        returned = connection.next_return
        await wait_until(lambda: is_lost(connection))
        silent.end()
        assert await returned.wait()


async def test_all_connections_to_a_silent_redis_are_left_together(silent: Silent, wait_until: WaitUntil) -> None:
    address = Address(silent.url)
    several = [RedisConnection(address, name="test", blocks=blocks) for blocks in (0, 60, 60)]
    for connection in several:
        await connection.connect()
    silent.begin()
    await wait_until(lambda: all(map(is_lost, several)))
    silent.end()
    for connection in several:
        await connection.ready()
        await connection.close()


async def test_a_connection_to_a_silent_redis_can_be_closed(silent: Silent) -> None:
    async with connected(silent.url) as connection:
        silent.begin()
        unanswered = connection.execute("PING")
    with pytest.raises(ConnectionLost):
        await unanswered
    silent.end()


async def test_a_read_that_blocks_its_whole_time_is_not_a_silence(own_valkey: EmbeddedValkey) -> None:
    async with connected(own_valkey.url, blocks=2 * LIMIT) as connection:
        assert await connection.execute("BZPOPMIN", "marker", 2 * LIMIT) is None


async def test_a_process_that_stood_still_does_not_blame_redis(own_valkey: EmbeddedValkey) -> None:
    async with connected(own_valkey.url) as connection:
        answer = connection.execute("PING")
        await asyncio.sleep(0)
        time.sleep(3 * LIMIT)  # noqa: ASYNC251 - stands still, which is the case
        assert await answer == "PONG"
        assert not is_lost(connection)


async def test_what_a_silent_redis_was_sent_does_not_run_after_the_return(own_engine: Engine) -> None:
    """The connection before is closed in Redis: its commands have run by then, or never do."""
    before = await own_engine.redis.execute("CLIENT", "ID")
    pid = int((await own_engine.redis.execute("INFO", "server")).partition("process_id:")[2].split()[0])
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ConnectionLost):
        await own_engine.redis.execute("PING")
    os.kill(pid, signal.SIGCONT)
    await own_engine.redis.ready()
    clients: str = await own_engine.redis.execute("CLIENT", "LIST")
    assert f"id={before} " not in clients


def is_lost(connection: RedisConnection) -> bool:
    assert connection._session is not None
    return connection._session.protocol.lost.is_set()
