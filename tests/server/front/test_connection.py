"""What one connection can make the server hold: no more than the bounds, whatever it sends or leaves out."""

from __future__ import annotations

import asyncio
import json
import typing as t

import pytest

from nextmq_server.front import bounds

from .conftest import OK

if t.TYPE_CHECKING:
    from ..conftest import WaitUntil
    from .conftest import Fronted

pytestmark = pytest.mark.anyio

GET = b"GET /get HTTP/1.1\r\nhost: a\r\n\r\n"
KIB = 1024
MIB = 1024 * 1024


def get(path: bytes = b"/get", *headers: bytes) -> bytes:
    """Return the bytes of a GET."""
    return b"\r\n".join((b"GET %s HTTP/1.1" % path, b"host: a", *headers, b"", b""))


def post(path: bytes, body: bytes, *headers: bytes) -> bytes:
    """Return the bytes of a POST."""
    declared = headers or (b"content-length: %d" % len(body),)
    return b"\r\n".join((b"POST %s HTTP/1.1" % path, b"host: a", *declared, b"", body))


def chunked(path: bytes, *rest: bytes) -> list[bytes]:
    """Return the parts of a chunked POST."""
    return [post(path, b"", b"transfer-encoding: chunked"), *rest]


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def status(said: bytes) -> int:
    """Return the status of the first answer, 0 if there was none."""
    return int(said.split()[1]) if said else 0


def head_of(size: int) -> bytes:
    """Return a GET whose head is exactly so long."""
    return get(b"/get", b"x: " + b"y" * (size - len(get(b"/get", b"x: "))))


TOO_LARGE: dict[str, list[bytes]] = {
    "one byte too many": [head_of(bounds.MAX_HEAD + 1)],
    "one long header": [get(b"/get", b"x: " + b"y" * MIB)],
    "one header of 16 MiB": [b"GET / HTTP/1.1\r\nx: ", *[b"y" * MIB] * 16],
    "a header without end": [b"GET / HTTP/1.1\r\nx: ", b"y" * MIB],
    "a long header name": [b"GET / HTTP/1.1\r\n", b"y" * MIB],
    "many headers": [get(b"/get", *[b"x: y"] * 20_000)],
    "many empty headers": [get(b"/get", *[b"x:"] * 30_000)],
    "many hosts": [get(b"/get", *[b"host: b"] * 10_000)],
    "a long path": [get(b"/" + b"y" * MIB)],
    "a long query": [get(b"/get?" + b"y" * MIB)],
    "a path of 16 MiB": [b"GET /", *[b"y" * MIB] * 16],
    "an absolute URL": [get(b"http://a/" + b"y" * MIB)],
    "line ends before the request": [b"\r\n" * MIB],
    "spaces in a header": [get(b"/get", b"x:" + b" " * MIB + b"y")],
    "in small pieces": in_pieces(head_of(bounds.MAX_HEAD + 1), 1000),
    "in two pieces": in_pieces(head_of(bounds.MAX_HEAD + KIB), 60_000),
    "of a POST": [post(b"/read", b"", b"content-length: 5", b"x: " + b"y" * MIB)],
    "of a chunked POST": [post(b"/read", b"", b"transfer-encoding: chunked", b"x: " + b"y" * MIB)],
    "many cookies": [get(b"/get", *[b"cookie: a=b"] * 10_000)],
    "of an upgrade": [get(b"/get", b"connection: upgrade", b"upgrade: websocket", b"x: " + b"y" * MIB)],
}

