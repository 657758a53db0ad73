"""A server that answers without end: each call ends in time, and reads no more than it may."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
import typing as t
from collections.abc import Callable, Iterator

import pytest

from nextmq_handler import (
    AsyncQueue,
    NextMQConnectionError,
    NextMQError,
    NextMQHTTPError,
    NextMQTimeoutError,
    Queue,
    _overrides,
)
from nextmq_handler.client._http import bounds
from nextmq_handler.client._http.answer import MAX_TOLD
from nextmq_handler.client._sync import workers
from nextmq_handler.protocol.clocks import monotonic
from nextmq_handler.settings import parse_connection_string
from tests.support.client import Kind, both_kinds, value_of
from tests.support.handler import SECRET

pytestmark = pytest.mark.anyio

TIMEOUT = 0.15
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
FOR_EVER = 3600.0

Send = Callable[[bytes], None]
Behaviour = Callable[[Send], None]


def slowly(send: Send, *parts: bytes, again: bytes) -> None:
    """Send `parts`, then `again` for ever, a part each 10 ms: each read of the client succeeds."""
    for part in parts:
        send(part)
    while True:
        send(again)
        time.sleep(0.01)


def quickly(send: Send, *parts: bytes, again: bytes) -> None:
    for part in parts:
        send(part)
    while True:
        send(again)


def stops(send: Send, *start: bytes) -> None:
    for part in start:
        send(part)
    time.sleep(FOR_EVER)


BEHAVIOURS: dict[str, Behaviour] = {
    "says nothing": lambda send: time.sleep(FOR_EVER),
    "a head byte by byte": lambda send: slowly(send, HEAD, b"x: ", again=b"x"),
    "a head header by header": lambda send: slowly(send, HEAD, again=b"x: y\r\n"),
    "a status line byte by byte": lambda send: slowly(send, b"HTTP/1.1 200 O", again=b"K"),
    "endless informational answers, slowly": lambda send: slowly(send, again=b"HTTP/1.1 103 Hint\r\n\r\n"),
    "endless informational answers": lambda send: quickly(send, again=b"HTTP/1.1 103 Hint\r\n\r\n"),
    "headers without end": lambda send: quickly(send, HEAD, again=b"x: " + b"y" * 1000 + b"\r\n"),
    "a header without end": lambda send: quickly(send, HEAD, b"x: ", again=b"y" * 1000),
    "a body byte by byte": lambda send: slowly(send, HEAD, b"content-length: 9999999\r\n\r\n", again=b" "),
    "a body that stops": lambda send: stops(send, HEAD + b"content-length: 9\r\n\r\n{"),
    "chunks byte by byte": lambda send: slowly(
        send, HEAD, b"transfer-encoding: chunked\r\n\r\n", again=b"1\r\n \r\n"
    ),
    "a chunk's extension without end": lambda send: slowly(
        send, HEAD, b"transfer-encoding: chunked\r\n\r\n1;", again=b"x"
    ),
    "trailers without end": lambda send: slowly(
        send, HEAD, b"transfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n", again=b"x: y\r\n"
    ),
    "a body without length": lambda send: slowly(send, HEAD, b"\r\n", again=b" "),
    "an error byte by byte": lambda send: slowly(
        send, b"HTTP/1.1 500 No\r\ncontent-length: 9999999\r\n\r\n", again=b" "
    ),
}
TOO_LARGE: dict[str, Behaviour] = {
    "a body": lambda send: quickly(send, HEAD, b"content-length: 999999999999\r\n\r\n", again=b" " * 65536),
    "a body without length": lambda send: quickly(send, HEAD, b"\r\n", again=b" " * 65536),
    "chunks": lambda send: quickly(
        send, HEAD, b"transfer-encoding: chunked\r\n\r\n", again=b"10000\r\n" + b" " * 65536 + b"\r\n"
    ),
}


@pytest.fixture(autouse=True)
def real_clock(client_time: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let real time pass: the calls of these tests end by it."""
    monkeypatch.setattr(_overrides, "monotonic", monotonic)


