"""Registration: tell the server which queues this app works for, and where (protocol section 4)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import random
import time
import typing as t

from ._version import __version__
from .client._async.workers import register_worker as aregister_worker
from .client._async.workers import unregister_worker as aunregister_worker
from .client._sync.workers import register_worker, unregister_worker
from .errors import ConfigurationError, NextMQError, WorkerRegistrationError
from .settings import Settings, load_settings
from .worker import Worker

logger = logging.getLogger("nextmq_handler.registration")

REASSERT_INTERVAL = 60.0
"""`GET /health` registers again at most this often, in s (section 4)."""

MAX_RETRY_DELAY = 30.0


def fingerprint(worker: Worker, settings: Settings) -> str:
    """This SDK's opaque word for a worker's URL and options (section 4)."""
    text = json.dumps([worker_url(worker, settings), dict(worker.options)], sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:12]).decode()


def worker_url(worker: Worker, settings: Settings) -> str:
    """Where the server delivers this worker's jobs: from the settings, never from a request (section 4)."""
    return f"{settings.app_url}/queues/{worker.name}"


def registration_of(worker: Worker, settings: Settings) -> dict[str, t.Any]:
    """The body of the registration call (section 4)."""
    return {
        "url": worker_url(worker, settings),
        "options": dict(worker.options),
        "secretIds": [secret.id for secret in settings.secrets],
        "fingerprint": fingerprint(worker, settings),
        "sdk": f"nextmq-python/{__version__}",
        "schemas": None,
    }


def ensure_workers_registered(
    workers: t.Iterable[Worker], *, url: str | None = None, app_url: str | None = None
) -> None:
    """Register each worker, now, in this thread.

    Idempotent. Raises WorkerRegistrationError where the server holds a registration that differs,
    ConfigurationError, NextMQHTTPError or NextMQConnectionError.
    """
    settings = load_settings(url=url, app_url=app_url)
    for worker in workers:
        register_worker(settings.connection, worker.name, registration_of(worker, settings))


async def aensure_workers_registered(
    workers: t.Iterable[Worker], *, url: str | None = None, app_url: str | None = None
) -> None:
    """`ensure_workers_registered`, awaited."""
    settings = load_settings(url=url, app_url=app_url)
    for worker in workers:
        await aregister_worker(settings.connection, worker.name, registration_of(worker, settings))


def unregister_workers(workers: t.Iterable[Worker], *, url: str | None = None) -> None:
    """Remove the workers' registrations: waiting jobs stay, active deliveries finish.

    Raises ConfigurationError, NextMQHTTPError or NextMQConnectionError.
    """
    connection = load_settings(url=url).connection
    for worker in workers:
        unregister_worker(connection, worker.name)


async def aunregister_workers(workers: t.Iterable[Worker], *, url: str | None = None) -> None:
    """`unregister_workers`, awaited."""
    connection = load_settings(url=url).connection
    for worker in workers:
        await aunregister_worker(connection, worker.name)


class Registrar:
    """Keeps a handler's workers registered from a running loop, beside the requests and never in their way."""

    def __init__(
        self,
        workers: t.Sequence[Worker],
        settings: t.Callable[[], Settings],
        *,
        monotonic: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self._workers = workers
        self._settings = settings
        self._monotonic = monotonic
        self._task: asyncio.Task[None] | None = None
        self._started_at: float | None = None
        self._fingerprints: dict[str, str] = {}

    def fingerprint(self, queue: str) -> str | None:
        """The fingerprint that this app would register for `queue`; None where its settings do not allow one."""
        if queue not in self._fingerprints:
            try:
                settings = self._settings()
                self._fingerprints = {w.name: fingerprint(w, settings) for w in self._workers}
            except ConfigurationError:
                return None
        return self._fingerprints.get(queue)

    def start(self) -> None:
        """Register in the background, again and again until each worker is or the server says no."""
        if self._task is None or self._task.done():
            self._started_at = self._monotonic()
            self._task = asyncio.get_running_loop().create_task(self._register_all())

    def reassert(self) -> None:
        """`start`, at most once a minute however often it is called."""
        if self._started_at is None or self._monotonic() - self._started_at >= REASSERT_INTERVAL:
            self.start()

    async def stop(self) -> None:
        """End the background work."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _register_all(self) -> None:
        try:
            settings = self._settings()
            pending = [(worker, registration_of(worker, settings)) for worker in self._workers]
            connection = settings.connection
        except ConfigurationError as exc:
            logger.error("workers are not registered, so no job will arrive: %s", exc)
            return
        for retry in range(1_000_000):
            failure: NextMQError | None = None
            for worker, registration in list(pending):
                try:
                    await aregister_worker(connection, worker.name, registration)
                except WorkerRegistrationError as exc:
                    logger.error("%s", exc)
                except NextMQError as exc:
                    failure = exc
                    continue
                else:
                    logger.info("registered queue %s at %s", worker.name, registration["url"])
                pending.remove((worker, registration))
            if failure is None:
                return
            if retry == 0:
                logger.warning("cannot register yet, trying again until it works: %s", failure)
            delay = min(MAX_RETRY_DELAY, 0.25 * 2 ** min(retry, 10))
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret
