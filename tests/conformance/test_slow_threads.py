"""Callers that keep every thread of a WSGI server waiting for their bodies: its threads come back."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from .integrations import processes as integrations_processes
from .integrations.processes import ServerIntegration, head_of, read_answer
from .setups import mount_of
from .support import JSON, deliver, delivery, length_of, seal

THREADS = 4
BODY = b"x" * 1000
"""Signed by nobody."""

APPS = ["flask()", "django_wsgi()", "django_wsgi(atomic=True)"]


@pytest.fixture(params=APPS)
def server(request: pytest.FixtureRequest, _no_settings_in_the_environment: None) -> Iterator[ServerIntegration]:
    started = integrations_processes.gunicorn(
        request.param, "--worker-class", "gthread", "--threads", str(THREADS), "--timeout", "30"
    )
    yield started
    started.stop()


@contextlib.contextmanager
def _dripping(server: ServerIntegration, headers: list[tuple[bytes, bytes]]) -> Iterator[list[socket.socket]]:
    """Send a byte of a body a second on each connection, as many as the server has threads."""
    target = f"{mount_of('half-a-second')}/queues/blocking"
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(THREADS)]
        for connection in connections:
            connection.sendall(head_of("POST", target, headers) + BODY[:1])
        ended = threading.Event()

        def drip() -> None:
            while not ended.wait(1):
                for connection in connections:
                    with contextlib.suppress(OSError):  # the server has closed it
                        connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        yield connections
        ended.set()
        thread.join()


SEALED: dict[str, list[tuple[bytes, bytes]]] = {
    "a signature that is wrong": [JSON, length_of(BODY), *seal(b"another body")],
    "no signature": [JSON, length_of(BODY)],
}


@pytest.mark.parametrize("headers", SEALED.values(), ids=SEALED)
def test_a_server_whose_threads_all_wait_for_bodies_takes_deliveries_again(
    server: ServerIntegration, headers: list[tuple[bytes, bytes]]
) -> None:
    with _dripping(server, headers):
        assert deliver(server, delivery(job={"data": 1})) == {"outcome": "completed", "returnValue": 1}


def test_each_of_them_is_answered_408(server: ServerIntegration) -> None:
    with _dripping(server, SEALED["a signature that is wrong"]) as connections:
        answers = [read_answer(connection).status for connection in connections]
    assert answers == [408] * THREADS
