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
from starlette.types import Message

from nextmq_handler import Worker
from nextmq_handler.asgi import NextMQHandler
from tests.support.handler import (
    JSON,
    OTHER_SECRET,
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


@pytest.mark.parametrize("receive", [never, then(chunk(GOOD[:10]))], ids=["nothing", "a part"])
async def test_a_body_that_is_not_whole_in_time_answers_408(
    receive: Callable[[], Awaitable[Message]], caplog: pytest.LogCaptureFixture
) -> None:
    answer = await call(make(body_timeout=0.01), post(), receive)
    assert answer is not None
    assert (answer.status, answer.json) == (408, {"error": "request_timeout"})
    assert caplog.messages == [
        "refused a delivery for queue emails with 408 request_timeout: not whole within body_timeout, 0.01 s"
    ]


@pytest.mark.parametrize("before", [[], [chunk(GOOD[:10])]], ids=["at once", "after a part"])
async def test_a_caller_that_leaves_before_its_body_is_whole_gets_no_answer(before: list[Message]) -> None:
    assert await call(make(), post(), then(*before, {"type": "http.disconnect"})) is None


async def test_a_body_that_the_caller_declared_and_somebody_read_is_reported_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = await call(make(), post(), body_of(b""))
    assert answer is not None
    assert (answer.status, answer.json) == (401, {"error": "unauthorized"})
    assert caplog.messages == [
        "refused a delivery for queue emails with 401 unauthorized: "
        "body_missing: something read it before this handler did"
    ]


class Eating(BaseHTTPMiddleware):
    """Reads the stream, and keeps nothing of it for the app behind."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        async for _ in request.stream():
            pass
        return await call_next(request)


class Peeking(BaseHTTPMiddleware):
    """Reads the body in the way that lets the app behind read it too."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        await request.body()
        return await call_next(request)


def behind(middleware: type[BaseHTTPMiddleware]) -> Starlette:
    return Starlette(routes=[Mount("/", make())], middleware=[Middleware(middleware)])


async def test_a_body_that_middleware_read_is_reported_missing(caplog: pytest.LogCaptureFixture) -> None:
    await call_through(behind(Eating))
    assert "body_missing" in caplog.text


async def test_a_body_that_middleware_only_looked_at_is_read() -> None:
    assert await call_through(behind(Peeking)) == 200


async def call_through(app: Starlette) -> int:
    # Middleware of this kind sends the body in chunks of its own, so the status alone is looked at.
    statuses: list[int] = []

    async def send(message: t.MutableMapping[str, t.Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(post(), body_of(GOOD), send)
    [status] = statuses
    return status
