"""Send a case to a handler behind a URL, byte by byte: higher-level clients would repair its faults."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import h11
from anyio.abc import ByteStream

from nextmq_handler.errors import ConfigurationError

from .judge import HandlerAnswer, Silence
from .requests import Wire

MAX_ANSWER = 4 * 1024 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class HandlerAddress:
    """Where a handler is: `path` is its mount."""

    host: str
    port: int
    path: str
    is_tls: bool
    authority: str

    @staticmethod
    def of(url: str) -> HandlerAddress:
        """Parse the URL of a handler. Raises ConfigurationError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.username is not None
        ):
            raise ConfigurationError(
                f"{url!r} is not the URL of a handler: pass http or https, with the mount, such as "
                "http://127.0.0.1:8000/api/nextmq"
            )
        is_tls = parts.scheme == "https"
        return HandlerAddress(
            parts.hostname, port or (443 if is_tls else 80), parts.path.rstrip("/"), is_tls, parts.netloc
        )


async def send(endpoint: HandlerAddress, wire: Wire, *, timeout: float) -> HandlerAnswer | Silence:
    """Return the answer that comes within `timeout` s, or why none came."""
    try:
        with anyio.fail_after(timeout):
            return await _exchange(endpoint, wire)
    except TimeoutError:
        return Silence(f"no answer within {timeout:g} s")
    except OSError as exc:
        return Silence(f"no connection: {exc}")


async def _exchange(endpoint: HandlerAddress, wire: Wire) -> HandlerAnswer | Silence:
    connection = h11.Connection(h11.CLIENT)
    content = _request(connection, endpoint, wire)
    hostname = endpoint.host if endpoint.is_tls else None
    stream: ByteStream = (
        await anyio.connect_tcp(endpoint.host, endpoint.port, tls=True, tls_hostname=hostname)
        if endpoint.is_tls
        else await anyio.connect_tcp(endpoint.host, endpoint.port)
    )
    answer: HandlerAnswer | Silence = Silence("nothing was read")
    async with stream, anyio.create_task_group() as tasks:
        # Write and read at once: a refusal may come before the whole body was sent, and the rest is not read then.
        tasks.start_soon(_write, stream, content, wire.is_broken and not endpoint.is_tls)
        answer = await _answer(stream, connection)
        tasks.cancel_scope.cancel()
    return answer


def _request(connection: h11.Connection, endpoint: HandlerAddress, wire: Wire) -> bytes:
    framing = {b"content-length", b"transfer-encoding"} & {name.lower() for name, _ in wire.headers}
    is_framed = bool(framing) or not wire.body
    more = [] if is_framed else [(b"transfer-encoding", b"chunked")]
    host = (b"host", endpoint.authority.encode("idna"))
    headers = [host, (b"connection", b"close"), *wire.headers, *more]
    request = h11.Request(method=wire.method, target=endpoint.path + wire.route, headers=headers)
    if wire.is_broken:
        return (connection.send(request) or b"") + wire.body
    content = wire.body[: len(wire.body) // 2] if wire.stalls else wire.body
    parts = [connection.send(request), connection.send(h11.Data(data=content)) if content else b""]
    if not is_framed:
        parts.append(connection.send(h11.EndOfMessage()))
    return b"".join(part or b"" for part in parts)


async def _write(stream: ByteStream, content: bytes, is_end: bool) -> None:
    try:
        for start in range(0, len(content), _CHUNK):
            await stream.send(content[start : start + _CHUNK])
        if is_end:  # TLS cannot send it
            await stream.send_eof()
    except (OSError, anyio.BrokenResourceError):
        return  # the answer says why


async def _answer(stream: ByteStream, connection: h11.Connection) -> HandlerAnswer | Silence:
    try:
        return await _read(stream, connection)
    except (OSError, anyio.BrokenResourceError):
        return Silence("the connection was reset without an answer", is_closed=True)
    except h11.RemoteProtocolError as exc:
        return Silence(f"no HTTP answer: {exc}")


async def _read(stream: ByteStream, connection: h11.Connection) -> HandlerAnswer | Silence:
    response: h11.Response | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await _received(stream)
            if not data and response is None:
                return Silence("the connection was closed without an answer", is_closed=True)
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_ANSWER:
                return Silence(f"the answer is over {MAX_ANSWER} bytes")
        elif response is not None:  # its end
            headers = [(bytes(name).lower(), bytes(value)) for name, value in response.headers]
            return HandlerAnswer(response.status_code, headers, body)


async def _received(stream: ByteStream) -> bytes:
    try:
        return await stream.receive(_CHUNK)
    except anyio.EndOfStream:
        return b""
