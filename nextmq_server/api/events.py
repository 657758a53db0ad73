"""GET /v1/queues/{queue}/events: the events of a queue as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import typing as t

from fastapi import APIRouter, Header, Query
from starlette.responses import StreamingResponse
from starlette.types import Send

from ..engine.events.listener import Listener, TooSlow
from ..engine.events.streams import Event
from ..engine.queues.jobs import decoded
from ..redis.connection import ConnectionLost, RedisError
from .errors import DOCUMENTED, APIError
from .request import Authorized, QueueName, StrictRoute

HEARTBEAT = 15.0
"""After so long without an event, in s, a comment is sent: proxies close what is silent."""

SEND_TIMEOUT = 30.0
"""A client that takes nothing for so long, in s, is gone."""

_RETRY = 1000  # ms
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

# What BullMQ's scripts store as text, by event.
_ENCODED = {
    "completed": "returnvalue",
    "progress": "data",
    "delayed": "delay",
    "retries-exhausted": "attemptsMade",
    "cleaned": "count",
}

router = APIRouter(
    prefix="/v1/queues/{queue}/events", tags=["queues"], route_class=StrictRoute, responses=DOCUMENTED
)


class EventStream(StreamingResponse):
    """The events of a listener, until there are no more or the client goes away."""

    media_type = "text/event-stream"

    def __init__(self, listener: Listener) -> None:
        super().__init__((), headers=_HEADERS)
        self._listener = listener

    async def stream_response(self, send: Send) -> None:
        """Send them. What keeps the listener from listening is raised before anything is sent."""
        async with self._listener as events:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            # With an id from the first moment on, who connects again misses nothing.
            chunk = f"retry: {_RETRY}\nid: {events.last_id}\n\n".encode()
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(SEND_TIMEOUT):
                        await send({"type": "http.response.body", "body": chunk, "more_body": bool(chunk)})
                    if not chunk:
                        break
                    chunk = await _next_chunk(events)


@router.get("", status_code=200, response_class=EventStream)
async def get_events(
    queue: QueueName,
    service: Authorized,
    start: t.Annotated[
        str | None, Query(alias="from", max_length=64, description='from after this event id, or "$": from now on')
    ] = None,
    last_event_id: t.Annotated[
        str | None, Header(max_length=64, description="the same, as a client sends it that connects again")
    ] = None,
) -> EventStream:
    """The queue's events as they come, under BullMQ's names; `data` is JSON: `jobId` and what the event has."""
    after = last_event_id or ("$" if start is None else start)
    try:
        return EventStream(Listener(service.events, service.jobs.scripts(queue), after))
    except ValueError:
        where = "last-event-id" if last_event_id else "from"
        raise APIError(422, "invalid_request", f'{where}: the id of an event such as "123-0", or "$"') from None


async def _next_chunk(events: Listener) -> bytes:
    """What to send next, after the last event nothing."""
    try:
        async with asyncio.timeout(HEARTBEAT):
            return encode(await anext(events))
    except TimeoutError:
        return b":\n\n"
    except TooSlow:
        return b": too slow: connect again with the last-event-id\n\n"
    except (StopAsyncIteration, ConnectionLost, RedisError):
        return b""


def encode(event: Event) -> bytes:
    """An event on the wire. Raises nothing, whatever another client of Redis has stored."""
    fields: dict[str, t.Any] = dict(event.fields)
    name = _ENCODED.get(event.name)
    if name in fields:
        fields[name] = decoded(fields[name])
    if "returnvalue" in fields:
        fields["returnValue"] = fields.pop("returnvalue")
    # As JSON, neither the data nor the name can have a line end in it.
    data = json.dumps(fields, separators=(",", ":"))
    return f"id: {event.id}\nevent: {json.dumps(event.name)[1:-1]}\ndata: {data}\n\n".encode("ascii")
