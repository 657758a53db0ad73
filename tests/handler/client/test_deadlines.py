"""How long a call takes: its pauses, its attempts, and what the server asks for."""

from __future__ import annotations

import typing as t
from datetime import timedelta

import httpx
import pytest
import respx

from nextmq_handler import (
    AsyncQueue,
    ConfigurationError,
    NextMQConnectionError,
    NextMQHTTPError,
    NextMQTimeoutError,
    Queue,
)
from tests.support.client import QUEUE, ClientTime, Kind, both_kinds, make_queue, queue_of, value_of
from tests.support.client_failures import REPEATABLE, answer, attempt, scripted

pytestmark = pytest.mark.anyio


@both_kinds
async def test_pauses_grow_exponentially_to_their_limit(
    kind: Kind, server: respx.MockRouter, client_time: ClientTime
) -> None:
    server.get(f"{QUEUE}/counts").respond(503)
    await attempt(REPEATABLE["GET"], kind)
    assert client_time.pauses == [0.2, 0.4, 0.8, 1.6, 3.2]


@both_kinds
async def test_a_pause_is_anything_up_to_its_bound(
    kind: Kind, server: respx.MockRouter, client_time: ClientTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high / 2

    monkeypatch.setattr("nextmq_handler._overrides.uniform", uniform)
    scripted(server, answer(503), answer(503))
    await attempt(REPEATABLE["GET"], kind)
    assert (bounds, client_time.pauses) == ([(0, 0.2), (0, 0.4)], [0.1, 0.2])


@both_kinds
@pytest.mark.parametrize(
    ("timeout", "seconds"), [(5, 5), (0.5, 0.5), (timedelta(seconds=7), 7), (None, 10)], ids=repr
)
async def test_a_call_gives_up_within_its_timeout(
    kind: Kind, timeout: t.Any, seconds: float, server: respx.MockRouter, client_time: ClientTime
) -> None:
    server.get(f"{QUEUE}/counts").mock(side_effect=httpx.ConnectError)
    queue: t.Any = make_queue(kind, **({} if timeout is None else {"timeout": timeout}))
    with pytest.raises(NextMQConnectionError):
        await value_of(queue.get_job_counts())
    assert seconds - 5.2 < client_time.now < seconds


@both_kinds
async def test_an_attempt_gets_what_is_left_of_the_time(
    kind: Kind, server: respx.MockRouter, client_time: ClientTime
) -> None:
    timeouts: list[float] = []

    def slow(request: httpx.Request) -> t.NoReturn:
        timeouts.append(round(request.extensions["timeout"]["read"], 3))
        client_time.now += request.extensions["timeout"]["read"]
        raise httpx.ReadTimeout("slow")

    server.get(f"{QUEUE}/counts").side_effect = slow
    assert type(await attempt(REPEATABLE["GET"], kind)) is NextMQTimeoutError
    assert timeouts == [10]


@both_kinds
async def test_an_answer_that_comes_in_drops_is_given_up(
    kind: Kind, server: respx.MockRouter, client_time: ClientTime
) -> None:
    class Drops(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> t.Iterator[bytes]:
            while True:
                client_time.now += 4
                yield b" "

        async def __aiter__(self) -> t.AsyncIterator[bytes]:
            for drop in self:
                yield drop

        async def aclose(self) -> None: ...

    server.get(f"{QUEUE}/counts").side_effect = lambda request: httpx.Response(200, stream=Drops())
    with pytest.raises(NextMQTimeoutError):
        await value_of(queue_of(kind).get_job_counts())
    assert client_time.now < 60


@both_kinds
@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_the_server_says_how_long_to_wait(
    kind: Kind, status: int, server: respx.MockRouter, client_time: ClientTime
) -> None:
    scripted(server, answer(status, retry_after="7"))
    await attempt(REPEATABLE["GET"], kind)
    assert client_time.pauses == [7]


@both_kinds
@pytest.mark.parametrize("value", ["3600", "9" * 400, "Fri, 31 Dec 2100 23:59:59 GMT"])
async def test_a_wait_beyond_the_deadline_is_not_begun(
    kind: Kind, value: str, server: respx.MockRouter, client_time: ClientTime
) -> None:
    route = scripted(server, answer(503, retry_after=value))
    assert await attempt(REPEATABLE["GET"], kind) is not None
    assert (route.call_count, client_time.now) == (1, 0)


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
@pytest.mark.parametrize(
    "timeout", [0, -1, float("nan"), float("inf"), True, "5", None, 10**400, timedelta(0), timedelta(days=9999)]
)
def test_a_timeout_that_cannot_be_is_refused(kind: Kind, timeout: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\Atimeout takes "):
        make_queue(kind, timeout=timeout)


@both_kinds
async def test_an_error_tells_how_often_was_tried(kind: Kind, server: respx.MockRouter) -> None:
    server.get(f"{QUEUE}/counts").respond(503)
    assert "after 6 attempts" in str(await attempt(REPEATABLE["GET"], kind))


@both_kinds
async def test_an_error_carries_the_request_id(kind: Kind, server: respx.MockRouter) -> None:
    server.get(f"{QUEUE}/counts").respond(500, headers={"x-request-id": "req_1"})
    error = await attempt(REPEATABLE["GET"], kind)
    assert isinstance(error, NextMQHTTPError)
    assert error.request_id == "req_1"
