"""The HTTP client of deliveries, against servers that write arbitrary bytes."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import tracemalloc
import typing as t
from pathlib import Path

import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.http.answers import AppAnswer, NoAnswer
from nextmq_server.dispatch.http.client import DeliveryClient
from tests.support.raw_http import (
    CERTIFICATE,
    OK,
    RawHandler,
    Recorder,
    Sent,
    answer_plainly,
    answering,
    close_at_once,
    endless,
    keep_for_long,
    keep_silent,
    read_request,
)

if t.TYPE_CHECKING:
    from ...conftest import Listen

pytestmark = pytest.mark.anyio

CAP = 1024 * 1024
BODY = b'{"deliveryId":"dlv_1"}'
HEADERS = {
    "content-type": "application/json",
    "accept-encoding": "identity",
    "user-agent": "nextmq-server/1.2.3",
    "x-nextmq-id": "dlv_1",
}


class Sender(t.Protocol):
    async def __call__(
        self, address: int | str, *, body: bytes = ..., timeout: float = ..., max_size: int = ...
    ) -> AppAnswer | NoAnswer: ...


@pytest.fixture
async def client() -> t.AsyncIterator[DeliveryClient]:
    client = DeliveryClient(EgressRules.for_development())
    yield client
    await client.close()


@pytest.fixture
def send(client: DeliveryClient) -> Sender:
    """Send one delivery to a port of this machine or to a URL, always with the same client."""

    async def send(
        address: int | str, *, body: bytes = BODY, timeout: float = 30.0, max_size: int = CAP
    ) -> AppAnswer | NoAnswer:
        url = f"http://127.0.0.1:{address}/queues/emails" if isinstance(address, int) else address
        return await client.send(url, HEADERS, body, timeout=timeout, max_size=max_size)

    return send


def kind(answer: AppAnswer | NoAnswer) -> str:
    assert isinstance(answer, NoAnswer)
    return answer.kind


def got(answer: AppAnswer | NoAnswer) -> AppAnswer:
    assert isinstance(answer, AppAnswer)
    return answer


async def test_an_answer_comes_back_as_it_was_written(send: Sender, listen: Listen) -> None:
    port = await listen(
        answering(b"HTTP/1.1 418 Tea\r\nX-One: a\r\nx-one: \xe9\r\ncontent-length: 3\r\n\r\n\x00\r\n")
    )
    answer = got(await send(port))
    found = (answer.status, answer.headers.items, answer.body, answer.is_truncated)
    assert found == (418, [(b"x-one", b"a"), (b"x-one", b"\xe9"), (b"content-length", b"3")], b"\x00\r\n", False)


async def test_an_endless_body_is_cut_at_the_cap(send: Sender, listen: Listen) -> None:
    answer = got(await send(await listen(endless)))
    assert (answer.is_truncated, answer.body) == (True, b"x" * CAP)


async def test_an_endless_body_takes_little_memory(send: Sender, listen: Listen) -> None:
    port = await listen(endless)
    tracemalloc.start()
    await send(port)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * CAP


async def test_the_connection_of_an_endless_body_is_closed(send: Sender, listen: Listen) -> None:
    closed = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await endless(reader, writer)
        except OSError:
            closed.set()

    await send(await listen(handle))
    async with asyncio.timeout(30):
        assert await closed.wait()


@pytest.mark.parametrize(("max_size", "is_truncated"), [(5, False), (4, True)])
async def test_a_body_is_truncated_only_over_the_cap(
    send: Sender, listen: Listen, max_size: int, is_truncated: bool
) -> None:
    port = await listen(answering(OK + b"content-length: 5\r\n\r\nabcde"))
    answer = got(await send(port, max_size=max_size))
    assert (answer.body, answer.is_truncated) == (b"abcde"[:max_size], is_truncated)


async def test_a_body_of_a_byte_a_second_ends_at_the_deadline(send: Sender, listen: Listen) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK + b"content-length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(1)

    assert await send(await listen(drip), timeout=0.3) == NoAnswer("timeout", "no whole answer within 0.3 s")


@pytest.mark.parametrize(("scheme", "expected"), [("http", "timeout"), ("https", "not_sent")])
async def test_a_silent_server_ends_at_the_deadline(
    send: Sender, listen: Listen, scheme: str, expected: str
) -> None:
    port = await listen(keep_silent)  # over TLS the handshake does not end, so nothing of the request is sent
    assert kind(await send(f"{scheme}://127.0.0.1:{port}/", timeout=0.3)) == expected


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(send: Sender, listen: Listen, status: int) -> None:
    requests: list[Sent] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(b"HTTP/1.1 %d Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n" % status)
        await writer.drain()

    answer = got(await send(await listen(handle)))
    assert (answer.status, len(requests)) == (status, 1)


async def test_a_refused_connection_was_not_sent(send: Sender) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and not listened to
        assert kind(await send(nobody.getsockname()[1])) == "not_sent"


@pytest.mark.parametrize(
    "host", ["nobody.invalid", "two..dots.invalid", f"{'a' * 64}.invalid", "☃.invalid"], ids=ascii
)
async def test_a_host_that_has_no_address_was_not_sent(send: Sender, host: str) -> None:
    assert kind(await send(f"http://{host}/queues/emails")) == "not_sent"


@pytest.mark.parametrize("url", ["http://", "http://127.0.0.1:99999/", "http://[::1/", "/queues/emails", ""])
async def test_a_url_that_is_none_was_not_sent(send: Sender, url: str) -> None:
    assert kind(await send(url)) == "not_sent"


async def test_a_certificate_that_nobody_trusts_was_not_sent(send: Sender, tmp_path: Path) -> None:
    (tmp_path / "certificate.pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem")

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def shake_hands() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                context.wrap_socket(connection, server_side=True).close()

        shaking = asyncio.create_task(asyncio.to_thread(shake_hands))
        answer = await send(f"https://127.0.0.1:{server.getsockname()[1]}/")
        await shaking
    assert isinstance(answer, NoAnswer)
    assert (answer.kind, "CERTIFICATE_VERIFY_FAILED" in answer.detail) == ("not_sent", True)


@pytest.mark.parametrize("handle", [answer_plainly, close_at_once], ids=["plain HTTP", "closed"])
async def test_a_failed_handshake_was_not_sent(send: Sender, listen: Listen, handle: RawHandler) -> None:
    assert kind(await send(f"https://127.0.0.1:{await listen(handle)}/")) == "not_sent"


BROKEN = {
    "nothing": b"",
    "half a head": OK + b"x-one: a\r\n",
    "half a body": OK + b"content-length: 10\r\n\r\nabc",
    "half a chunk": OK + b"transfer-encoding: chunked\r\n\r\n5\r\nabc",
    "no last chunk": OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
async def test_a_close_before_the_answer_is_whole_is_broken(send: Sender, listen: Listen, raw: bytes) -> None:
    assert kind(await send(await listen(answering(raw)))) == "broken"


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
async def test_a_reset_before_the_answer_is_whole_is_broken(send: Sender, listen: Listen, raw: bytes) -> None:
    assert kind(await send(await listen(answering(raw, reset=True)))) == "broken"


async def test_half_a_body_that_fills_the_cap_is_broken(send: Sender, listen: Listen) -> None:
    port = await listen(answering(OK + b"content-length: 6\r\n\r\nabcde"))
    assert kind(await send(port, max_size=5)) == "broken"


MALFORMED = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a header with a space": OK + b"x one: a\r\n\r\n",
    "a header with a NUL": OK + b"x-one: a\x00b\r\n\r\n",
    "a header without end": OK + b"x-one: " + b"a" * 300_000 + b"\r\n\r\n",
    "headers without end": OK + b"x-one: a\r\n" * 50_000,
    "a bad chunk": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "a bad chunk after a good one": OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
    "a negative length": OK + b"content-length: -2\r\n\r\nab",
    "a length that is no number": OK + b"content-length: two\r\n\r\nab",
    "two lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    "a length and chunks": OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "more than its length": OK + b"content-length: 2\r\n\r\nabcdef",
    "a body where none may be": b"HTTP/1.1 204 No Content\r\n\r\nabc",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_not_an_http_answer_is_broken(send: Sender, listen: Listen, raw: bytes) -> None:
    assert kind(await send(await listen(answering(raw)))) == "broken"


async def test_what_is_said_of_a_broken_answer_is_short(send: Sender, listen: Listen) -> None:
    answer = await send(await listen(answering(OK + (b"x-one: " + b"a" * 8000 + b"\r\n") * 100)))
    assert isinstance(answer, NoAnswer)
    assert len(answer.detail) <= 2048


async def test_a_gzip_body_is_not_decompressed(send: Sender, listen: Listen) -> None:
    packed = gzip.compress(b"x" * 1000, mtime=0)
    head = OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    assert got(await send(await listen(answering(head + packed)))).body == packed


async def test_a_request_arrives_exactly(send: Sender, listen: Listen) -> None:
    recorder = Recorder(OK + b"\r\n")
    port = await listen(recorder)
    await send(port)
    [sent] = recorder.requests
    expected = {**HEADERS, "host": f"127.0.0.1:{port}", "content-length": str(len(BODY))}
    headers = sorted((name.decode(), value.decode()) for name, value in sent.headers.items)
    assert (sent.line, headers, sent.body) == (b"POST /queues/emails HTTP/1.1", sorted(expected.items()), BODY)


async def test_a_large_delivery_arrives_whole(send: Sender, listen: Listen) -> None:
    recorder = Recorder(OK + b"\r\n")
    body = b"x" * 10 * 1024 * 1024
    await send(await listen(recorder), body=body)
    assert recorder.requests[0].body == body


async def test_a_cookie_that_was_set_is_not_sent(send: Sender, client: DeliveryClient, listen: Listen) -> None:
    recorder = Recorder(OK + b"set-cookie: session=1; path=/\r\ncontent-length: 0\r\n\r\n", OK + b"\r\n")
    port = await listen(recorder)
    await send(port)
    await keep_for_long(client)
    await send(port)
    assert recorder.requests[1].headers.all(b"cookie") == []


async def test_a_connection_is_used_again(send: Sender, client: DeliveryClient, listen: Listen) -> None:
    recorder = Recorder(*[OK + b"content-length: 0\r\n\r\n"] * 3)
    port = await listen(recorder)
    await send(port)
    await keep_for_long(client)
    for _ in range(2):
        await send(port)
    assert (recorder.connections, len(recorder.requests)) == (1, 3)


async def test_a_delivery_is_not_sent_again_where_a_kept_connection_breaks(
    send: Sender, client: DeliveryClient, listen: Listen
) -> None:
    recorder = Recorder(OK + b"content-length: 0\r\n\r\n", b"")
    port = await listen(recorder)
    await send(port)
    await keep_for_long(client)
    assert (kind(await send(port)), recorder.connections) == ("broken", 1)
