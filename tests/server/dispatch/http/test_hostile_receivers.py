"""Hostile receivers: each delivery ends with its verdict, uses little memory and does not delay the others."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import typing as t
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from dataclasses import replace

import pytest

from nextmq_handler.protocol.outcomes import Completed, Failed
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.http.client import DeliveryClient
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker.gate import Gate
from tests.support.dispatching import App, Rig
from tests.support.raw_http import OK, RawHandler, answering, read_request

if t.TYPE_CHECKING:
    from ...conftest import Listen, Serve

pytestmark = pytest.mark.anyio

LARGE = f'"{"x" * 20_000_000}"'
"""The data of a job that no socket buffer holds whole."""

CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"

OVER_LIMIT = ("InvalidOutcome", "its body is over the limit")
TIMEOUT = ("DeliveryTimeout", "the processor may still be running")
BROKEN = ("EndpointUnavailable", "the job may have run")
UNSIGNED = ("InvalidOutcome", "the job may have run")


def writing(head: bytes, part: bytes = b"", *, times: int | None = 0, pause: float = 0) -> RawHandler:
    """Read a request, write `head`, then `part` `times` times or forever, and keep the connection open."""

    async def handle(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(head)
        written = 0
        while times is None or written < times:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
            written += 1
        await writer.drain()
        await reader.read()

    return handle


def early(*parts: bytes) -> RawHandler:
    """Answer as soon as the head of a request has arrived, and read no more."""

    async def handle(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.writelines(parts)
        await writer.drain()
        await asyncio.Event().wait()

    return handle


async def read_nothing(reader: Reader, writer: Writer) -> None:
    """Accept a connection and read nothing."""
    await asyncio.Event().wait()


async def read_slowly(reader: Reader, writer: Writer) -> None:
    """Read a request byte by byte."""
    while True:
        if not await reader.read(1):
            return
        await asyncio.sleep(1)


def bomb() -> bytes:
    """Return 400 MB as 400 kB of gzip."""
    return gzip.compress(bytes(1_000_000), mtime=0) * 400


class Hostile(t.NamedTuple):
    """What a receiver does, the name and part of the message of the verdict, and the job's data as JSON."""

    handle: RawHandler
    verdict: tuple[str, str]
    data: str = "1"


def packed(encoding: bytes) -> RawHandler:
    body = bomb()
    return answering(OK + b"content-encoding: %s\r\ncontent-length: %d\r\n\r\n" % (encoding, len(body)), body)


