# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""Registration calls: tell the server where a queue's worker is (protocol section 4)."""

from __future__ import annotations

import contextlib
import typing as t

from ...errors import NextMQHTTPError, NotFoundError, WorkerRegistrationError
from ...settings import ServerConnection
from .._http.answer import ignored, whole
from .._http.call import ATTEMPT_TIMEOUT
from .._http.conflict import conflict, is_current
from ..remote import Caller
from .transport import request


def register_worker(
    connection: ServerConnection, queue: str, registration: dict[str, t.Any], *, replace: bool = False
) -> bool:
    """Register one worker; `replace` allows it to replace a registration that differs.

    Return False if a newer version of the app holds the queue: nothing changed then. Raises
    WorkerRegistrationError if the server holds another registration, or if it changed meanwhile.
    """
    held = get_worker(connection, queue) if replace else None
    query = {"replace": "true", "fingerprint": held["fingerprint"]} if held else None
    caller = _caller(connection)
    try:
        holds = request(caller, "PUT", _path(queue), is_current, content=registration, query=query)
    except NextMQHTTPError as exc:
        if exc.code != "worker_conflict":
            raise
        raise conflict(queue, exc) from exc
    if replace and not holds:
        raise WorkerRegistrationError(
            f"the registration for queue {queue} changed meanwhile: run the step again", queue=queue
        )
    return holds


def get_worker(connection: ServerConnection, queue: str) -> dict[str, t.Any] | None:
    """Return the queue's registration, None if it has none."""
    try:
        return request(_caller(connection), "GET", _path(queue), whole(dict[str, t.Any]))
    except NotFoundError:
        return None


def unregister_worker(connection: ServerConnection, queue: str) -> None:
    """Remove a registration, if there is one. Waiting jobs stay, active deliveries finish."""
    with contextlib.suppress(NotFoundError):
        request(_caller(connection), "DELETE", _path(queue), ignored)


def _caller(connection: ServerConnection) -> Caller:
    # One attempt: the registrar tries again by itself, and a deploy step shows its error at once.
    return Caller(connection, ATTEMPT_TIMEOUT, retries=False)


def _path(queue: str) -> tuple[str, ...]:
    return ("v1", "queues", queue, "worker")