@contextlib.contextmanager
def serving(behave: Behaviour) -> Iterator[str]:
    """Serve one behaviour to every connection, and give the connection string."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_connections: list[socket.socket] = []

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65536)
            behave(connection.sendall)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                open_connections.append(connection)
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"nextmq+http://key:{SECRET}@127.0.0.1:{listener.getsockname()[1]}/shop"
    finally:
        listener.close()
        for connection in open_connections:
            connection.close()


def queue_at(kind: Kind, url: str, *, timeout: float = 60.0) -> t.Any:
    made: t.Any = Queue if kind is Queue else AsyncQueue
    return made("emails", url=url, timeout=timeout)


@both_kinds
@pytest.mark.parametrize("behave", BEHAVIOURS.values(), ids=BEHAVIOURS)
async def test_a_call_ends_in_time_whatever_the_server_sends(kind: Kind, behave: Behaviour) -> None:
    with serving(behave) as url, pytest.raises(NextMQConnectionError):
        await value_of(queue_at(kind, url, timeout=TIMEOUT).is_paused())


@pytest.mark.parametrize("behave", BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_a_registration_ends_in_time_whatever_the_server_sends(
    behave: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "ATTEMPT_TIMEOUT", TIMEOUT)
    with serving(behave) as url, pytest.raises(NextMQConnectionError):
        workers.register_worker(parse_connection_string(url), "emails", {})


@both_kinds
@pytest.mark.parametrize("behave", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_a_call_reads_no_more_than_its_limit(
    kind: Kind, behave: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_ANSWER_SIZE", 256 * 1024)
    with serving(behave) as url, pytest.raises(NextMQHTTPError, match="more than 262144 bytes: ask for fewer"):
        await value_of(queue_at(kind, url).is_paused())


def answered(status: str, content: bytes, *headers: bytes) -> Behaviour:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(content)}\r\n".encode() + b"".join(headers)
    return lambda send: send(head + b"\r\n" + content)


@both_kinds
async def test_a_compressed_answer_is_not_unpacked(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_ANSWER_SIZE", 256 * 1024)  # which it has only once it is unpacked
    bomb = gzip.compress(b" " * 10_000_000 + b'{"isPaused":true}')
    behave = answered("200 OK", bomb, b"content-encoding: gzip\r\n")
    with serving(behave) as url, pytest.raises(NextMQHTTPError, match="content is compressed"):
        await value_of(queue_at(kind, url).is_paused())


@both_kinds
@pytest.mark.parametrize("told", ["x" * 1_000_000, "a\nb\x1b[31m" * 1000], ids=["long", "with line breaks"])
async def test_an_error_quotes_a_line_of_what_the_server_tells(kind: Kind, told: str) -> None:
    body = json.dumps({"error": told, "message": told}).encode()
    behave = answered("400 Bad", body, b"x-request-id: " + b"r" * 9000 + b"\r\n")
    with serving(behave) as url, pytest.raises(NextMQHTTPError) as raised:
        await value_of(queue_at(kind, url).is_paused())
    assert (len(str(raised.value)) < 3 * MAX_TOLD, str(raised.value).isprintable()) == (True, True)
    assert len(raised.value.request_id or "") <= MAX_TOLD


@both_kinds
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_no_proxy_sees_the_key_of_a_server_on_this_machine(
    kind: Kind, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxied: list[bytes] = []

    def proxy(send: Send) -> None:
        proxied.append(b"a call")
        send(b"HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n")

    with serving(proxy) as other, serving(answered("200 OK", b'{"isPaused":true}')) as url:
        monkeypatch.setenv(variable, "http://" + other.partition("@")[2].partition("/")[0])
        monkeypatch.setattr("nextmq_handler.client._http.pools._sync_clients", {})
        assert await value_of(queue_at(kind, url).is_paused()) is True
    assert proxied == []


async def test_an_error_of_time_says_so() -> None:
    with (
        serving(BEHAVIOURS["a head byte by byte"]) as url,
        pytest.raises(NextMQTimeoutError, match="no answer in time"),
    ):
        queue_at(Queue, url, timeout=TIMEOUT).is_paused()


async def test_each_error_is_one_of_the_library() -> None:
    with serving(answered("200 OK", b"[" * 100_000)) as url, pytest.raises(NextMQError):
        queue_at(Queue, url).is_paused()