SLOW = {
    "a body of a byte a second": Hostile(writing(OK + b"\r\n", b"x", times=None, pause=1), TIMEOUT),
    "a head of a byte a second": Hostile(writing(OK + b"x-one: ", b"x", times=None, pause=1), TIMEOUT),
    "a chunk of a byte a second": Hostile(writing(CHUNKED, b"1\r\nx\r\n", times=None, pause=1), TIMEOUT),
    "fewer bytes than announced": Hostile(writing(OK + b"content-length: 10\r\n\r\nabc"), TIMEOUT),
    "a huge length": Hostile(writing(OK + b"content-length: 9000000000000000000\r\n\r\nabc"), TIMEOUT),
    "no last chunk": Hostile(writing(CHUNKED + b"3\r\nabc\r\n"), TIMEOUT),
    "a huge chunk": Hostile(writing(CHUNKED + b"7fffffffffffffff\r\nabc"), TIMEOUT),
    "nothing is read": Hostile(read_nothing, TIMEOUT, LARGE),
    "a byte a second is read": Hostile(read_slowly, TIMEOUT, LARGE),
}
FAST = {
    "a body without end": Hostile(writing(OK + b"\r\n", b"x" * 65_536, times=None), OVER_LIMIT),
    "chunks without end": Hostile(writing(CHUNKED, b"3e8\r\n" + b"x" * 1000 + b"\r\n", times=None), OVER_LIMIT),
    "short chunks without end": Hostile(writing(CHUNKED, b"32\r\n" + b"x" * 50 + b"\r\n", times=None), BROKEN),
    "small chunks without end": Hostile(writing(CHUNKED, b"2\r\nxx\r\n" * 10_000, times=None), BROKEN),
    "chunk extensions without end": Hostile(
        writing(CHUNKED, b"1;" + b"e" * 60_000 + b"\r\nx\r\n", times=None), BROKEN
    ),
    "a huge length that is kept": Hostile(
        writing(OK + b"content-length: 9000000000000000000\r\n\r\n", b"x" * 65_536, times=None), OVER_LIMIT
    ),
    "informational answers without end": Hostile(
        writing(b"", b"HTTP/1.1 102 Processing\r\n\r\n", times=None), BROKEN
    ),
    "headers without end": Hostile(writing(OK, b"x-one: a\r\n" * 1000, times=None), BROKEN),
    "a header without end": Hostile(writing(OK + b"x-one: ", b"a" * 65_536, times=None), BROKEN),
    "trailers without end": Hostile(writing(CHUNKED + b"0\r\n", b"x-one: a\r\n" * 1000, times=None), BROKEN),
    "a chunk extension without end": Hostile(writing(CHUNKED + b"3;", b"x" * 65_536, times=None), BROKEN),
    "a chunk size without end": Hostile(writing(CHUNKED, b"0" * 65_536, times=None), BROKEN),
    "a status line of 100 MB": Hostile(writing(b"HTTP/1.1 200 ", b"x" * 100_000, times=1000), BROKEN),
    "a chunk size that is no number": Hostile(writing(CHUNKED + b"zz\r\nabc\r\n"), BROKEN),
    "a negative chunk size": Hostile(writing(CHUNKED + b"-3\r\nabc\r\n"), BROKEN),
    "a chunk longer than its size": Hostile(writing(CHUNKED + b"3\r\nabcdef\r\n"), BROKEN),
    "more bytes than announced": Hostile(writing(OK + b"content-length: 2\r\n\r\nabcdef"), BROKEN),
    "a negative length": Hostile(writing(OK + b"content-length: -3\r\n\r\nabc"), BROKEN),
    "a length beyond all numbers": Hostile(writing(OK + b"content-length: " + b"9" * 40 + b"\r\n\r\n"), BROKEN),
    "two lengths": Hostile(writing(OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc"), BROKEN),
    "a close before the length": Hostile(answering(OK + b"content-length: 10\r\n\r\nabc"), BROKEN),
    "a reset within the body": Hostile(answering(OK + b"content-length: 10\r\n\r\nabc", reset=True), BROKEN),
    "a reset within the head": Hostile(answering(OK + b"x-one: ", reset=True), BROKEN),
    "HTTP/0.9": Hostile(answering(b'{"outcome":"completed","returnValue":1}'), BROKEN),
    "HTTP/2": Hostile(writing(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18)), BROKEN),
    "another protocol": Hostile(answering(b"SSH-2.0-OpenSSH_9.6\r\n"), BROKEN),
    "a gzip bomb": Hostile(packed(b"gzip"), ("InvalidOutcome", "it has a content-encoding")),
    "a gzip bomb of another name": Hostile(packed(b"x-gzip"), ("InvalidOutcome", "it has a content-encoding")),
    "200 before the request is whole": Hostile(early(OK + b"content-length: 2\r\n\r\n{}"), UNSIGNED, LARGE),
    "500 before the request is whole": Hostile(
        early(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        ("EndpointUnavailable", "the app answered 500; the job may have run"),
        LARGE,
    ),
}


class Deliver(t.Protocol):
    async def __call__(self, hostile: Hostile, *, timeout: int = ...) -> Verdict: ...


@pytest.fixture
async def client() -> t.AsyncIterator[DeliveryClient]:
    client = DeliveryClient(EgressRules.for_development())
    yield client
    await client.close()


@pytest.fixture
def deliver(client: DeliveryClient, listen: Listen, gate: Gate) -> Deliver:
    """Deliver a job to the hostile receiver, within `timeout` ms."""

    async def deliver(hostile: Hostile, *, timeout: int = 60_000) -> Verdict:
        rig = Rig(App(), f"http://127.0.0.1:{await listen(hostile.handle)}/queues/emails", client, gate)
        rig.endpoint = replace(rig.endpoint, timeout=timeout)
        return await rig.deliver(data=hostile.data)

    return deliver


def failure(verdict: Verdict, expected: tuple[str, str]) -> tuple[str, str]:
    """Return the name of the error and, if the message contains it, the expected part."""
    assert isinstance(verdict, Failed), verdict
    _, part = expected
    return verdict.name, part if part in verdict.message else verdict.message


@pytest.mark.parametrize("hostile", SLOW.values(), ids=SLOW)
async def test_a_receiver_that_takes_its_time_ends_at_the_deadline(deliver: Deliver, hostile: Hostile) -> None:
    assert failure(await deliver(hostile, timeout=300), hostile.verdict) == hostile.verdict


@pytest.mark.parametrize("hostile", FAST.values(), ids=FAST)
async def test_what_can_be_no_outcome_ends_a_delivery(deliver: Deliver, hostile: Hostile) -> None:
    assert failure(await deliver(hostile), hostile.verdict) == hostile.verdict


@pytest.mark.parametrize("hostile", SLOW.values(), ids=SLOW)
async def test_other_queues_are_delivered_meanwhile(
    deliver: Deliver, client: DeliveryClient, serve: Serve, hostile: Hostile, gate: Gate
) -> None:
    connected, app = asyncio.Event(), App()

    async def handle(reader: Reader, writer: Writer) -> None:
        connected.set()
        await hostile.handle(reader, writer)

    delivering = asyncio.create_task(deliver(hostile._replace(handle=handle)))
    await connected.wait()
    verdicts = [await Rig(app, await serve(app.handle), client, gate).deliver() for _ in range(3)]
    was_done = delivering.done()
    delivering.cancel()
    assert (verdicts, was_done) == ([Completed({"sent": True})] * 3, False)


async def test_all_of_them_at_once_take_little_memory(deliver: Deliver) -> None:
    hostile = [each for each in (*SLOW.values(), *FAST.values()) if each.data is not LARGE]
    tracemalloc.start()
    try:
        await asyncio.gather(*(deliver(each, timeout=2000) for each in hostile))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32_000_000


async def test_a_chain_of_redirects_is_not_begun(deliver: Deliver) -> None:
    requests: list[bytes] = []

    async def handle(reader: Reader, writer: Writer) -> None:
        for number in range(60):
            requests.append((await read_request(reader)).line)
            writer.write(b"HTTP/1.1 307 Moved\r\nlocation: /%d\r\ncontent-length: 0\r\n\r\n" % number)

    expected = ("InvalidOutcome", "redirects are never followed")
    verdict = await deliver(Hostile(handle, expected))
    assert (failure(verdict, expected), len(requests)) == (expected, 1)
