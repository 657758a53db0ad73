"""Who calls the server for a job."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ..settings import Connection


class Caller(t.NamedTuple):
    """The server, the s that a call may take, and the delivery of a processor's job, None for a producer's."""

    connection: Connection
    timeout: float
    delivery_id: str | None
