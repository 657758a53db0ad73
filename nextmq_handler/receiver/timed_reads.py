"""Reads that end at the body's deadline, from servers whose own reads wait for a caller without end."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import typing as t

CHUNK = 64 * 1024
"""How much, in bytes, one read asks for if something can end it."""

SMALL_READ = 64
"""How much, in bytes, one read asks for at most if nothing can end it: the clock is looked at between reads."""

QUICK_READ = 0.01
"""A read that took at most this long, in s, had not to wait for its bytes."""


class Stream(t.Protocol):
    """A body, as a server or a framework hands it over."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


class BodyTooSlow(Exception):
    """The body was not whole by its deadline."""


def timed_chunks(
    stream: Stream, size: int, *, until: float, connection: socket.socket | None
) -> t.Iterator[bytes]:
    """Read up to `size` bytes until `until`, monotonic s. Raises BodyTooSlow, and what `stream.read` raises.

    A server's read returns when all that was asked for has come, which a caller can put off for ever. Only an end
    of the body wakes it up: the connection that the body comes from is shut down for reading.
    """
    if connection is None:
        yield from _small_chunks(stream, size, until)
        return
    try:
        with _alarms().at(until, lambda: _end_input(connection)):
            while size > 0 and (chunk := stream.read(min(CHUNK, size))):
                size -= len(chunk)
                yield chunk
                _check(until)
    except BodyTooSlow:
        raise
    except Exception:
        _check(until)  # the server's own error about a body that has ended too soon
        raise
    if size > 0:
        _check(until)


def _small_chunks(stream: Stream, size: int, until: float) -> t.Iterator[bytes]:
    asked = 1
    while size > 0:
        before = time.monotonic()
        chunk = stream.read(min(asked, size))
        if not chunk:
            return
        size -= len(chunk)
        yield chunk
        _check(until)
        asked = min(2 * asked, SMALL_READ) if time.monotonic() - before <= QUICK_READ else 1


def _check(until: float) -> None:
    if time.monotonic() >= until:
        raise BodyTooSlow


def _end_input(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has gone
        # Not the method of the object: that of a TLS connection also ends the encryption of the answer.
        socket.socket.shutdown(connection, socket.SHUT_RD)


class Alarms:
    """Call functions when their time has come, all from one thread."""

    def __init__(self) -> None:
        self._pending: dict[object, tuple[float, t.Callable[[], None]]] = {}
        self._changed = threading.Condition()
        self._wakes_at: float | None = None
        threading.Thread(target=self._run, name="nextmq-alarms", daemon=True).start()

    @contextlib.contextmanager
    def at(self, moment: float, call: t.Callable[[], None]) -> t.Generator[None]:
        """Call `call` at `moment`, monotonic s, unless the block has ended by then. It must not block."""
        key = object()
        with self._changed:
            self._pending[key] = moment, call
            if self._wakes_at is None or moment < self._wakes_at:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._pending.pop(key, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for key in [key for key, (moment, _) in self._pending.items() if moment <= now]:
                    self._pending.pop(key)[1]()
                self._wakes_at = min((moment for moment, _ in self._pending.values()), default=None)
                self._changed.wait(None if self._wakes_at is None else self._wakes_at - now)


_lock = threading.Lock()
_of_process: dict[int, Alarms] = {}


def _alarms() -> Alarms:
    found = _of_process.get(os.getpid())  # a forked child has its parent's, but not the thread that calls
    if found is None:
        with _lock:
            found = _of_process.setdefault(os.getpid(), Alarms())
    return found
