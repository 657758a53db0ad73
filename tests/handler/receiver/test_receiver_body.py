"""How the ASGI app reads a body: its size, its time, and callers that leave."""

import asyncio
import typing as t
from collections.abc import Awaitable, Callable

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nextmq_handler import Worker
from nextmq_handler.asgi import NextMQHandler
from nextmq_handler.receiver.checks import BODY_READ
from tests.support.handler import (
    APP_URL,
    JSON,
    OTHER_SECRET,
    URL,
    body_of,
    call,
    delivery,
    encode,
    make_handler,
    scope_of,
    seal,
    send,
    signed,
)

pytestmark = pytest.mark.anyio

GOOD = encode(delivery())


def make(**options: t.Any) -> NextMQHandler:
    return make_handler(Worker("emails", lambda job: "done"), **options)


def post(headers: list[tuple[bytes, bytes]] | None = None) -> dict[str, t.Any]:
    return dict(scope_of("/queues/emails", signed(GOOD) if headers is None else headers))


async def never() -> Message:
    """Receive from a caller that stays and sends nothing."""
    await asyncio.Event().wait()
    raise AssertionError


async def not_to_be_called() -> Message:
    raise AssertionError("the body was read")


def then(*messages: Message, last: Callable[[], Awaitable[Message]] = never) -> Callable[[], Awaitable[Message]]:
    left = [*messages]

    async def receive() -> Message:
        return left.pop(0) if left else await last()

    return receive


def chunk(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    "chunks",
    [
        [GOOD],
        [GOOD[:10], GOOD[10:]],
        [b"", GOOD[:1], b"", GOOD[1:], b""],
        [GOOD[i : i + 1] for i in range(len(GOOD))],
    ],
    ids=["whole", "two chunks", "empty chunks", "byte by byte"],
)
async def test_a_body_is_put_together_from_its_chunks(chunks: list[bytes]) -> None:
    answer = await call(make(), post(), body_of(*chunks))
    assert answer is not None
    assert answer.status == 200


async def test_a_message_without_a_body_is_the_end() -> None:
    answer = await call(make(), post(), then(chunk(GOOD), {"type": "http.request"}))
    assert answer is not None
    assert answer.status == 200


async def test_a_body_declared_too_large_is_refused_unread(caplog: pytest.LogCaptureFixture) -> None:
    app = make(max_body_size=len(GOOD) - 1)
    answer = await call(app, post(), not_to_be_called)
    assert answer is not None
    assert (answer.status, answer.json) == (413, {"error": "payload_too_large"})
    assert caplog.messages == [
        "refused a delivery for queue emails with 413 payload_too_large: "
        f"over max_body_size, {len(GOOD) - 1} bytes"
    ]


async def test_a_length_of_absurd_size_is_too_large() -> None:
    answer = await call(make(), post([JSON, (b"content-length", b"9" * 5000), *seal(GOOD)]), not_to_be_called)
    assert answer is not None
    assert answer.status == 413


async def test_a_body_counted_too_large_is_read_no_further() -> None:
    receive = then(chunk(b"x" * 600), chunk(b"x" * 600), last=not_to_be_called)
    answer = await call(make(max_body_size=1000), post([JSON, *seal(GOOD)]), receive)
    assert answer is not None
    assert (answer.status, answer.json) == (413, {"error": "payload_too_large"})


async def test_a_body_that_is_larger_than_declared_is_counted() -> None:
    headers = [JSON, (b"content-length", b"1"), *seal(GOOD, secrets=[OTHER_SECRET])]
    answer = await call(make(max_body_size=1000), post(headers), body_of(b"x" * 1001))
    assert answer is not None
    assert answer.status == 413


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    assert (await send(make(max_body_size=len(GOOD)), GOOD)).status == 200


NOT_ONE_BYTE = "; not one byte came: the caller is slow, or something read the body before this handler did"


