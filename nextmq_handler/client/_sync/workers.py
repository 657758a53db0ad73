# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""Registration calls: tell the server where a queue's worker is (protocol section 4)."""

from __future__ import annotations

import typing as t

from ...errors import NextMQHTTPError, WorkerRegistrationError
from ...settings import Connection
from .transport import Transport


def register_worker(connection: Connection, queue: str, registration: dict[str, t.Any]) -> None:
    """Register one worker. Raises WorkerRegistrationError where the server holds one that differs."""
    try:
        Transport(connection).request("PUT", ("v1", "queues", queue, "worker"), content=registration)
    except NextMQHTTPError as exc:
        if exc.code != "worker_conflict":
            raise
        fields = tuple(str(field) for field in exc.details.get("fields", ()))
        raise WorkerRegistrationError(
            f"the server holds another registration for queue {queue}: {', '.join(fields) or 'it'} differs. "
            f"Remove it first (DELETE {connection.base_url}/v1/queues/{queue}/worker) if this app is the one "
            "to take over",
            queue=queue,
            fields=fields,
        ) from exc


def unregister_worker(connection: Connection, queue: str) -> None:
    """Remove a registration: waiting jobs stay, active deliveries finish. No error where there was none."""
    Transport(connection).request("DELETE", ("v1", "queues", queue, "worker"), missing_ok=True)
