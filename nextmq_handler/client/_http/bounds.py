"""How much of an answer the client reads, and for how long: whatever a server or something in its place sends."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import typing as t

import httpcore
import httpx

MAX_ANSWER_SIZE = 64 * 1024 * 1024
"""The most bytes of an answer that are read: four times what a server lists at once."""


class Timed(t.Protocol):
    """A call, as far as its time goes."""

    @property
    def time_left(self) -> float:
        """How long, in s, its attempt may still take."""
        ...


class _Attempt(threading.local):
    call: Timed | None = None


_attempt = _Attempt()


@contextlib.asynccontextmanager
async def async_bounded(call: Timed) -> t.AsyncGenerator[None]:
    """End the attempt of `call` when its time is over, whatever it waits for. Raises httpx.ReadTimeout."""
    try:
        async with asyncio.timeout(call.time_left):
            yield
    except TimeoutError:
        raise too_slow() from None


@contextlib.contextmanager
def bounded(call: Timed) -> t.Generator[None]:
    """Do what `async_bounded` does, in this thread, for connections of `bound`."""
    _attempt.call = call
    try:
        yield
    finally:
        _attempt.call = None


def problem_of(headers: t.Mapping[str, str], size: int) -> str | None:
    """Return why an answer of `size` bytes cannot be read; None if it can."""
    if size > MAX_ANSWER_SIZE:
        return f"content has more than {MAX_ANSWER_SIZE} bytes: ask for fewer jobs at once"
    if headers.get("content-encoding", "identity") != "identity":
        return "content is compressed, which nobody asked for: check the proxy in between"
    return None


def too_slow() -> httpx.ReadTimeout:
    """Return the exception for an answer that was not whole in time."""
    return httpx.ReadTimeout("the answer was not whole in time")


def bound(client: httpx.Client) -> None:
    """Make the connections of `client` end their reads when the attempt of their thread must end.

    httpx itself limits each read only, so that a server may send the head of an answer byte by byte for hours.
    """
    inside: t.Any = client
    for transport in (inside._transport, *inside._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _BoundedBackend(pool._network_backend)


def _left(timeout: float | None) -> float | None:
    call = _attempt.call
    if call is None:
        return timeout
    left = call.time_left
    if left <= 0:
        raise httpcore.ReadTimeout("the answer was not whole in time")
    return left if timeout is None else min(timeout, left)


class _BoundedBackend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: t.Iterable[t.Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._backend.connect_tcp(host, port, _left(timeout), local_address, socket_options)
        return _BoundedStream(stream)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: t.Iterable[t.Any] | None = None
    ) -> httpcore.NetworkStream:
        return _BoundedStream(self._backend.connect_unix_socket(path, _left(timeout), socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _BoundedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: t.Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> t.Any:
        return self._stream.get_extra_info(info)
