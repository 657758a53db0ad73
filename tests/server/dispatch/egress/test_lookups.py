"""Lookups of names: bounded for each project, apart from other work, and never a reason to use an attempt."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import typing as t
from ipaddress import ip_network

import pytest

from nextmq_server.dispatch.egress import resolver as resolver_module
from nextmq_server.dispatch.egress.resolver import MAX_LOOKUPS, AddressInfo, CheckedResolver, ask_system
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.http import pool as pool_module
from nextmq_server.dispatch.http.answers import AppAnswer, NoAnswer
from nextmq_server.dispatch.http.client import DeliveryClient
from nextmq_server.engine.scripts.holds import Holds
from nextmq_server.engine.verdicts import Hold
from tests.support.dispatching import App, Rig
from tests.support.egress import NameServer
from tests.support.raw_http import OK, answering, keep_silent

if t.TYPE_CHECKING:
    from nextmq_server.engine.worker.gate import Gate

    from ...conftest import Engine, Listen, Serve, WaitUntil

pytestmark = pytest.mark.anyio

THIS_NETWORK = EgressRules(allowed=[ip_network("127.0.0.0/8")])
DONE = OK + b"content-length: 0\r\n\r\n"


class SlowNames:
    """A system resolver that does not answer for names until `answer` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer = threading.Event()
        self.asked: list[str] = []
        real = socket.getaddrinfo

        def getaddrinfo(host: str, *args: t.Any, **options: t.Any) -> t.Any:
            if not host.endswith(".example"):
                return real(host, *args, **options)
            self.asked.append(host)
            self.answer.wait(30)
            return real("127.0.0.1", *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def slow_names(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[SlowNames]:
    slow = SlowNames(monkeypatch)
    yield slow
    slow.answer.set()


class Clients:
    """The clients of projects; each project has its own."""

    def __init__(self) -> None:
        self.started: list[DeliveryClient] = []

    def __call__(self, **options: t.Any) -> DeliveryClient:
        self.started.append(DeliveryClient(THIS_NETWORK, **options))
        return self.started[-1]


@pytest.fixture
async def clients() -> t.AsyncIterator[Clients]:
    clients = Clients()
    yield clients
    for client in clients.started:
        await client.close()


async def send(client: DeliveryClient, host: str, port: int, *, timeout: float = 30) -> AppAnswer | NoAnswer:
    return await client.send(f"http://{host}:{port}/", {}, b"{}", timeout=timeout, max_size=1000)


@pytest.mark.parametrize("names", [1, 2, 3, 24, 100])
async def test_a_project_looks_up_two_names_at_once(
    clients: Clients, slow_names: SlowNames, wait_until: WaitUntil, names: int
) -> None:
    client = clients()
    sending = [asyncio.create_task(send(client, f"h{number}.example", 1)) for number in range(names)]
    await wait_until(lambda: len(slow_names.asked) == min(names, MAX_LOOKUPS))
    await asyncio.sleep(0)
    assert len(slow_names.asked) == min(names, MAX_LOOKUPS) <= 2
    for task in sending:
        task.cancel()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "hooks.test"])
async def test_slow_lookups_of_a_project_do_not_delay_another(
    clients: Clients, slow_names: SlowNames, listen: Listen, wait_until: WaitUntil, host: str
) -> None:
    hostile = clients()
    other = clients() if host != "hooks.test" else clients(resolver=NameServer(["127.0.0.1"]).resolve)
    sending = [asyncio.create_task(send(hostile, f"h{number}.example", 1)) for number in range(24)]
    await wait_until(lambda: len(slow_names.asked) == MAX_LOOKUPS)
    answers = [await send(other, host, await listen(answering(DONE)), timeout=10) for _ in range(3)]
    assert [isinstance(answer, AppAnswer) for answer in answers] == [True] * 3
    assert not any(task.done() for task in sending)
    for task in sending:
        task.cancel()


async def test_a_lookup_that_was_given_up_counts_until_it_ends(
    clients: Clients, slow_names: SlowNames, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver_module, "LOOKUP_TIMEOUT", 0.05)
    client = clients()
    answers = await asyncio.gather(*(send(client, f"h{number}.example", 1) for number in range(6)))
    assert [isinstance(answer, NoAnswer) and answer.kind for answer in answers] == ["not_sent"] * 6
    refused = await send(client, "refused.example", 1)
    assert isinstance(refused, NoAnswer)
    assert "other lookups of the project did not end" in refused.detail
    assert len(slow_names.asked) == MAX_LOOKUPS
    slow_names.answer.set()

    async def looks_up_again() -> bool:
        await send(client, "later.example", 1)
        return "later.example" in slow_names.asked

    await wait_until(looks_up_again)


async def test_a_lookup_does_not_wait_for_the_threads_of_other_work(listen: Listen, clients: Clients) -> None:
    ended = threading.Event()
    busy = [asyncio.create_task(asyncio.to_thread(ended.wait, 30)) for _ in range(64)]
    answer = await send(clients(), "localhost", await listen(answering(DONE)))
    ended.set()
    await asyncio.gather(*busy)
    assert isinstance(answer, AppAnswer)