@pytest.mark.parametrize(
    ("receive", "more"),
    [(never, NOT_ONE_BYTE), (then(chunk(GOOD[:10])), "")],
    ids=["nothing", "a part"],
)
async def test_a_body_that_is_not_whole_in_time_answers_408(
    receive: Callable[[], Awaitable[Message]], more: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await call(make(body_timeout=0.01), post(), receive)
    assert answer is not None
    assert (answer.status, answer.json) == (408, {"error": "request_timeout"})
    assert caplog.messages == [
        "refused a delivery for queue emails with 408 request_timeout: "
        f"not whole within body_timeout, 0.01 s{more}"
    ]


DISCONNECT: Message = {"type": "http.disconnect"}
READ_BEFORE = "something read it before this handler did, or the caller left"
MISSING: dict[str, tuple[list[Message], str]] = {
    "an end without bytes": ([chunk(b"", more=False)], f"0 of its {len(GOOD)} bytes were left"),
    "an end after some": ([chunk(GOOD[:10], more=False)], f"10 of its {len(GOOD)} bytes were left"),
    "an end after empty chunks": ([chunk(b""), {"type": "http.request"}], f"0 of its {len(GOOD)} bytes were left"),
    "a disconnect at once": ([DISCONNECT], "it ended with a disconnect after 0 bytes"),
    "a disconnect after some": ([chunk(GOOD[:10]), DISCONNECT], "it ended with a disconnect after 10 bytes"),
}


@pytest.mark.parametrize(("messages", "reason"), MISSING.values(), ids=MISSING)
async def test_a_body_that_did_not_reach_the_handler_whole_answers_408_at_once(
    messages: list[Message], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await call(make(), post(), then(*messages))
    assert answer is not None
    assert (answer.status, answer.json) == (408, {"error": "body_missing"})
    assert caplog.messages == [
        f"refused a delivery for queue emails with 408 body_missing: {reason}: {READ_BEFORE}"
    ]


@pytest.mark.parametrize("messages", [messages for messages, _ in MISSING.values()], ids=MISSING)
async def test_a_body_that_did_not_reach_the_handler_whole_is_a_problem_of_the_set_up(
    messages: list[Message],
) -> None:
    handler = make(url=URL, app_url=APP_URL)
    await call(handler, post(), then(*messages))
    assert BODY_READ in handler.check()


async def test_a_caller_that_left_may_be_answered_by_a_server_that_refuses_to() -> None:
    async def send(message: t.MutableMapping[str, t.Any]) -> None:
        raise OSError("the connection is closed")

    await make()(post(), then(DISCONNECT), send)  # raises nothing


def eating(middleware: str) -> ASGIApp:
    """Return the handler behind something that reads the body, in one of the ways in which people write it."""
    handler = make(body_timeout=0.05)
    readers: dict[str, t.Callable[[Scope, Receive, Send], t.Awaitable[None]]] = {}

    def reader(function: t.Any) -> None:
        readers[function.__name__.replace("_", " ")] = function

    async def drain(receive: Receive) -> bytes:
        body = b""
        is_whole = False
        while not is_whole:
            message = await receive()
            body += message.get("body", b"")
            is_whole = not message.get("more_body")
        return body

    @reader
    async def passes_the_empty_channel_on(scope: Scope, receive: Receive, send: Send) -> None:
        await drain(receive)
        await handler(scope, receive, send)

    @reader
    async def replays_an_end(scope: Scope, receive: Receive, send: Send) -> None:
        await drain(receive)
        await handler(scope, then({"type": "http.request"}), send)

    @reader
    async def replays_a_disconnect(scope: Scope, receive: Receive, send: Send) -> None:
        await drain(receive)
        await handler(scope, then(DISCONNECT), send)

    @reader
    async def replays_only_the_last_chunk(scope: Scope, receive: Receive, send: Send) -> None:
        await drain(receive)
        await handler(scope, then(chunk(GOOD[-5:], more=False)), send)

    @reader
    async def reads_one_message(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await handler(scope, receive, send)

    @reader
    async def reads_a_starlette_stream(scope: Scope, receive: Receive, send: Send) -> None:
        async for _ in Request(scope, receive).stream():
            pass
        await handler(scope, receive, send)

    @reader
    async def reads_a_starlette_body(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        await handler(scope, receive, send)

    @reader
    async def is_a_base_http_middleware(scope: Scope, receive: Receive, send: Send) -> None:
        async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
            async for _ in request.stream():
                pass
            return await call_next(request)

        await BaseHTTPMiddleware(handler, dispatch)(scope, receive, send)

    return readers[middleware]


EATING = [
    "passes the empty channel on",
    "replays an end",
    "replays a disconnect",
    "replays only the last chunk",
    "reads one message",
    "reads a starlette stream",
    "reads a starlette body",
    "is a base http middleware",
]


@pytest.mark.parametrize("chunks", [[GOOD], [GOOD[:10], GOOD[10:]]], ids=["whole", "two chunks"])
@pytest.mark.parametrize("middleware", EATING)
async def test_a_body_that_middleware_ate_uses_no_attempt_and_the_log_names_the_cause(
    middleware: str, chunks: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    status = await call_through(eating(middleware), body_of(*chunks))
    assert (status, "something read" in caplog.text) == (408, True)


class Peeking(BaseHTTPMiddleware):
    """Reads the body in the way that lets the app behind read it too."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        await request.body()
        return await call_next(request)


async def test_a_body_that_middleware_only_looked_at_is_read() -> None:
    behind = Starlette(routes=[Mount("/", make())], middleware=[Middleware(Peeking)])
    assert await call_through(behind, body_of(GOOD)) == 200


async def call_through(app: ASGIApp, receive: Receive) -> int:
    # Middleware of this kind sends the body in chunks of its own, so the status alone is looked at.
    statuses: list[int] = []

    async def send(message: t.MutableMapping[str, t.Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(post(), receive, send)
    [status] = statuses
    return status
