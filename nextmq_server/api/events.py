"""GET /v1/queues/{queue}/events: the events of a queue as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import typing as t

from fastapi import Header, Query, Request
from starlette.responses import StreamingResponse
from starlette.types import Send

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.refusals import Refusal
from nextmq_handler.rules.search.redaction import Redaction

from ..engine.events.listener import Listener, TooSlow
from ..engine.events.streams import Event
from ..engine.queues.jobs import decoded
from ..front.open_calls import OpenCalls
from ..redis.connection import ConnectionLost, RedisError
from .http.request import Authorized, Hides, QueueName, router

HEARTBEAT = 15.0
"""How long, in s, the stream is silent before it sends a comment: proxies close silent connections."""

_RETRY = 1000  # ms
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

# The field of each event that BullMQ's scripts store as text.
_ENCODED = {
    "completed": "returnvalue",
    "progress": "data",
    "delayed": "delay",
    "retries-exhausted": "attemptsMade",
    "cleaned": "count",
}

routes = router("/v1/queues/{queue}/events", "queues")


class EventStream(StreamingResponse):
    """The events of a listener, until there are no more or the client disconnects; `counted` meanwhile."""

    media_type = "text/event-stream"

    def __init__(
        self,
        listener: Listener,
        counted: contextlib.AbstractContextManager[None] | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        super().__init__((), headers=_HEADERS)
        self._listener = listener
        self._counted = counted or contextlib.nullcontext()
        self._redaction = redaction

    async def stream_response(self, send: Send) -> None:
        """Send the events. If the listener cannot start, its error is raised before anything is sent."""
        with self._counted:
            async with self._listener as events:
                await send(
                    {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                )
                # With an id from the start, a client that connects again misses nothing.
                chunk = f"retry: {_RETRY}\nid: {events.last_id}\n\n".encode()
                while chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    chunk = await _next_chunk(events, self._redaction)
                await send({"type": "http.response.body", "body": b"", "more_body": False})


@routes.get("", status_code=200, response_class=EventStream)
async def get_events(
    request: Request,
    queue: QueueName,
    service: Authorized,
    redaction: Hides,
    start: t.Annotated[
        str | None, Query(alias="from", max_length=64, description='start after this event id; "$" starts now')
    ] = None,
    last_event_id: t.Annotated[
        str | None, Header(max_length=64, description="like `from`; browsers send it when they connect again")
    ] = None,
) -> EventStream:
    """Stream the queue's events under BullMQ's names. `data` is JSON: `jobId` and the members of the event."""
    after = last_event_id or ("$" if start is None else start)
    try:
        listener = Listener(service.events, service.jobs.scripts(queue), after)
    except ValueError:
        where = "last-event-id" if last_event_id else "from"
        raise Refusal(422, "invalid_request", f'{where}: the id of an event such as "123-0", or "$"') from None
    streams: OpenCalls = request.app.state.streams
    return EventStream(listener, streams.one(service.project.name), redaction)


async def _next_chunk(events: Listener, redaction: Redaction | None) -> bytes:
    """Return what to send next: nothing after the last event."""
    try:
        async with asyncio.timeout(HEARTBEAT):
            return encode(await anext(events), redaction)
    except TimeoutError:
        return b":\n\n"
    except TooSlow:
        return b": too slow: connect again with the last-event-id\n\n"
    except (StopAsyncIteration, ConnectionLost, RedisError):
        return b""


def encode(event: Event, redaction: Redaction | None = None) -> bytes:
    """Return an event on the wire. Raises nothing, whatever another client of Redis has stored."""
    fields: dict[str, t.Any] = dict(event.fields)
    name = _ENCODED.get(event.name)
    if name in fields:
        fields[name] = decoded(fields[name])
    if "returnvalue" in fields:
        fields["returnValue"] = fields.pop("returnvalue")
    if redaction is not None:
        fields = {name: redaction.bounded(value) for name, value in fields.items()}
    # JSON has no line ends, so neither the data nor the name can break the stream.
    data = strict_json.compact(fields)
    return f"id: {event.id}\nevent: {json.dumps(event.name)[1:-1]}\ndata: {data}\n\n".encode("ascii")
