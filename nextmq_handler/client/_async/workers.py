"""Registration calls: tell the server where a queue's worker is (protocol section 4)."""

from __future__ import annotations

import contextlib
import typing as t

from ...errors import NextMQHTTPError, NotFoundError, WorkerRegistrationError
from ...settings import ServerConnection
from .._http.answer import ignored, whole
from .._http.call import ATTEMPT_TIMEOUT
from ..remote import Caller
from .transport import request

NEW_SECRET = ("secretIds",)
"""The fields of a conflict that ends by itself: the app has a new webhook secret, and the same URL."""


async def register_worker(
    connection: ServerConnection, queue: str, registration: dict[str, t.Any], *, replace: bool = False
) -> bool:
    """Register one worker; `replace` allows it to replace a registration that differs.

    Return False if a newer version of the app holds the queue: nothing changed then. Raises
    WorkerRegistrationError if the server holds another registration, or if it changed meanwhile.
    """
    held = await get_worker(connection, queue) if replace else None
    query = {"replace": "true", "fingerprint": held["fingerprint"]} if held else None
    caller = _caller(connection)
    try:
        is_current = await request(caller, "PUT", _path(queue), _is_current, content=registration, query=query)
    except NextMQHTTPError as exc:
        if exc.code != "worker_conflict":
            raise
        fields = tuple(str(field) for field in exc.details.get("fields", ()))
        differences = "; ".join(str(text) for text in exc.details.get("differences", ()))
        what = differences or f"{', '.join(fields) or 'it'} differs"
        raise WorkerRegistrationError(
            f"the server holds another registration for queue {queue}: {what}. {_fix(fields)}",
            queue=queue,
            fields=fields,
        ) from exc
    if replace and not is_current:
        raise WorkerRegistrationError(
            f"the registration for queue {queue} changed meanwhile: run the step again", queue=queue
        )
    return is_current


async def get_worker(connection: ServerConnection, queue: str) -> dict[str, t.Any] | None:
    """Return the queue's registration, None if it has none."""
    try:
        return await request(_caller(connection), "GET", _path(queue), whole(dict[str, t.Any]))
    except NotFoundError:
        return None


async def unregister_worker(connection: ServerConnection, queue: str) -> None:
    """Remove a registration, if there is one. Waiting jobs stay, active deliveries finish."""
    with contextlib.suppress(NotFoundError):
        await request(_caller(connection), "DELETE", _path(queue), ignored)


def _caller(connection: ServerConnection) -> Caller:
    # One attempt: the registrar tries again by itself, and a deploy step shows its error at once.
    return Caller(connection, ATTEMPT_TIMEOUT, retries=False)


def _path(queue: str) -> tuple[str, ...]:
    return ("v1", "queues", queue, "worker")


def _is_current(content: object) -> bool:
    """Read whether the server holds this version of the app now. A server of an older version always does."""
    return not (isinstance(content, dict) and t.cast("dict[str, t.Any]", content).get("current") is False)


def _fix(fields: tuple[str, ...]) -> str:
    when = "If this app is the one to take over"
    if fields == NEW_SECRET:
        when = "It takes the new webhook secret with the first delivery that this app answers. To do it now"
    return (
        f"{when}: nextmq workers replace module:handler, or ensure_workers_registered(workers, replace=True) as a "
        "deploy step"
    )