@pytest.mark.parametrize("stage", ["lookup", "connection", "handshake"])
@pytest.mark.parametrize("by", ["the deadline", "the server's own bound"])
async def test_what_ends_before_the_request_was_written_was_not_sent(
    clients: Clients, slow_names: SlowNames, listen: Listen, monkeypatch: pytest.MonkeyPatch, stage: str, by: str
) -> None:
    timeout = 0.1
    if by == "the server's own bound":
        timeout = 30.0
        monkeypatch.setattr(pool_module, "CONNECT_TIMEOUT", 0.1)
    if stage == "connection":

        async def never(*_: object, **__: object) -> t.NoReturn:
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr(pool_module, "_connect_to_one", never)
    port = await listen(keep_silent)
    host = "slow.example" if stage == "lookup" else "127.0.0.1"
    scheme = "https" if stage == "handshake" else "http"
    answer = await clients().send(f"{scheme}://{host}:{port}/", {}, b"{}", timeout=timeout, max_size=1000)
    assert isinstance(answer, NoAnswer)
    assert (answer.kind, "no connection within 0.1 s" in answer.detail) == ("not_sent", True)


async def test_a_slow_lookup_holds_the_queue_and_uses_no_attempt(
    clients: Clients, slow_names: SlowNames, engine: Engine, gate: Gate
) -> None:
    rig = Rig(App(), "http://slow.example/queues/emails", clients(), gate)
    rig.endpoint = rig.endpoint.__class__("emails", rig.endpoint.url, timeout=100, fingerprint="f-1")
    verdict = await rig.deliver()
    held = await Holds(engine.jobs.scripts("emails")).read()
    assert isinstance(verdict, Hold)
    assert (held and held.kind) == "unreachable"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.5", "2001:db8::1"])
async def test_an_address_is_not_looked_up(address: str) -> None:
    async def resolve(host: str, port: int) -> t.NoReturn:
        raise AssertionError(host)

    everywhere = EgressRules(allowed=[ip_network("0.0.0.0/0"), ip_network("::/0")])
    [found] = await CheckedResolver(everywhere, resolve).resolve(address, 443, is_plain=False)
    assert found[4][:2] == (address, 443)


async def test_the_system_is_asked_in_a_thread_that_no_exit_waits_for(slow_names: SlowNames) -> None:
    asking = asyncio.create_task(t.cast("t.Coroutine[t.Any, t.Any, t.Any]", ask_system("slow.example", 1)))
    while not slow_names.asked:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    threads = [thread for thread in threading.enumerate() if thread.name == "nextmq-lookup"]
    assert [thread.daemon for thread in threads] == [True] * len(threads) != []
    slow_names.answer.set()
    found: t.Sequence[AddressInfo] = await asking
    assert found[0][4] == ("127.0.0.1", 1)


OWN = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL]
THEIRS = [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.ECONNRESET]


def fail_with(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> t.NoReturn:
        raise OSError(number, "as the system says")

    monkeypatch.setattr(pool_module, "_connect_to_one", fail)


@pytest.mark.parametrize("number", OWN, ids=errno.errorcode.get)
async def test_a_shortage_of_this_server_holds_no_queue_and_uses_no_attempt(
    clients: Clients,
    engine: Engine,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    fail_with(number, monkeypatch)
    verdict = await Rig(App(), "http://127.0.0.1:1/queues/emails", clients(), gate).deliver()
    assert isinstance(verdict, Hold)
    assert await Holds(engine.jobs.scripts("emails")).read() is None
    [record] = caplog.records
    said = "this server cannot open a connection" in record.getMessage()
    assert (record.levelname, said) == ("ERROR", True)


@pytest.mark.parametrize("number", THEIRS, ids=errno.errorcode.get)
async def test_a_failure_of_the_app_holds_its_queue(
    clients: Clients, engine: Engine, gate: Gate, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fail_with(number, monkeypatch)
    await Rig(App(), "http://127.0.0.1:1/queues/emails", clients(), gate).deliver()
    assert await Holds(engine.jobs.scripts("emails")).read() is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "hooks.example"])
async def test_without_descriptors_nothing_is_held_and_then_it_goes_on(
    clients: Clients, serve: Serve, engine: Engine, gate: Gate, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    app = App()
    port = (await serve(app.handle)).rpartition(":")[2]
    addresses = ["127.0.0.2", "127.0.0.1"] if host == "hooks.example" else ["127.0.0.1"]
    client = clients(resolver=NameServer(addresses).resolve)
    rig = Rig(app, f"http://{host}:{port}/queues/emails", client, gate)

    def no_descriptor(*_: object, **__: object) -> t.NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", no_descriptor)
        assert isinstance(await rig.deliver(), Hold)
    assert await Holds(engine.jobs.scripts("emails")).read() is None
    assert not isinstance(await rig.deliver(), Hold)
