"""Registration: tell the server which queues this app works for, and where (protocol section 4)."""

from __future__ import annotations

import base64
import hashlib
import json
import typing as t

from .._version import __version__
from ..settings import ServerConnection, Settings, load_settings
from ..workers.worker import Worker, listed, schedules_of, schemas_of


def fingerprint(worker: Worker, settings: Settings) -> str:
    """This SDK's opaque word for a worker's URL, options and schedules (section 4). Raises ConfigurationError."""
    parts = [worker_url(worker, settings), dict(worker.options), *schedules_of(worker)]
    text = json.dumps(parts, sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:12]).decode()


def worker_url(worker: Worker, settings: Settings) -> str:
    """Where the server delivers this worker's jobs: from the settings, never from a request (section 4)."""
    return f"{settings.app_url}/queues/{worker.name}"


def registration_of(worker: Worker, settings: Settings) -> dict[str, t.Any]:
    """The body of the registration call (section 4). Raises ConfigurationError."""
    body: dict[str, t.Any] = {
        "url": worker_url(worker, settings),
        "options": dict(worker.options),
        "secretIds": [secret.id for secret in settings.secrets],
        "fingerprint": fingerprint(worker, settings),
        "sdk": f"nextmq-python/{__version__}",
        "schemas": schemas_of(worker),
    }
    schedules = schedules_of(worker)
    return {**body, "schedules": schedules} if schedules else body


class WorkerStatus(t.NamedTuple):
    """A queue's registration as the server holds it. `last_seen` is ms since the epoch.

    `matches` says whether it is this app's; `url` is None where the server holds none.
    """

    queue: str
    url: str | None
    matches: bool
    last_seen: int | None


def ensure_workers_registered(
    workers: t.Iterable[Worker], *, url: str | None = None, app_url: str | None = None, replace: bool = False
) -> None:
    """Register each worker, now, in this thread. `replace` takes the place of a registration that differs.

    Idempotent. Raises WorkerRegistrationError where the server holds a registration that differs,
    ConfigurationError, NextMQHTTPError or NextMQConnectionError.
    """
    from ..client._sync.workers import register_worker

    settings = load_settings(url=url, app_url=app_url)
    for worker in listed(workers):
        register_worker(settings.connection, worker.name, registration_of(worker, settings), replace=replace)


async def aensure_workers_registered(
    workers: t.Iterable[Worker], *, url: str | None = None, app_url: str | None = None, replace: bool = False
) -> None:
    """`ensure_workers_registered`, awaited."""
    from ..client._async.workers import register_worker

    settings = load_settings(url=url, app_url=app_url)
    for worker in listed(workers):
        await register_worker(settings.connection, worker.name, registration_of(worker, settings), replace=replace)


def get_worker_registration_statuses(
    workers: t.Iterable[Worker], *, url: str | None = None, app_url: str | None = None
) -> list[WorkerStatus]:
    """What the server holds for each worker.

    Raises ConfigurationError, NextMQHTTPError or NextMQConnectionError.
    """
    from ..client._sync.workers import get_worker

    settings = load_settings(url=url, app_url=app_url)
    return [_status(worker, settings, get_worker(settings.connection, worker.name)) for worker in listed(workers)]


async def aget_worker_registration_statuses(
    workers: t.Iterable[Worker], *, url: str | None = None, app_url: str | None = None
) -> list[WorkerStatus]:
    """`get_worker_registration_statuses`, awaited."""
    from ..client._async.workers import get_worker

    settings = load_settings(url=url, app_url=app_url)
    return [
        _status(worker, settings, await get_worker(settings.connection, worker.name)) for worker in listed(workers)
    ]


def unregister_workers(workers: t.Iterable[Worker], *, url: str | None = None) -> None:
    """Remove the workers' registrations: waiting jobs stay, active deliveries finish.

    Raises ConfigurationError, NextMQHTTPError or NextMQConnectionError.
    """
    from ..client._sync.workers import unregister_worker

    connection = _connection(url)
    for worker in listed(workers):
        unregister_worker(connection, worker.name)


async def aunregister_workers(workers: t.Iterable[Worker], *, url: str | None = None) -> None:
    """`unregister_workers`, awaited."""
    from ..client._async.workers import unregister_worker

    connection = _connection(url)
    for worker in listed(workers):
        await unregister_worker(connection, worker.name)


def _connection(url: str | None) -> ServerConnection:
    return load_settings(url=url).connection


def _status(worker: Worker, settings: Settings, held: dict[str, t.Any] | None) -> WorkerStatus:
    if held is None:
        return WorkerStatus(worker.name, None, matches=False, last_seen=None)
    matches = held.get("fingerprint") == fingerprint(worker, settings)
    return WorkerStatus(worker.name, held.get("url"), matches, held.get("lastSeen"))
