"""Register, inspect and unregister workers from code: at deploy, or in a script."""

from __future__ import annotations

import typing as t

from .._deprecated import deprecated
from ..settings import Settings, load_settings
from ..workers.worker import Worker, listed
from .body import fingerprint, registration_of


class WorkerStatus(t.NamedTuple):
    """The registration that the server holds for a queue. `last_seen` is ms since the epoch.

    `matches` is true if it is the one that this app would make; `url` is None if the server holds none.
    """

    queue: str
    url: str | None
    matches: bool
    last_seen: int | None


def ensure_workers_registered(
    workers: t.Iterable[Worker],
    *,
    url: str | None = None,
    app_url: str | None = None,
    release: str | None = None,
    deploy: bool = False,
    replace: bool = False,
) -> None:
    """Register each worker now, in this thread. Idempotent.

    `deploy` marks a deploy step: this version of the app is the one from now on, at whatever URL, even if it is an
    older one. `replace` does the same on servers of older versions. `release` takes the place of NEXTMQ_RELEASE.
    Raises WorkerRegistrationError if the server holds a registration with another URL or other webhook secrets,
    ConfigurationError, NextMQHTTPError or NextMQConnectionError.
    """
    from ..client._sync.workers import register_worker

    settings = load_settings(url=url, app_url=app_url, release=release)
    connection = settings.connection
    for worker in listed(workers):
        body = registration_of(worker, settings, deploy=deploy)
        register_worker(connection, worker.name, body, replace=replace)


async def aensure_workers_registered(
    workers: t.Iterable[Worker],
    *,
    url: str | None = None,
    app_url: str | None = None,
    release: str | None = None,
    deploy: bool = False,
    replace: bool = False,
) -> None:
    """Do what `ensure_workers_registered` does, awaited."""
    from ..client._async.workers import register_worker

    settings = load_settings(url=url, app_url=app_url, release=release)
    connection = settings.connection
    for worker in listed(workers):
        body = registration_of(worker, settings, deploy=deploy)
        await register_worker(connection, worker.name, body, replace=replace)


def registrations(
    workers: t.Iterable[Worker], *, url: str | None = None, app_url: str | None = None
) -> list[WorkerStatus]:
    """Return the registration that the server holds for each worker.

    Raises ConfigurationError, NextMQHTTPError or NextMQConnectionError.
    """
    from ..client._sync.workers import get_worker

    settings = load_settings(url=url, app_url=app_url)
    return [_status(worker, settings, get_worker(settings.connection, worker.name)) for worker in listed(workers)]


async def aregistrations(
    workers: t.Iterable[Worker], *, url: str | None = None, app_url: str | None = None
) -> list[WorkerStatus]:
    """Do what `registrations` does, awaited."""
    from ..client._async.workers import get_worker

    settings = load_settings(url=url, app_url=app_url)
    return [
        _status(worker, settings, await get_worker(settings.connection, worker.name)) for worker in listed(workers)
    ]


def unregister_workers(workers: t.Iterable[Worker], *, url: str | None = None) -> None:
    """Remove the workers' registrations. Waiting jobs stay; active deliveries finish.

    Raises ConfigurationError, NextMQHTTPError or NextMQConnectionError.
    """
    from ..client._sync.workers import unregister_worker

    connection = load_settings(url=url).connection
    for worker in listed(workers):
        unregister_worker(connection, worker.name)


async def aunregister_workers(workers: t.Iterable[Worker], *, url: str | None = None) -> None:
    """Do what `unregister_workers` does, awaited."""
    from ..client._async.workers import unregister_worker

    connection = load_settings(url=url).connection
    for worker in listed(workers):
        await unregister_worker(connection, worker.name)


@deprecated("get_worker_registration_statuses() is now registrations()")
def get_worker_registration_statuses(
    workers: t.Iterable[Worker], *, url: str | None = None, app_url: str | None = None
) -> list[WorkerStatus]:
    """Do what `registrations` does: this is its old name."""
    return registrations(workers, url=url, app_url=app_url)


@deprecated("aget_worker_registration_statuses() is now aregistrations()")
async def aget_worker_registration_statuses(
    workers: t.Iterable[Worker], *, url: str | None = None, app_url: str | None = None
) -> list[WorkerStatus]:
    """Do what `aregistrations` does: this is its old name."""
    return await aregistrations(workers, url=url, app_url=app_url)


def _status(worker: Worker, settings: Settings, held: dict[str, t.Any] | None) -> WorkerStatus:
    if held is None:
        return WorkerStatus(worker.name, None, matches=False, last_seen=None)
    matches = held.get("fingerprint") == fingerprint(worker, settings)
    return WorkerStatus(worker.name, held.get("url"), matches, held.get("lastSeen"))
