"""The delivery client's connections: when one is reused, when it is closed, to which address it goes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import typing as t
from ipaddress import ip_network
from pathlib import Path

import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.http.answers import AppAnswer, NoAnswer
from nextmq_server.dispatch.http.client import DeliveryClient
from tests.support.egress import NameServer
from tests.support.raw_http import (
    CERTIFICATE,
    OK,
    RawHandler,
    Recorder,
    answering,
    keep_for_long,
    keep_silent,
    read_request,
)

if t.TYPE_CHECKING:
    from ...conftest import Listen, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Return both event loops: the server runs on uvloop if it is installed."""
    return "asyncio", {"use_uvloop": request.param}


DONE = OK + b"content-length: 0\r\n\r\n"
THIS_NETWORK = EgressRules(allowed=[ip_network("127.0.0.0/8")])


@pytest.fixture
async def client() -> t.AsyncIterator[DeliveryClient]:
    client = DeliveryClient(EgressRules.for_development())
    yield client
    await client.close()


async def post(
    client: DeliveryClient, port: int, body: bytes = b"{}", *, timeout: float = 60, max_size: int = 1000
) -> AppAnswer | NoAnswer:
    return await client.send(f"http://127.0.0.1:{port}/", {}, body, timeout=timeout, max_size=max_size)


def status(answer: AppAnswer | NoAnswer) -> int:
    assert isinstance(answer, AppAnswer), answer
    return answer.status


