"""Keep a handler's workers registered, from a thread beside the requests (protocol section 4)."""

from __future__ import annotations

import logging
import os
import random
import threading
import typing as t

from .. import _overrides
from ..client._http.conflict import NEW_SECRET
from ..client._sync.workers import register_worker
from ..errors import ConfigurationError, NextMQError, NextMQHTTPError, WorkerRegistrationError
from ..protocol.clocks import monotonic
from ..settings import Settings
from ..workers.worker import Worker
from .body import registration_of

logger: logging.Logger = logging.getLogger("nextmq_handler.registration")

REASSERT_INTERVAL = 60.0
"""Deliveries and `GET /health` register again at most this often, in s (section 4)."""

MIN_RETRY_DELAY, MAX_RETRY_DELAY = 0.25, 30.0

MAX_SERVER_ERRORS = 20
"""After so many answers in a row that the server failed (5xx) it is not asked again until the next start."""


class Registrar:
    """Register in the background. A failure is logged and retried, and never reaches a delivery.

    `problems` is told, by queue, why a worker is not registered, for as long as that is so.
    """

    def __init__(
        self,
        workers: t.Sequence[Worker],
        settings: t.Callable[[], Settings],
        *,
        check: t.Callable[[], list[str]] = list,
        problems: dict[str, str] | None = None,
        monotonic: t.Callable[[], float] = monotonic,
    ) -> None:
        self._workers = workers
        self._settings = settings
        self._check = check
        self._problems: dict[str, str] = {} if problems is None else problems
        self._logged: set[str] = set()
        self._monotonic = monotonic
        self._started_at: float | None = None
        self._pid = 0
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Register, and retry until each worker is registered or the server refuses it."""
        if _overrides.registration_paused.get():
            return
        with self._lock:
            self._started_at, self._pid = self._monotonic(), os.getpid()
            if self._thread is not None and self._thread.is_alive() and not self._stopping.is_set():
                return
            # A new event: a thread that was told to stop may still wait for an answer.
            self._stopping = threading.Event()
            thread = threading.Thread(
                target=self._run, args=(self._stopping,), name="nextmq-registrar", daemon=True
            )
            thread.start()
            self._thread = thread  # only now: `wait` in another thread cannot join one that has not started

    def start_once(self) -> None:
        """Call `start` unless this process has done so before: cheap enough for every request."""
        if self._started_at is None or self._pid != os.getpid():
            self.start()

    def reassert(self) -> None:
        """Call `start`, at most once every REASSERT_INTERVAL."""
        started_at = self._started_at
        if started_at is None or self._monotonic() - started_at >= REASSERT_INTERVAL:
            self.start()

    def wait(self, timeout: float) -> None:
        """Wait until registering is done, at most `timeout` s: a platform may freeze after the answer."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def stop(self) -> None:
        """Stop retrying."""
        self._stopping.set()

    def _run(self, stopping: threading.Event) -> None:
        try:
            self._register_all(stopping)
        finally:
            stopping.set()  # a thread stays alive for a moment after its last line: the next start needs another

    def _register_all(self, stopping: threading.Event) -> None:
        try:
            settings = self._settings()
            connection = settings.connection
            pending = [(worker, registration_of(worker, settings)) for worker in self._workers]
        except ConfigurationError as exc:
            logger.error("cannot register the workers, so no job will arrive: %s", exc)
            return
        for problem in self._check():
            if problem not in self._logged:
                self._logged.add(problem)
                logger.warning("%s", problem)
        delay, server_errors = MIN_RETRY_DELAY, 0
        while True:
            failure: NextMQError | None = None
            for worker, registration in list(pending):
                try:
                    is_current = register_worker(connection, worker.name, registration)
                except NextMQError as exc:
                    if not _is_final(exc):
                        failure = exc
                        continue
                    rotates = isinstance(exc, WorkerRegistrationError) and exc.fields == NEW_SECRET
                    self._tell(worker.name, str(exc), logging.WARNING if rotates else logging.ERROR)
                else:
                    self._on_registered(worker.name, registration["url"], is_current=is_current)
                pending.remove((worker, registration))
            if failure is None:
                return
            server_errors = server_errors + 1 if _is_server_error(failure) else 0
            if server_errors == MAX_SERVER_ERRORS:
                for worker, _ in pending:
                    self._tell(worker.name, _gave_up(worker.name, failure), logging.ERROR)
                return
            if delay == MIN_RETRY_DELAY:
                logger.warning("cannot register yet, retrying until it works: %s", failure)
            if stopping.wait(delay * random.uniform(0.5, 1.0)):  # noqa: S311 - jitter, not a secret
                return
            delay = min(MAX_RETRY_DELAY, 2 * delay)

    def _on_registered(self, queue: str, url: str, *, is_current: bool) -> None:
        if is_current:
            self._problems.pop(queue, None)
            logger.info("registered queue %s at %s", queue, url)
            return
        self._tell(
            queue,
            f"queue {queue} is held by a newer version of this app, so this one changes nothing. In a rolling "
            "deploy this is right; after a rollback, run nextmq register module:handler",
            logging.INFO,
        )

    def _tell(self, queue: str, problem: str, level: int) -> None:
        """Keep a problem for the check, and log it once: /health registers again every minute."""
        self._problems[queue] = problem
        logger.log(logging.DEBUG if problem in self._logged else level, "%s", problem)
        self._logged.add(problem)


def _is_final(exc: NextMQError) -> bool:
    """Return whether retrying is useless: a conflict, or a value that the server does not accept."""
    return isinstance(exc, WorkerRegistrationError) or (isinstance(exc, NextMQHTTPError) and exc.status == 422)


def _gave_up(queue: str, failure: NextMQError) -> str:
    return (
        f"cannot register queue {queue}: the server failed {MAX_SERVER_ERRORS} times, so it is asked no more "
        f"until GET /health comes or this app starts again. Its log has the reason: {failure}"
    )


def _is_server_error(exc: NextMQError) -> bool:
    return isinstance(exc, NextMQHTTPError) and exc.status >= 500
