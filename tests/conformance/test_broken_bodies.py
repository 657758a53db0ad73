"""Bodies that break off or are malformed on the wire, sent to real servers: refused or dropped, never a fault."""

from __future__ import annotations

import socket
import typing as t
from http.client import RemoteDisconnected

from nextmq_server.conformance.cases import Case
from nextmq_server.conformance.refusals_of_bodies import broken

from .integrations.integration import Answer
from .integrations.processes import ServerIntegration, head_of, read_answer
from .limits import SERVERS
from .setups import mount_of
from .support import SENDER, deliver, delivery, every_integration, over_integrations

BROKEN = broken(SENDER)


def _send(server: ServerIntegration, case: Case) -> Answer | None:
    """Return the answer, None if the connection was closed without one."""
    with server.connect() as connection:
        head = head_of("POST", mount_of("plain") + case.wire.route, case.wire.headers)
        connection.sendall(head + case.wire.body)
        connection.shutdown(socket.SHUT_WR)
        try:
            return read_answer(connection)
        except (RemoteDisconnected, ConnectionError):
            return None


@over_integrations(BROKEN, integrations=SERVERS)
def test_a_broken_body_is_not_a_fault(place: t.Any, case: Case) -> None:
    answer = _send(place, case)
    assert answer is None or answer.status < 500


@every_integration(integrations=SERVERS)
def test_a_server_that_got_broken_bodies_serves_on(place: t.Any) -> None:
    for case in BROKEN:
        _send(place, case)
    assert deliver(place, delivery(job={"data": 1})) == {"outcome": "completed", "returnValue": 1}
