"""Bodies that come too slowly or never end, sent to real servers: refused in time, and not kept."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .integrations import processes as integrations_processes
from .integrations.integration import Answer
from .integrations.processes import ServerIntegration, head_of, read_answer
from .setups import mount_of
from .support import JSON, deliver, delivery, seal, wire_of

MEGABYTE = 1024 * 1024
CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.fixture(scope="module")
def server(_no_settings_in_the_environment: None) -> Iterator[ServerIntegration]:
    """Start a uvicorn that no other test has filled."""
    started = integrations_processes.uvicorn()
    yield started
    started.stop()


def _memory(server: ServerIntegration, field: str) -> int:
    """Return a field of /proc/…/status, in bytes."""
    line = next(line for line in server.child.lines if "Started server process" in line)
    pid = line.partition("[")[2].partition("]")[0]
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024


def _target(setup: str) -> str:
    return f"{mount_of(setup)}/queues/blocking"


def _send_until_answered(server: ServerIntegration, total: int) -> tuple[Answer, int]:
    """Send a chunked body of `total` bytes piece by piece. Return the answer, and how much was sent."""
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = 0
    with server.connect() as connection:
        connection.sendall(head_of("POST", _target("plain"), [JSON, *seal(b""), CHUNKED]))
        with contextlib.suppress(ConnectionError):  # the server has answered, and closed
            while sent < total:
                connection.sendall(piece)
                sent += 65536
        return read_answer(connection), sent


@pytest.mark.parametrize("headers", [[(b"content-length", b"1000")], [CHUNKED]], ids=["declared", "chunked"])
def test_a_body_that_drips_is_refused_at_body_timeout(
    server: ServerIntegration, headers: list[tuple[bytes, bytes]]
) -> None:
    drop = b"1\r\n{\r\n" if CHUNKED in headers else b"{"
    answered = threading.Event()
    with server.connect() as connection:
        connection.sendall(head_of("POST", _target("half-a-second"), [JSON, *seal(b""), *headers]))

        def drip() -> None:
            with contextlib.suppress(ConnectionError):  # the server may close before the answer is read here
                connection.sendall(drop)
                while not answered.wait(1):
                    connection.sendall(drop)

        dripping = threading.Thread(target=drip)
        dripping.start()
        answer = read_answer(connection)
        answered.set()
        dripping.join()
    assert (answer.status, answer.json) == (408, {"error": "request_timeout"})


def test_a_body_of_300_megabytes_is_refused_before_it_was_sent(server: ServerIntegration) -> None:
    answer, sent = _send_until_answered(server, 300 * MEGABYTE)
    assert (answer.status, answer.json, sent < 100 * MEGABYTE) == (413, {"error": "payload_too_large"}, True)


def test_a_body_of_300_megabytes_never_takes_16_of_memory(server: ServerIntegration) -> None:
    deliver(server, delivery())  # all that is made once is made
    before = _memory(server, "VmRSS")
    _send_until_answered(server, 300 * MEGABYTE)
    assert _memory(server, "VmHWM") - before < 16 * MEGABYTE


def test_a_body_declared_as_300_megabytes_is_refused_unsent(server: ServerIntegration) -> None:
    with server.connect() as connection:
        declared = (b"content-length", b"%d" % (300 * MEGABYTE))
        connection.sendall(head_of("POST", _target("plain"), [JSON, *seal(b""), declared]))
        answer = read_answer(connection)
    assert (answer.status, answer.json) == (413, {"error": "payload_too_large"})


def test_a_server_that_refused_slow_and_huge_bodies_serves_on(server: ServerIntegration) -> None:
    _send_until_answered(server, 300 * MEGABYTE)
    assert wire_of(delivery()).send(server).status == 200
