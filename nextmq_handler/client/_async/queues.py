"""All queues of a project."""

from __future__ import annotations

from .._http.answer import listed
from ..remote import Remote
from ..views import QueueView, queue_view
from .transport import AsyncTransport


async def get_queues(remote: Remote) -> list[QueueView]:
    """The queues as they are now. Raises NextMQHTTPError or NextMQConnectionError."""
    transport = AsyncTransport(remote.connection, timeout=remote.timeout)
    return await transport.request("GET", ("v1", "queues"), listed("queues", queue_view))