class Connections:
    """A server that gives each connection to the next of its handlers and knows which have ended."""

    def __init__(self, *handlers: RawHandler) -> None:
        self.begun = 0
        self.ended = 0
        self._handlers = handlers

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handle = self._handlers[self.begun]
        self.begun += 1
        try:
            with contextlib.suppress(OSError, EOFError):
                await handle(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self.ended += 1


def then_silent(*parts: bytes) -> RawHandler:
    """Read a request, write the parts and wait until the client closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.writelines(parts)
        await writer.drain()
        await reader.read()

    return handle


async def test_a_kept_connection_that_the_app_has_closed_is_replaced(
    client: DeliveryClient, listen: Listen, wait_until: WaitUntil
) -> None:
    connections = Connections(answering(DONE), answering(DONE))
    port = await listen(connections)
    await post(client, port)
    await wait_until(lambda: connections.ended == 1)
    assert (status(await post(client, port)), connections.begun) == (200, 2)


async def test_what_comes_after_an_answer_is_not_taken_for_the_next(
    client: DeliveryClient, listen: Listen, wait_until: WaitUntil
) -> None:
    smuggle, smuggled = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(DONE)
        await smuggle.wait()
        writer.write(DONE.replace(b"200 OK", b"201 Created"))
        await writer.drain()
        smuggled.set()
        await reader.read()

    connections = Connections(handle, answering(DONE))
    port = await listen(connections)
    await post(client, port)
    smuggle.set()
    await smuggled.wait()
    assert (status(await post(client, port)), connections.begun) == (200, 2)
    await wait_until(lambda: connections.ended == 2)


CLOSING = {
    "connection: close": OK + b"connection: close\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "a body over the cap": OK + b"content-length: 5000\r\n\r\n" + b"x" * 2000,
}


@pytest.mark.parametrize("raw", CLOSING.values(), ids=CLOSING)
async def test_a_connection_that_cannot_be_kept_is_closed(
    client: DeliveryClient, listen: Listen, wait_until: WaitUntil, raw: bytes
) -> None:
    connections = Connections(then_silent(raw))
    assert status(await post(client, await listen(connections))) == 200
    await wait_until(lambda: connections.ended == 1)


async def test_a_body_that_nobody_waits_for_closes_its_connection(
    client: DeliveryClient, listen: Listen, wait_until: WaitUntil
) -> None:
    connections = Connections(then_silent(OK + b"content-length: 3\r\n\r\n"))
    answer = await post(client, await listen(connections), max_size=0)
    assert isinstance(answer, AppAnswer)
    assert (answer.status, answer.body, answer.is_truncated) == (200, b"", False)
    await wait_until(lambda: connections.ended == 1)


async def test_an_answer_before_the_request_is_whole_closes_its_connection(
    client: DeliveryClient, listen: Listen, wait_until: WaitUntil
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        while await reader.read(65_536):
            pass

    connections = Connections(refuse)
    answer = await post(client, await listen(connections), bytes(50_000_000))
    assert status(answer) == 413
    await wait_until(lambda: connections.ended == 1)


async def test_an_idle_connection_is_closed_by_and_by(
    client: DeliveryClient, listen: Listen, wait_until: WaitUntil
) -> None:
    connections = Connections(then_silent(DONE))
    await post(client, await listen(connections))
    await wait_until(lambda: connections.ended == 1)


async def test_concurrent_deliveries_have_a_connection_each(client: DeliveryClient, listen: Listen) -> None:
    everyone = asyncio.Barrier(3)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await everyone.wait()
        writer.write(DONE)

    port = await listen(handle)
    answers = await asyncio.gather(*(post(client, port) for _ in range(3)))
    assert [status(answer) for answer in answers] == [200, 200, 200]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_deadline_closes_the_connection(
    client: DeliveryClient, listen: Listen, wait_until: WaitUntil, scheme: str
) -> None:
    connections = Connections(keep_silent)
    url = f"{scheme}://127.0.0.1:{await listen(connections)}/"
    assert isinstance(await client.send(url, {}, b"{}", timeout=1, max_size=1000), NoAnswer)
    await wait_until(lambda: connections.ended == 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_who_stops_waiting_closes_the_connection(
    client: DeliveryClient, listen: Listen, wait_until: WaitUntil, scheme: str
) -> None:
    connections = Connections(keep_silent)
    url = f"{scheme}://127.0.0.1:{await listen(connections)}/"
    sending = asyncio.create_task(client.send(url, {}, b"{}", timeout=60, max_size=1000))
    await wait_until(lambda: connections.begun == 1)
    sending.cancel()
    await wait_until(lambda: connections.ended == 1)


async def test_a_later_request_has_its_own_deadline(client: DeliveryClient, listen: Listen) -> None:
    port = await listen(then_silent(DONE))
    await post(client, port)
    await keep_for_long(client)
    assert await post(client, port, timeout=0.3) == NoAnswer("timeout", "no whole answer within 0.3 s")


async def test_a_deadline_that_has_passed_does_not_end_a_later_request(
    client: DeliveryClient, listen: Listen
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(DONE)
        await read_request(reader)
        await asyncio.sleep(2.5)  # beyond the first deadline, which is what this is about
        writer.write(DONE)

    port = await listen(handle)
    await post(client, port, timeout=2)
    await keep_for_long(client)
    assert status(await post(client, port)) == 200


async def test_closing_the_client_closes_what_is_idle_and_what_is_not(
    listen: Listen, wait_until: WaitUntil
) -> None:
    client = DeliveryClient(EgressRules.for_development())
    connections, busy = Connections(then_silent(DONE)), Connections(keep_silent)
    port = await listen(busy)
    sending = asyncio.create_task(post(client, port))
    await wait_until(lambda: busy.begun == 1)
    await post(client, await listen(connections))
    await client.close()
    answer = await sending
    assert isinstance(answer, NoAnswer)
    assert answer.kind == "broken"
    await wait_until(lambda: connections.ended == busy.ended == 1)


@pytest.mark.parametrize("value", ["a\r\nx-two: b", "a\nb", "a\rb", "a\0b"], ids=ascii)
async def test_a_header_with_a_line_break_is_not_sent(client: DeliveryClient, listen: Listen, value: str) -> None:
    recorder = Recorder(DONE)
    url = f"http://127.0.0.1:{await listen(recorder)}/"
    with pytest.raises(ValueError, match="a header of a delivery has a line break or a NUL"):
        await client.send(url, {"x-one": value}, b"{}", timeout=60, max_size=1000)
    assert recorder.requests == []


async def test_a_header_that_cannot_be_sent_opens_no_connection(client: DeliveryClient) -> None:
    nobody_listens = "http://127.0.0.1:1/"
    with pytest.raises(ValueError, match="a header of a delivery"):
        await client.send(nobody_listens, {"x-one": "a\nb"}, b"{}", timeout=60, max_size=1000)


REQUEST_LINES = {
    "": b"POST / HTTP/1.1",
    "/a/b?c=d#e": b"POST /a/b?c=d HTTP/1.1",
    "/é?ü=ö": b"POST /%C3%A9?%C3%BC=%C3%B6 HTTP/1.1",
    "/a%20b%0d%0a?q=%0a": b"POST /a%20b%0D%0A?q=%0A HTTP/1.1",
}


@pytest.mark.parametrize(("path", "line"), REQUEST_LINES.items(), ids=ascii)
async def test_a_request_line_is_escaped(client: DeliveryClient, listen: Listen, path: str, line: bytes) -> None:
    recorder = Recorder(DONE)
    url = f"http://127.0.0.1:{await listen(recorder)}{path}"
    await client.send(url, {}, b"{}", timeout=60, max_size=1000)
    assert recorder.requests[0].line == line


async def test_an_address_that_refuses_gives_way_to_the_next(listen: Listen) -> None:
    port = await listen(Recorder(DONE))
    client = DeliveryClient(THIS_NETWORK, resolver=NameServer(["127.0.0.2", "127.0.0.1"]).resolve)
    answer = await client.send(f"http://hooks.example:{port}/", {}, b"{}", timeout=60, max_size=1000)
    await client.close()
    assert status(answer) == 200


async def test_an_address_that_keeps_silent_gives_way_to_the_next(listen: Listen) -> None:
    port = await listen(Recorder(DONE))
    client = DeliveryClient(THIS_NETWORK, resolver=NameServer(["127.0.0.2", "127.0.0.1"]).resolve)
    with contextlib.ExitStack() as stack:
        fill(stack, "127.0.0.2", port)
        answer = await client.send(f"http://hooks.example:{port}/", {}, b"{}", timeout=60, max_size=1000)
    await client.close()
    assert status(answer) == 200


def fill(stack: contextlib.ExitStack, host: str, port: int) -> None:
    """Make `host` an address that accepts no connection, if the system allows it: its backlog is full."""
    with contextlib.suppress(OSError):  # this machine does not have that address
        stack.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(8):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex((host, port))


async def test_a_name_is_looked_up_once_for_all_who_wait_for_it(listen: Listen) -> None:
    names, asked, may_answer = NameServer(["127.0.0.1"]), asyncio.Event(), asyncio.Event()

    async def resolve(host: str, port: int) -> t.Any:
        asked.set()
        await may_answer.wait()
        return await names.resolve(host, port)

    url = f"http://hooks.example:{await listen(answering(DONE))}/"
    client = DeliveryClient(THIS_NETWORK, resolver=resolve)
    sending = [asyncio.create_task(client.send(url, {}, b"{}", timeout=60, max_size=1000)) for _ in range(5)]
    await asked.wait()
    sending.pop().cancel()  # the others wait on
    may_answer.set()
    answers = await asyncio.gather(*sending)
    await client.close()
    assert ([status(answer) for answer in answers], names.questions) == ([200] * 4, ["hooks.example"])


class TrustedApp(t.NamedTuple):
    """An app over TLS whose certificate the client trusts, and the client."""

    client: DeliveryClient
    port: int
    recorder: Recorder


@pytest.fixture
async def trusted_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.AsyncIterator[TrustedApp]:
    """Serve an app with a certificate for localhost and 127.0.0.1."""
    certificate = tmp_path / "certificate.pem"
    certificate.write_text(CERTIFICATE)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # what OpenSSL trusts by default
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    recorder = Recorder(DONE, DONE)
    connections = Connections(recorder, recorder)
    names = NameServer(["127.0.0.1"])
    client = DeliveryClient(THIS_NETWORK, resolver=names.resolve)
    server = await asyncio.start_server(connections, "127.0.0.1", 0, ssl=context)
    async with server:
        yield TrustedApp(client, server.sockets[0].getsockname()[1], recorder)
        await client.close()


@pytest.mark.parametrize("host", ["localhost", "localhost.", "127.0.0.1"])
async def test_a_trusted_certificate_of_the_name_is_delivered_to(trusted_app: TrustedApp, host: str) -> None:
    body = b"x" * 3_000_000
    url = f"https://{host}:{trusted_app.port}/"
    answer = await trusted_app.client.send(url, {}, body, timeout=60, max_size=1000)
    assert (status(answer), trusted_app.recorder.requests[0].body == body) == (200, True)


async def test_a_connection_over_tls_is_used_again(trusted_app: TrustedApp) -> None:
    url = f"https://localhost:{trusted_app.port}/"
    for _ in range(2):
        assert status(await trusted_app.client.send(url, {}, b"{}", timeout=60, max_size=1000)) == 200
        await keep_for_long(trusted_app.client)
    assert trusted_app.recorder.connections == 1


async def test_a_trusted_certificate_of_another_name_is_not_delivered_to(trusted_app: TrustedApp) -> None:
    url = f"https://hooks.example:{trusted_app.port}/"
    answer = await trusted_app.client.send(url, {}, b"{}", timeout=60, max_size=1000)
    assert isinstance(answer, NoAnswer)
    assert (answer.kind, "doesn't match" in answer.detail or "mismatch" in answer.detail) == ("not_sent", True)
