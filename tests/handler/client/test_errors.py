"""What Queue and AsyncQueue raise for refusals and broken connections; no error shows a key."""

import pickle
import socket
import traceback
from collections.abc import Iterator

import httpx
import pytest
import respx

from nextmq_handler import (
    AuthenticationError,
    DelayedError,
    JobFailedError,
    JobRemovedError,
    NextMQConnectionError,
    NextMQError,
    NextMQHTTPError,
    NextMQTimeoutError,
    NotFoundError,
    QueueFullError,
    RateLimitError,
    StaleDeliveryError,
    WaitingChildrenError,
    WorkerRegistrationError,
)
from tests.support.handler import API_KEY, JOBS, SECRET, Call, both_queues

pytestmark = pytest.mark.anyio

OTHER = "something other than the queue server answered; check the host in NEXTMQ_URL"

ANSWERS: dict[str, tuple[httpx.Response, type[NextMQError], str]] = {
    "401": (httpx.Response(401, json={"error": "unauthorized"}), AuthenticationError, "401 unauthorized"),
    "403": (httpx.Response(403, json={"error": "forbidden"}), AuthenticationError, "403 forbidden"),
    "409 stale_delivery": (
        httpx.Response(409, json={"error": "stale_delivery"}),
        StaleDeliveryError,
        "409 stale_delivery",
    ),
    "another 409": (httpx.Response(409, json={"error": "paused"}), NextMQHTTPError, "409 paused"),
    "400 with a message": (
        httpx.Response(400, json={"error": "invalid", "message": "attempts is not a number"}),
        NextMQHTTPError,
        "400 invalid: attempts is not a number",
    ),
    "500 without JSON": (httpx.Response(500, text="<h1>Oops</h1>"), NextMQHTTPError, f"500 http_error: {OTHER}"),
    "302": (httpx.Response(302, headers={"location": "/login"}), NextMQHTTPError, f"302 http_error: {OTHER}"),
    "200 without JSON": (
        httpx.Response(200, text="<h1>Log in</h1>"),
        NextMQHTTPError,
        f"200 whose content is not JSON: {OTHER}",
    ),
    "200 not UTF-8": (
        httpx.Response(200, content=b"\xff"),
        NextMQHTTPError,
        f"200 whose content is not JSON: {OTHER}",
    ),
}


@both_queues
@pytest.mark.parametrize(("answer", "error", "text"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_that_is_not_the_one_asked_for_is_the_error_of_its_kind(
    call: Call, answer: httpx.Response, error: type[NextMQError], text: str, server: respx.MockRouter
) -> None:
    server.post(JOBS).mock(answer)
    with pytest.raises(NextMQError) as caught:
        await call("add", "welcome")
    message = str(caught.value).partition("; whether anything was added is not known")[0]
    assert (type(caught.value), message.removesuffix("; nothing was added")) == (
        error,
        f"POST https://queue.example{JOBS}: {text}",
    )


@both_queues
async def test_an_error_carries_the_servers_code_and_details(call: Call, server: respx.MockRouter) -> None:
    server.post(JOBS).respond(422, json={"error": "invalid_job", "details": {"fields": ["name"]}})
    with pytest.raises(NextMQHTTPError) as caught:
        await call("add", "welcome")
    error = caught.value
    assert (error.status, error.code, error.details) == (422, "invalid_job", {"fields": ["name"]})


@both_queues
@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (httpx.ConnectTimeout, NextMQTimeoutError),
        (httpx.ReadTimeout, NextMQTimeoutError),
        (httpx.WriteTimeout, NextMQTimeoutError),
        (httpx.PoolTimeout, NextMQTimeoutError),
        (httpx.ConnectError, NextMQConnectionError),
        (httpx.ReadError, NextMQConnectionError),
        (httpx.RemoteProtocolError, NextMQConnectionError),
        (httpx.DecodingError, NextMQConnectionError),
    ],
)
async def test_a_broken_connection_is_the_error_of_its_kind(
    call: Call, raised: type[Exception], error: type[NextMQError], server: respx.MockRouter
) -> None:
    server.post(JOBS).mock(side_effect=raised)
    with pytest.raises(NextMQConnectionError, match=rf"\APOST https://queue\.example{JOBS}: ") as caught:
        await call("add", "welcome")
    assert type(caught.value) is error


@pytest.fixture
def nobody() -> Iterator[str]:
    """Yield the connection string of a server on a port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"nextmq+http://{API_KEY}:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/shop"


@both_queues
async def test_a_server_that_is_not_running_is_asked_after(call: Call, nobody: str) -> None:
    with pytest.raises(NextMQConnectionError, match=r"is the server running\?\Z"):
        await call("add", "welcome", url=nobody)


@both_queues
async def test_an_invalid_host_is_a_connection_error(call: Call) -> None:
    with pytest.raises(NextMQConnectionError):
        await call("add", "welcome", url=f"nextmq://{API_KEY}:{SECRET}@xn--ä/shop")


@both_queues
@pytest.mark.parametrize("answer", [*(answer for answer, _, _ in ANSWERS.values()), None])
async def test_no_error_shows_the_key_or_the_secret(
    call: Call, answer: httpx.Response | None, server: respx.MockRouter
) -> None:
    server.post(JOBS).mock(return_value=answer, side_effect=None if answer else httpx.ReadTimeout)
    with pytest.raises(NextMQError) as caught:
        await call("add", "welcome")
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert [secret for secret in (API_KEY, SECRET) if secret in shown] == []


ERRORS = [
    NextMQHTTPError("m", status=409, code="c", details={"a": 1}, request_id="r", idempotency_key="k"),
    AuthenticationError("m", status=401, code="unauthorized"),
    NotFoundError("m", status=404, code="not_found"),
    QueueFullError("m", status=503, code="storage_full"),
    NextMQConnectionError("m", idempotency_key="k"),
    NextMQTimeoutError("m", idempotency_key="k"),
    WorkerRegistrationError("m", queue="emails", fields=["url"]),
    JobFailedError("42", "emails", "r", ["s"]),
    JobRemovedError("42", "emails"),
    RateLimitError(5),
    DelayedError(1_900_000_000_000),
    WaitingChildrenError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_out_of_another_process_as_it_was(error: BaseException) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
