"""One call to the server's REST API: authentication, attempts, deadline, errors."""

from __future__ import annotations

import typing as t

from ... import _overrides
from .._http.answer import R, Reader, ServerAnswer, paged
from .._http.call import Call, Options
from .._http.pools import Query, async_http_client
from .._http.retry import failures
from ..remote import Caller


async def request(
    caller: Caller, method: str, path: t.Sequence[str], reader: Reader[R], **options: t.Unpack[Options]
) -> R:
    """Make a call and return what `reader` makes of the answer. `path` is its segments, not escaped.

    A call that may be done twice is tried again while there is time. Any other call is tried again only if it
    provably did not reach the server.

    Raises ConfigurationError for content that cannot be sent, NextMQHTTPError, StaleDeliveryError,
    NextMQTimeoutError or NextMQConnectionError.
    """
    call = Call(caller, method, path, **options)
    while True:
        try:
            answer = await _attempt(call)
        except failures() as exc:
            await _overrides.async_sleep(call.pause_after_failure(exc))
            continue
        if (pause := call.pause_after(answer)) is None:
            return call.result(answer, reader)
        await _overrides.async_sleep(pause)


async def request_all(
    caller: Caller, path: t.Sequence[str], reader: Reader[R], *, query: Query | None = None
) -> list[R]:
    """Ask for a list until it ends, and return what `reader` makes of each answer. Each is a call of its own.

    Raises what `request` does.
    """
    parts, place = list[R](), None
    while True:
        wanted = {**(query or {}), "from": place}
        part, place = await request(caller, "GET", path, paged(reader), query=wanted)
        parts.append(part)
        if place is None:
            return parts


async def _attempt(call: Call) -> ServerAnswer:
    timeout = call.begin_attempt()
    if (server := _overrides.server) is not None:
        status, content = await server.async_answer(call.method, call.url, call.headers, call.body)
        return ServerAnswer(status, {}, content)
    from .._http.bounds import MAX_ANSWER_SIZE, async_bounded, problem_of

    client = async_http_client(is_local=call.is_local)
    read = bytearray()
    async with (
        async_bounded(call),
        client.stream(
            call.method, call.url, content=call.body, headers=call.headers, timeout=timeout, follow_redirects=False
        ) as response,
    ):
        async for chunk in response.aiter_raw():
            read += chunk
            call.check_time()
            if len(read) > MAX_ANSWER_SIZE:
                break  # closes the connection
    problem = problem_of(response.headers, len(read))
    return ServerAnswer(response.status_code, response.headers, bytes(read), problem)
