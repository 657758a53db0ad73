"""How many connections the front keeps: in all, and unknown ones of one address; who waits after a wrong key."""

from __future__ import annotations

import gc
import typing as t
import weakref
from ipaddress import ip_network

import pytest

from nextmq_server.front import bounds

if t.TYPE_CHECKING:
    from ..conftest import WaitUntil
    from .conftest import Client, Fronted, Serve

pytestmark = pytest.mark.anyio

LOCAL = [ip_network("127.0.0.0/8")]


def get(path: str, forwarded_for: str = "") -> bytes:
    """Return the bytes of a GET."""
    forwarded = f"x-forwarded-for: {forwarded_for}\r\n" if forwarded_for else ""
    return f"GET {path} HTTP/1.1\r\nhost: a\r\n{forwarded}\r\n".encode()


async def ask(fronted: Fronted, path: str, forwarded_for: str = "") -> Client:
    """Open a connection on which one request was answered."""
    client = await fronted.connect()
    await client.send(get(path, forwarded_for))
    assert (await client.answer())[0] == 200
    return client


async def is_open(client: Client) -> bool:
    """Return whether the server still answers on the connection."""
    await client.send(get("/get"))
    return bool(await client.reader.read(1))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an address keep two unknown connections."""
    monkeypatch.setattr(bounds, "SWEEP", 0.02)
    monkeypatch.setattr(bounds, "QUIET", 0.02)
    monkeypatch.setattr(bounds, "MAX_UNKNOWN_PER_ADDRESS", 2)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "begin", [b"", b"GET / HT", get("/get"), b"POST /read HTTP/1.1\r\ncontent-length: 5\r\n\r\n"]
)
async def test_an_address_keeps_few_unknown_connections(
    fronted: Fronted, wait_until: WaitUntil, begin: bytes
) -> None:
    clients = [await fronted.connect() for _ in range(10)]
    for client in clients:
        await client.send(begin)
    await wait_until(lambda: fronted.open == 2)


@pytest.mark.usefixtures("few")
async def test_the_newest_unknown_connections_of_an_address_stay(fronted: Fronted, wait_until: WaitUntil) -> None:
    clients = [await ask(fronted, "/get") for _ in range(10)]
    await wait_until(lambda: fronted.open == 2)
    assert [await is_open(client) for client in clients] == [False] * 8 + [True] * 2


@pytest.mark.usefixtures("few")
async def test_known_connections_of_an_address_all_stay(fronted: Fronted, wait_until: WaitUntil) -> None:
    known = [await ask(fronted, "/known") for _ in range(10)]
    for _ in range(5):
        await fronted.connect()
    await wait_until(lambda: fronted.open == 12)
    assert all([await is_open(client) for client in known])


@pytest.mark.usefixtures("few")
async def test_a_connection_with_a_wrong_key_is_unknown_again(fronted: Fronted, wait_until: WaitUntil) -> None:
    for client in [await ask(fronted, "/known") for _ in range(10)]:
        await client.send(get("/wrong"))
        await client.answer()
    await wait_until(lambda: fronted.open == 2)


@pytest.mark.usefixtures("few")
async def test_idle_connections_of_a_trusted_proxy_all_stay(front_of: Serve, wait_until: WaitUntil) -> None:
    async with front_of(trusted_proxies=LOCAL) as fronted:
        clients = [await ask(fronted, "/get", f"192.0.2.{number % 2}") for number in range(10)]
        await wait_until(lambda: fronted.open == 10)
        assert all([await is_open(client) for client in clients])


@pytest.mark.usefixtures("few")
async def test_requests_through_a_trusted_proxy_count_for_the_forwarded_address(
    front_of: Serve, wait_until: WaitUntil
) -> None:
    async with front_of(trusted_proxies=LOCAL) as fronted:
        for number in range(12):
            client = await fronted.connect()
            await client.send(get("/wait", "192.0.2.1" if number < 10 else "192.0.2.2"))
        await wait_until(lambda: fronted.open == 4)


async def test_at_the_most_connections_the_oldest_unknown_one_makes_place(
    front_of: Serve, wait_until: WaitUntil
) -> None:
    async with front_of(max_connections=5) as fronted:
        known = await ask(fronted, "/known")
        clients = [await ask(fronted, "/get") for _ in range(8)]
        await wait_until(lambda: fronted.open == 5)
        assert [await is_open(client) for client in (known, *clients)] == [True] + [False] * 4 + [True] * 4


async def test_at_the_most_connections_one_that_is_idle_makes_place(
    front_of: Serve, wait_until: WaitUntil
) -> None:
    async with front_of(max_connections=3) as fronted:
        busy, *idle = [await ask(fronted, "/known") for _ in range(3)]
        await busy.send(get("/wait"))
        await wait_until(lambda: "/wait" in fronted.app.calls)
        new = await ask(fronted, "/known")
        assert sorted([await is_open(client) for client in idle]) == [False, True]
        assert await is_open(new)


async def test_if_all_connections_are_known_and_busy_a_new_one_is_refused(
    front_of: Serve, wait_until: WaitUntil
) -> None:
    async with front_of(max_connections=2) as fronted:
        for client in [await ask(fronted, "/known") for _ in range(2)]:
            await client.send(get("/wait"))
        await wait_until(lambda: fronted.app.calls.count("/wait") == 2)
        assert await fronted.talk(get("/get")) == b""
        assert fronted.open == 2


async def test_connections_come_and_go_without_a_trace(fronted: Fronted, wait_until: WaitUntil) -> None:
    for client in [await ask(fronted, path) for path in ("/get", "/known", "/wrong") * 20]:
        client.reset()
    await wait_until(lambda: not fronted.open)
    assert (fronted.front._connections, fronted.front._unknown) == (set(), {})


@pytest.mark.parametrize("path", ["/get", "/known", "/wait", "/big"])
async def test_a_lost_connection_is_freed_at_once(fronted: Fronted, wait_until: WaitUntil, path: str) -> None:
    client = await fronted.connect()
    await client.send(get(path))
    await wait_until(lambda: fronted.app.calls)
    gc.collect()
    [connection] = (weakref.ref(each) for each in fronted.front._connections)
    gc.disable()
    try:
        client.reset()
        fronted.app.release.set()
        await wait_until(lambda: connection() is None)
    finally:
        gc.enable()


async def test_an_address_that_often_sends_a_wrong_key_waits(
    fronted: Fronted, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr(bounds, "FREE_REFUSALS", 3)
    monkeypatch.setattr(bounds, "REFUSAL_DELAY", 3600.0)
    client = await fronted.connect()
    for _ in range(3):
        await client.send(get("/wrong"))
        assert (await client.answer())[0] == 200
    await client.send(get("/wrong"))
    await wait_until(lambda: fronted.app.calls.count("/wrong") == 4)
    assert (await ask(fronted, "/known"), fronted.app.ended.count("/wrong"))[1] == 3


async def test_a_wrong_key_is_logged_once_with_the_address(
    fronted: Fronted, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        await ask(fronted, "/wrong")
    assert caplog.messages == ["a caller at 127.0.0.1 sent a wrong API key"]


@pytest.mark.parametrize(("trusted", "logged"), [(LOCAL, "192.0.2.7"), ([], "127.0.0.1")])
async def test_the_forwarded_address_counts_behind_a_trusted_proxy_only(
    front_of: Serve, caplog: pytest.LogCaptureFixture, trusted: t.Any, logged: str
) -> None:
    async with front_of(trusted_proxies=trusted) as fronted:
        await ask(fronted, "/wrong", "10.9.9.9, 192.0.2.7")
    assert caplog.messages == [f"a caller at {logged} sent a wrong API key"]
