"""Bodies that break off or are malformed on the wire, sent to real servers: refused or dropped, never a fault."""

from __future__ import annotations

import socket
import typing as t
from http.client import RemoteDisconnected

import pytest

from .home import Answer, HeaderList
from .homes_processes import ServerHome, head_of, read_answer
from .limits import SERVERS
from .setups import mount_of
from .support import GOOD, JSON, deliver, delivery, every_home, length_of, seal

TARGET = f"{mount_of('plain')}/queues/blocking"
CHUNKED = (b"transfer-encoding", b"chunked")
SIZE = b"%x\r\n" % len(GOOD)

BROKEN: dict[str, tuple[tuple[bytes, bytes], bytes]] = {
    "nothing of it comes": (length_of(GOOD), b""),
    "half of it comes": (length_of(GOOD), GOOD[:100]),
    "no chunk comes": (CHUNKED, b""),
    "half a chunk comes": (CHUNKED, SIZE + GOOD[:100]),
    "no last chunk comes": (CHUNKED, SIZE + GOOD + b"\r\n"),
    "a size that is no number": (CHUNKED, b"zz\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "a size below 0": (CHUNKED, b"-1\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "a chunk that is longer than its size": (CHUNKED, b"5\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "a trailer that is none": (CHUNKED, SIZE + GOOD + b"\r\n0\r\n: \x00\r\n\r\n"),
}


def _send(server: ServerHome, header: tuple[bytes, bytes], content: bytes) -> Answer | None:
    """The answer, None where the connection was closed without one."""
    headers: HeaderList = [JSON, *seal(GOOD), header]
    with server.connect() as connection:
        connection.sendall(head_of("POST", TARGET, headers) + content)
        connection.shutdown(socket.SHUT_WR)
        try:
            return read_answer(connection)
        except (RemoteDisconnected, ConnectionError):
            return None


@pytest.mark.parametrize(("header", "content"), BROKEN.values(), ids=BROKEN)
@every_home(homes=SERVERS)
def test_a_broken_body_is_no_fault(place: t.Any, header: tuple[bytes, bytes], content: bytes) -> None:
    answer = _send(place, header, content)
    assert answer is None or answer.status < 500


@every_home(homes=SERVERS)
def test_a_server_that_got_broken_bodies_serves_on(place: t.Any) -> None:
    for header, content in BROKEN.values():
        _send(place, header, content)
    assert deliver(place, delivery(job={"data": 1})) == {"outcome": "completed", "returnValue": 1}
