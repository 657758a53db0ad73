"""Apps that close idle connections: no delivery is lost to that or sent twice, and busy apps keep connections."""

from __future__ import annotations

import asyncio
import random
import socket
import types
import typing as t

import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.http.answers import AppAnswer, NoAnswer
from nextmq_server.dispatch.http.client import DeliveryClient
from nextmq_server.dispatch.http.http1 import HTTPConnection
from nextmq_server.dispatch.http.pool import _KnownOrigin
from nextmq_server.dispatch.http.reuse import AT_ONCE, EARLY, OBSERVED, PROBATION, PROVEN, IdleTime
from tests.support.raw_http import OK, keep_for_long, read_request

if t.TYPE_CHECKING:
    from ...conftest import Listen, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Return both event loops: the server runs on uvloop if it is installed."""
    return "asyncio", {"use_uvloop": request.param}


DONE = OK + b"content-length: 0\r\n\r\n"
LIMITS = (0.05, 0.06, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 5.0)
"""After how long, in s, the apps close an idle connection."""

SHORT = 1.5
"""In the short form, requests are sent for so many s, to the apps that close before."""


@pytest.fixture
async def client() -> t.AsyncIterator[DeliveryClient]:
    client = DeliveryClient(EgressRules.for_development())
    yield client
    await client.close()


class IdleClosing:
    """An app that closes connections that were idle for `limit` s, and may say so in its answers."""

    def __init__(self, limit: float, answer: bytes = DONE) -> None:
        self.limit = limit
        self.requests: list[bytes] = []
        self.connections = 0
        self._answer = answer

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        limit = 60.0  # a new connection may take longer for its first request
        while True:
            try:
                async with asyncio.timeout(limit):
                    request = await read_request(reader)
            except (TimeoutError, EOFError, OSError):
                return
            self.requests.append(request.body)
            writer.write(self._answer)
            limit = self.limit


async def send(client: DeliveryClient, port: int, body: bytes = b"{}") -> AppAnswer | NoAnswer:
    return await client.send(f"http://127.0.0.1:{port}/", {}, body, timeout=30, max_size=1000)


async def send_around(
    client: DeliveryClient, port: int, limit: float, seconds: float
) -> list[AppAnswer | NoAnswer]:
    """Send requests, mostly about as long apart as the app keeps idle connections."""
    chance = random.Random(limit)
    answers: list[AppAnswer | NoAnswer] = []
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        answers.append(await send(client, port, b"%d" % len(answers)))
        await asyncio.sleep(limit * chance.choice((0, 0.2, 0.45, 0.8, 0.95, 0.99, 1, 1.01)))
        if len(answers) % 10 == 0:  # a server that does other work closes late, and answers late
            await asyncio.sleep(0.001)
    return answers


@pytest.mark.parametrize("seconds", [SHORT, pytest.param(8.0, marks=pytest.mark.long)])
async def test_apps_that_close_idle_connections_get_every_request_once(
    client: DeliveryClient, listen: Listen, seconds: float
) -> None:
    limits = [limit for limit in LIMITS if limit < seconds]
    apps = [IdleClosing(limit) for limit in limits]
    ports = [await listen(app) for app in apps]
    answers = await asyncio.gather(
        *(send_around(client, port, app.limit, seconds) for app, port in zip(apps, ports, strict=True))
    )
    lost = {
        app.limit: [answer for answer in each if isinstance(answer, NoAnswer)]
        for app, each in zip(apps, answers, strict=True)
    }
    assert lost == {limit: [] for limit in limits}
    assert [len(app.requests) == len(set(app.requests)) for app in apps] == [True] * len(apps)


def read_all(connection: socket.socket) -> None:
    data = b""
    while not data.endswith(b"\r\n\r\n{}"):
        data += connection.recv(65_536)


async def test_a_request_that_the_app_closed_before_is_sent_again(
    client: DeliveryClient, wait_until: WaitUntil
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        port = server.getsockname()[1]

        def serve_once() -> socket.socket:
            connection, _ = server.accept()
            connection.settimeout(20)
            read_all(connection)
            connection.sendall(DONE)
            return connection

        first = asyncio.create_task(asyncio.to_thread(serve_once))
        await send(client, port)
        connection = await first
        await keep_for_long(client)
        second = asyncio.create_task(asyncio.to_thread(serve_once))
        # The end of the connection and the next request cross: the client does not look before it writes.
        [kept] = client._pool._origins.values()
        kept.kept[0]._has_input = lambda: False
        connection.close()
        answer = await send(client, port)
        assert isinstance(answer, AppAnswer), answer
        (await second).close()


@pytest.mark.parametrize("linger", [False, True], ids=["closed", "reset"])
async def test_a_request_that_the_app_has_read_is_not_sent_again(client: DeliveryClient, linger: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        port = server.getsockname()[1]
        accepted: list[socket.socket] = []

        def serve() -> None:
            connection, _ = server.accept()
            connection.settimeout(20)
            accepted.append(connection)
            read_all(connection)
            connection.sendall(DONE)
            read_all(connection)  # and may run the job
            if linger:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()

        serving = asyncio.create_task(asyncio.to_thread(serve))
        await send(client, port)
        await keep_for_long(client)
        answer = await send(client, port)
        await serving
        server.setblocking(False)
        assert isinstance(answer, NoAnswer)
        assert answer.kind == "broken"
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_a_busy_app_keeps_its_connections(client: DeliveryClient, listen: Listen) -> None:
    app = IdleClosing(60)
    port = await listen(app)
    await send(client, port)
    await keep_for_long(client)
    for _ in range(50):
        await send(client, port)
    assert app.connections == 1


async def test_an_app_that_keeps_idle_connections_is_used_again_after_a_while(
    client: DeliveryClient, listen: Listen, wait_until: WaitUntil
) -> None:
    app = IdleClosing(60)
    port = await listen(app)
    await send(client, port)
    [known] = client._pool._origins.values()
    await wait_until(lambda: known.idle.limit >= OBSERVED / 2 - 0.3)
    await send(client, port)
    begun = app.connections
    await asyncio.sleep(0.2)
    await send(client, port)
    assert app.connections == begun


KEEP_ALIVE = {
    b"timeout=5": 2.5,
    b"timeout=5, max=100": 2.5,
    b"max=100, timeout=5": 2.5,
    b"Timeout=4": 2.0,
    b'timeout="4"': 2.0,
    b"timeout = 1": 0.5,
    b"timeout=0": 0.0,
    b"max=0": 0.0,
    b"timeout=60, max=0": 0.0,
    b"": 30.0,
    b"nonsense": 30.0,
    b"timeout=": 30.0,
    b"timeout=soon": 30.0,
    b"timeout=-1": 30.0,
    b"timeout=99999999999999999999": 30.0,
}


@pytest.mark.parametrize(("header", "limit"), KEEP_ALIVE.items(), ids=ascii)
def test_what_an_app_says_of_its_connections_is_heard(header: bytes, limit: float) -> None:
    idle = IdleTime()
    idle.stayed_open(60)
    idle.was_told(header)
    assert idle.limit == limit


@pytest.mark.parametrize("closed", [0.25, 0.3, 0.5, 1.0, 1.9])
@pytest.mark.parametrize("seen", [0.0, 0.25, 1.0, 2.0])
def test_a_connection_is_used_within_half_of_what_the_app_keeps_it(closed: float, seen: float) -> None:
    idle = IdleTime()
    idle.stayed_open(seen)
    idle.was_closed(closed, now=1.0)
    assert idle.limit <= max(AT_ONCE, min(seen, closed) / 2)


@pytest.mark.parametrize("ms", [*range(18_000_001, 18_000_041), 1, 999, 10**7 + 3, 10**9 + 7])
@pytest.mark.parametrize("seen", [0.0, PROBATION])
async def test_a_look_at_idle_connections_is_never_too_early_to_tell(
    client: DeliveryClient, ms: int, seen: float
) -> None:
    known = _KnownOrigin()
    known.idle.stayed_open(seen)
    kept = t.cast("HTTPConnection", types.SimpleNamespace(idle_since=ms / 1000))
    known.kept.append(kept)
    told = known.idle.decided_after
    looked_at = round(client._pool._look_at(known, ms / 1000), 3)  # uvloop's clock counts whole ms
    known.idle.stayed_open(looked_at - kept.idle_since)
    assert known.idle.decided_after != told


@pytest.mark.parametrize("idle", [PROBATION, 0.03, 0.05, 0.07, PROVEN - 0.001])
def test_an_app_that_is_not_proven_gets_only_what_was_hardly_idle(idle: float) -> None:
    known = IdleTime()
    known.stayed_open(idle)
    assert (known.limit, known.limit <= idle / 4) == (AT_ONCE, True)


class Slow(IdleClosing):
    """An app that takes 5 ms for a request."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            request = await read_request(reader)
            await asyncio.sleep(0.005)
            self.requests.append(request.body)
            writer.write(DONE)


async def test_a_busy_queue_opens_few_connections_more_than_it_has_deliveries_in_flight(
    client: DeliveryClient, listen: Listen
) -> None:
    app = Slow(60)
    port = await listen(app)

    async def deliver() -> None:
        while len(app.requests) < 4000:
            await send(client, port)

    await asyncio.gather(*(deliver() for _ in range(20)))
    assert app.connections < 1000  # without reuse there would be 4000


@pytest.mark.parametrize("closed", [0.0, 0.01, 0.05, EARLY - 0.001])
def test_of_an_app_that_closes_early_no_connection_is_used_again(closed: float) -> None:
    idle = IdleTime()
    idle.stayed_open(2.0)
    idle.was_closed(closed, now=1.0)
    assert idle.limit == 0


def test_what_an_app_closed_is_forgotten_after_a_minute() -> None:
    idle = IdleTime()
    idle.was_closed(0.0, now=1.0)
    assert [idle.is_outdated(now) for now in (1.0, 60.9, 61.1)] == [False, False, True]
