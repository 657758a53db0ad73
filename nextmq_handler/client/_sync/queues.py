# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""All queues of a project."""

from __future__ import annotations

from .._http.answer import listed
from ..remote import Remote
from ..views import QueueView, queue_view
from .transport import Transport


def get_queues(remote: Remote) -> list[QueueView]:
    """The queues as they are now. Raises NextMQHTTPError or NextMQConnectionError."""
    transport = Transport(remote.connection, timeout=remote.timeout)
    return transport.request("GET", ("v1", "queues"), listed("queues", queue_view))
