"""Send a case to a handler behind a URL, byte by byte: higher-level clients would repair its faults."""

from __future__ import annotations

import anyio
import h11
import httpx
from anyio.abc import ByteStream

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.messages import Response

from .judge import Silence
from .requests import Wire

MAX_ANSWER = 4 * 1024 * 1024
_CHUNK = 64 * 1024


def parse_address(url: str) -> httpx.URL:
    """Parse the URL of a handler: its path is the mount. Raises ConfigurationError."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host or address.query or address.userinfo:
        raise ConfigurationError(
            f"{url!r} is not the URL of a handler: pass http or https, with the mount, such as "
            "http://127.0.0.1:8000/api/nextmq"
        )
    return address


async def send(address: httpx.URL, wire: Wire, *, timeout: float) -> Response | Silence:
    """Return the answer that comes within `timeout` s, or why none came."""
    try:
        with anyio.fail_after(timeout):
            return await _exchange(address, wire)
    except TimeoutError:
        return Silence(f"no answer within {timeout:g} s")
    except OSError as exc:
        return Silence(f"no connection: {exc}")


async def _exchange(address: httpx.URL, wire: Wire) -> Response | Silence:
    connection = h11.Connection(h11.CLIENT)
    content = _request(connection, address, wire)
    host, is_tls = address.raw_host.decode(), address.scheme == "https"
    stream: ByteStream = (
        await anyio.connect_tcp(host, address.port or 443, tls=True, tls_hostname=host)
        if is_tls
        else await anyio.connect_tcp(host, address.port or 80)
    )
    answer: Response | Silence = Silence("nothing was read")
    async with stream, anyio.create_task_group() as tasks:
        # Write and read at once: a refusal may come before the whole body was sent, and the rest is not read then.
        tasks.start_soon(_write, stream, content, wire.is_broken and not is_tls)
        try:
            answer = await _read(stream, connection)
        except (OSError, anyio.BrokenResourceError):
            answer = Silence("the connection was reset without an answer", is_closed=True)
        except h11.RemoteProtocolError as exc:
            answer = Silence(f"no HTTP answer: {exc}")
        tasks.cancel_scope.cancel()
    return answer


def _request(connection: h11.Connection, address: httpx.URL, wire: Wire) -> bytes:
    names = {name for name, _ in wire.headers}
    is_framed = not wire.body or b"content-length" in names or b"transfer-encoding" in names
    more = [] if is_framed else [(b"transfer-encoding", b"chunked")]
    headers = [(b"host", address.netloc), (b"connection", b"close"), *wire.headers, *more]
    target = address.raw_path.rstrip(b"/") + wire.route.encode()
    request = h11.Request(method=wire.method, target=target, headers=headers)
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


async def _read(stream: ByteStream, connection: h11.Connection) -> Response | Silence:
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
            return Response(response.status_code, list(response.headers), body)


async def _received(stream: ByteStream) -> bytes:
    try:
        return await stream.receive(_CHUNK)
    except anyio.EndOfStream:
        return b""
