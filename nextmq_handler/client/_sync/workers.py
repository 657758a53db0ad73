# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""Registration calls: tell the server where a queue's worker is (protocol section 4)."""

from __future__ import annotations

import typing as t

from ...errors import NextMQHTTPError, WorkerRegistrationError
from ...settings import Connection
from .transport import Transport


def register_worker(
    connection: Connection, queue: str, registration: dict[str, t.Any], *, replace: bool = False
) -> None:
    """Register one worker, with `replace` in the place of one that differs.

    Raises WorkerRegistrationError where the server holds one that differs, or another took its place meanwhile.
    """
    query: dict[str, str] = {}
    held = get_worker(connection, queue) if replace else None
    if held is not None:
        query = {"replace": "true", "fingerprint": held["fingerprint"]}
    try:
        Transport(connection).request("PUT", _path(queue), content=registration, query=query)
    except NextMQHTTPError as exc:
        if exc.code != "worker_conflict":
            raise
        fields = tuple(str(field) for field in exc.details.get("fields", ()))
        raise WorkerRegistrationError(
            f"the server holds another registration for queue {queue}: {', '.join(fields) or 'it'} differs. If "
            "this app is the one to take over: nextmq workers replace module:handler, or "
            "ensure_workers_registered(workers, replace=True) as a deploy step",
            queue=queue,
            fields=fields,
        ) from exc


def get_worker(connection: Connection, queue: str) -> dict[str, t.Any] | None:
    """The queue's registration, None where there is none."""
    answer: dict[str, t.Any] | None = Transport(connection).request("GET", _path(queue), missing_ok=True)
    return answer


def unregister_worker(connection: Connection, queue: str) -> None:
    """Remove a registration: waiting jobs stay, active deliveries finish. No error where there was none."""
    Transport(connection).request("DELETE", _path(queue), missing_ok=True)


def _path(queue: str) -> tuple[str, ...]:
    return ("v1", "queues", queue, "worker")