INVALID: dict[str, list[bytes]] = {
    "TLS": [bytes.fromhex("16030100f8010000f40303") + bytes(200)],
    "the preface of HTTP/2": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "text": [b"hello\r\n\r\n"],
    "zeros": [bytes(100)],
    "a header without colon": [get(b"/get", b"x")],
    "a folded header": [get(b"/get", b"x: y", b" y")],
    "a zero in a header": [get(b"/get", b"x: a\0b")],
    "another method": [b"BREW / HTTP/1.1\r\n\r\n"],
    "another version": [b"GET / HTTP/3.7\r\n\r\n"],
    "a tunnel": [b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n"],
    "a path that is no ASCII": [get("/é".encode())],
    "two lengths": [post(b"/read", b"hello", b"content-length: 5", b"content-length: 6")],
    "a length and chunks": [post(b"/read", b"0\r\n\r\n", b"content-length: 5", b"transfer-encoding: chunked")],
    "a negative length": [post(b"/read", b"", b"content-length: -1")],
    "a length of text": [post(b"/read", b"", b"content-length: five")],
    "a length too long": [post(b"/read", b"", b"content-length: " + b"9" * 50)],
    "another coding": [post(b"/read", b"", b"transfer-encoding: gzip")],
    "a chunk that is no number": chunked(b"/read", b"zz\r\n\r\n"),
    "a chunk size too long": chunked(b"/read", b"f" * 20 + b"\r\n"),
    "an upgrade with a body": [
        post(b"/read", GET, b"connection: upgrade", b"upgrade: h2c", b"content-length: %d" % len(GET))
    ],
    "a long chunk extension": chunked(b"/read", b"5;x=" + b"y" * MIB),
    "many chunk extensions": chunked(b"/read", *[b"1;" + b"y" * 1000 + b"\r\nx\r\n"] * 500),
    "a long trailer": chunked(b"/read", b"0\r\nx: " + b"y" * MIB),
    "many trailers": chunked(b"/read", b"0\r\n" + b"x: y\r\n" * 50_000),
    "chunks of one byte": chunked(b"/read", b"1\r\nx\r\n" * 100_000),
    "zeros before chunks": chunked(b"/read", *[b"0" * 1000 + b"1\r\nx\r\n"] * 500),
}

FIT: dict[str, list[bytes]] = {
    "the longest head": [head_of(bounds.MAX_HEAD)],
    "the longest head in pieces": in_pieces(head_of(bounds.MAX_HEAD), 999),
    "the longest head with a body": [
        post(b"/read", b"z" * MIB, b"content-length: %d" % MIB, b"x: " + b"y" * (bounds.MAX_HEAD - 100))
    ],
    "byte for byte": in_pieces(GET, 1),
    "line ends before": [b"\r\n\r\n" + GET],
    "HTTP/1.0": [b"GET /get HTTP/1.0\r\n\r\n"],
    "a body": [post(b"/read", b"z" * MIB)],
    "a body that nobody reads": [post(b"/get", b"z")],
    "chunks": chunked(b"/read", b"%x\r\n" % MIB + b"z" * MIB + b"\r\n", b"0\r\n\r\n"),
    "small chunks": chunked(
        b"/read", b"20\r\n" + b"z" * 32 + b"\r\n", *[b"20\r\n" + b"z" * 32 + b"\r\n"] * 5000, b"0\r\n\r\n"
    ),
    "chunks with short extensions": chunked(b"/read", b"5;a=b\r\nhello\r\n" * 10 + b"0\r\n\r\n"),
    "trailers": chunked(b"/read", b"5\r\nhello\r\n0\r\nx: y\r\n\r\n"),
    "an upgrade that is not done": [get(b"/get", b"connection: upgrade", b"upgrade: h2c")],
    "a websocket": [get(b"/get", b"connection: upgrade", b"upgrade: websocket")],
}


@pytest.mark.parametrize("parts", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_a_head_that_is_too_long_is_refused_with_431(fronted: Fronted, parts: list[bytes]) -> None:
    said = await fronted.talk(*parts)
    assert (status(said), fronted.app.calls) == (431, [])


@pytest.mark.parametrize("parts", INVALID.values(), ids=INVALID)
async def test_what_is_no_request_is_refused_with_400(fronted: Fronted, parts: list[bytes]) -> None:
    said = await fronted.talk(*parts)
    assert (status(said), fronted.app.bodies) == (400, [])


@pytest.mark.parametrize("parts", FIT.values(), ids=FIT)
async def test_what_fits_is_answered(fronted: Fronted, parts: list[bytes]) -> None:
    client = await fronted.connect()
    await client.send(*parts)
    assert await client.answer() == (200, b"ok")


async def test_a_refusal_of_the_front_has_the_shape_of_all_errors(fronted: Fronted) -> None:
    body = (await fronted.talk(b"hello\r\n\r\n")).partition(b"\r\n\r\n")[2]
    assert {name: type(value) for name, value in json.loads(body).items()} == {
        "error": str,
        "message": str,
        "details": dict,
    }


PIPELINED: dict[str, list[bytes]] = {
    "two": [GET + GET],
    "thousands": [GET * 100_000],
    "thousands in pieces": [GET * 1000] * 100,
    "the begin of another": [GET + b"G"],
    "something else": [GET + b"\x16\x03"],
    "behind a body": [post(b"/read", b"hello") + GET],
    "behind chunks": [post(b"/read", b"5\r\nhello\r\n0\r\n\r\n", b"transfer-encoding: chunked") + GET],
    "behind the last": [get(b"/get", b"connection: close") + GET],
    "behind an upgrade": [get(b"/get", b"connection: upgrade", b"upgrade: websocket") + GET],
    "long bodies": [post(b"/read", b"z" * 1000) * 1000],
}


@pytest.mark.parametrize("parts", PIPELINED.values(), ids=PIPELINED)
async def test_a_request_behind_another_ends_the_connection(fronted: Fronted, parts: list[bytes]) -> None:
    said = await fronted.talk(*parts)
    assert (said.startswith(OK), said.count(OK), len(fronted.app.calls)) == (True, 1, 1)


async def test_a_request_that_comes_while_another_runs_is_thrown_away(
    fronted: Fronted, wait_until: WaitUntil
) -> None:
    client = await fronted.connect()
    await client.send(get(b"/wait"))
    await wait_until(lambda: fronted.app.calls)
    await client.send(GET * 1000)
    fronted.app.release.set()
    said = await client.rest()
    assert (said.count(OK), fronted.app.calls) == (1, ["/wait"])


async def test_requests_behind_another_are_not_kept(fronted: Fronted, wait_until: WaitUntil) -> None:
    client = await fronted.connect()
    await client.send(get(b"/wait"))
    await wait_until(lambda: fronted.app.calls)
    sending = asyncio.create_task(client.send(*[GET * 10_000] * 100))
    assert await client.rest() == b""
    sending.cancel()


async def test_one_request_after_the_other_uses_one_connection(fronted: Fronted) -> None:
    client = await fronted.connect()
    answers = []
    for request in (GET, post(b"/read", b"z" * MIB), get(b"/get", b"connection: upgrade", b"upgrade: h2c"), GET):
        await client.send(request)
        answers.append(await client.answer())
    assert answers == [(200, b"ok")] * 4


SLOW: dict[str, list[bytes]] = {
    "a request line": [b"GET /"],
    "a header": [b"GET / HTTP/1.1\r\nhost: a"],
    "a head but for its end": [GET[:-1]],
    "no body": [post(b"/read", b"", b"content-length: 5")],
    "a part of a body": [post(b"/read", b"hel", b"content-length: 5")],
    "a part of a large body": [post(b"/read", b"z" * 100_000, b"content-length: 200000")],
    "no chunk": chunked(b"/read"),
    "a part of a chunk": chunked(b"/read", b"5\r\nhel"),
    "no last chunk": chunked(b"/read", b"5\r\nhello\r\n"),
    "a part of the trailers": chunked(b"/read", b"0\r\nx: y\r\n"),
    "no body after 100": [post(b"/read", b"", b"content-length: 5", b"expect: 100-continue")],
    "an upgrade": [get(b"/get", b"connection: upgrade", b"upgrade: websocket")[:-2]],
}


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("parts", SLOW.values(), ids=SLOW)
async def test_a_request_that_does_not_end_is_refused_with_408(fronted: Fronted, parts: list[bytes]) -> None:
    said = (await fronted.talk(*parts)).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (status(said), fronted.app.bodies) == (408, [])


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nx: ", post(b"/read", b"", b"content-length: 99999")])
async def test_a_byte_now_and_then_gives_no_more_time(fronted: Fronted, begin: bytes) -> None:
    client = await fronted.connect()
    await client.send(begin)

    async def trickle() -> None:
        while True:
            await client.send(b"\n" if not begin else b"y")
            await asyncio.sleep(0.01)

    trickling = asyncio.create_task(trickle())
    assert status(await client.rest()) == 408
    trickling.cancel()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("before", [b"", GET], ids=["new", "kept alive"])
async def test_a_silent_connection_is_closed(fronted: Fronted, before: bytes) -> None:
    client = await fronted.connect()
    await client.send(before)
    assert (await client.rest()).count(OK) == bool(before)


@pytest.mark.usefixtures("hurried")
async def test_a_steady_body_may_take_longer(fronted: Fronted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MIN_BODY_RATE", 1)
    client = await fronted.connect()
    await client.send(post(b"/read", b"", b"content-length: 60"))
    for _ in range(60):
        await client.send(b"z")
        await asyncio.sleep(0.01)
    assert await client.answer() == (200, b"ok")


async def test_an_answer_before_the_end_of_the_request_is_read_in_full(fronted: Fronted) -> None:
    said = await fronted.talk(post(b"/get", b"z" * MIB, b"content-length: %d" % (4 * MIB)), *[b"z" * MIB] * 3)
    assert (said.count(OK), said.endswith(b"ok"), b"connection: close" in said) == (True, True, True)


async def test_a_body_without_end_that_nobody_reads_is_cut(fronted: Fronted) -> None:
    client = await fronted.connect()
    sent = 0
    try:
        await client.send(post(b"/get", b"", b"content-length: 9999999999"))
        while sent < 4 * bounds.MAX_DISCARDED:
            client.writer.write(b"z" * MIB)
            await client.writer.drain()
            sent += MIB
    except ConnectionError:
        pass
    assert sent < 4 * bounds.MAX_DISCARDED


async def test_a_body_that_nobody_reads_yet_is_not_kept(fronted: Fronted, wait_until: WaitUntil) -> None:
    client = await fronted.connect()
    sending = asyncio.create_task(client.send(post(b"/wait", b"z" * 64 * MIB)))
    await wait_until(lambda: fronted.app.calls)
    [connection] = fronted.front._connections
    await asyncio.sleep(0.05)
    assert len(connection.cycle.body) < MIB
    sending.cancel()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("path", [b"/big", b"/endless"])
async def test_a_client_that_does_not_read_its_answer_is_cut_off(
    fronted: Fronted, wait_until: WaitUntil, path: bytes
) -> None:
    client = await fronted.connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await client.send(get(path))
    await wait_until(lambda: fronted.app.calls and not fronted.open)
    await wait_until(lambda: fronted.app.ended)


@pytest.mark.usefixtures("hurried")
async def test_a_client_that_reads_slowly_gets_its_answer(
    fronted: Fronted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MIN_READ", 1)
    monkeypatch.setattr(bounds, "SEND_TIMEOUT", 1.0)
    client = await fronted.connect()
    await client.send(get(b"/big", b"connection: close"))
    size = 0
    while part := await client.reader.read(64 * KIB):  # for longer than SEND_TIMEOUT
        size += len(part)
        await asyncio.sleep(0.01)
    assert size > 8 * MIB


@pytest.mark.parametrize("parts", [[GET], [GET * 100], [b"GET / HT"], [post(b"/read", b"", b"content-length: 5")]])
async def test_a_client_that_resets_leaves_nothing(
    fronted: Fronted, wait_until: WaitUntil, parts: list[bytes]
) -> None:
    client = await fronted.connect()
    await client.send(*parts)
    await wait_until(lambda: fronted.open)
    client.reset()
    await wait_until(lambda: not fronted.open and len(fronted.app.calls) == len(fronted.app.ended))
    assert not fronted.front._connections


async def test_a_client_that_closes_its_half_is_closed(fronted: Fronted, wait_until: WaitUntil) -> None:
    client = await fronted.connect()
    await client.send(get(b"/wait"))
    await wait_until(lambda: fronted.app.calls)
    client.writer.write_eof()
    assert await client.rest() == b""


async def test_a_trailer_is_not_a_header(fronted: Fronted) -> None:
    client = await fronted.connect()
    await client.send(*chunked(b"/read", b"0\r\nauthorization: Bearer x\r\n\r\n"))
    await client.answer()
    [connection] = fronted.front._connections
    assert b"authorization" not in dict(connection.scope["headers"])
