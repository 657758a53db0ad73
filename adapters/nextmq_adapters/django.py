"""Django: a view for the handler. Processors run beside the ORM as views do, one transaction for each job."""

from __future__ import annotations

import contextlib
import io
import typing as t

from asgiref.sync import AsyncToSync, SyncToAsync, ThreadSensitiveContext
from django.apps import AppConfig
from django.core.signals import request_finished, request_started
from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import get_resolver

from nextmq_handler.protocol.outcomes import Failed, Outcome, RateLimited
from nextmq_handler.receiver import kept_loop
from nextmq_handler.receiver.attempt import Attempt, run_sync
from nextmq_handler.receiver.handler import BaseHandler, HandlerOptions
from nextmq_handler.receiver.run_async import run_coroutine
from nextmq_handler.receiver.timed_reads import Stream
from nextmq_handler.workers.worker import Worker
from nextmq_handler.wsgi import WSGIDriver, text_headers

UNFIT_RESULT = "ReturnValueError"
"""The error of a processor that returned what cannot be sent."""


class NextMQView(BaseHandler):
    """The view that receives the deliveries for `workers`. `HandlerOptions` has the options.

    It is exempt from CSRF and from LoginRequiredMiddleware: it verifies the signature of each delivery. Its
    workers register with the first request of any kind that reaches the URLconf. Raises ConfigurationError.
    """

    csrf_exempt = True
    login_required = False

    def __init__(self, workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]) -> None:
        super().__init__(workers, **options)
        self._driver = WSGIDriver(self._receiver, run=_run)
        # The URLconf is loaded by the first request, when that one's `request_started` has been sent already.
        request_started.connect(self._register_once)
        request_finished.connect(self._register_once)

    @property
    def _non_atomic_requests(self) -> set[str]:
        """The databases whose ATOMIC_REQUESTS Django leaves to this view: the blocks are around the processor."""
        return set(connections)

    def __call__(self, request: HttpRequest, path: str) -> HttpResponse:
        answer = self._driver.respond_to(request.META, "/" + path, stream=_left_of_body(request))
        return HttpResponse(answer.body, status=answer.status, headers=dict(text_headers(answer)))

    def register(self) -> None:
        """Register the workers in the background now, instead of with the first request."""
        self._driver.registrar.start()

    def _register_once(self, **_signal: object) -> None:
        self._driver.register_once()


def nextmq_view(workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]) -> NextMQView:
    """Return a view for `workers`: `path("api/nextmq/<path:path>", nextmq_view(workers=[…]))`.

    It works under WSGI and ASGI. `HandlerOptions` has the options. Raises ConfigurationError.
    """
    return NextMQView(workers, **options)


class NextMQConfig(AppConfig):
    """For INSTALLED_APPS: loads the URLconf with the first request, even one that a middleware answers itself."""

    name = "nextmq_adapters.django"
    label = "nextmq"

    def ready(self) -> None:
        """Wait for the first request: a management command is not a server and registers nothing."""
        request_started.connect(_load_urls)


def _load_urls(**_signal: object) -> None:
    request_started.disconnect(_load_urls)
    _ = get_resolver().url_patterns  # makes the view, which registers its workers when this request has finished


def _left_of_body(request: HttpRequest) -> Stream:
    """Return the whole body if a middleware has read `request.body`, else what is left of it."""
    return io.BytesIO(request.body) if hasattr(request, "_body") else request


def _run(attempt: Attempt) -> Outcome:
    """Run a processor with the database connections of this thread, which the request has."""
    _close_old_connections()
    try:
        if attempt.processor is not None and attempt.processor.is_async:
            return kept_loop.run_beside(_run_async, attempt)
        return _run_def(attempt)
    finally:
        _close_old_connections()


def _run_def(attempt: Attempt) -> Outcome:
    """Run a `def` processor in the transactions that ATOMIC_REQUESTS asks for. One that raises rolls them back."""
    databases = _atomic_databases(attempt)
    try:
        with contextlib.ExitStack() as stack:
            for alias in databases:
                stack.enter_context(transaction.atomic(using=alias))
            outcome = run_sync(attempt)
            if _has_raised(outcome):
                for alias in databases:
                    transaction.set_rollback(True, using=alias)
    except Exception as exc:  # noqa: BLE001 - the database refuses to begin, or to commit
        return attempt.outcome_of(exc)
    return outcome


def _has_raised(outcome: Outcome) -> bool:
    """Tell whether the processor raised. One that puts its job back or returns what is not JSON did its work."""
    if isinstance(outcome, Failed):
        return outcome.name != UNFIT_RESULT
    return isinstance(outcome, RateLimited)


def _atomic_databases(attempt: Attempt) -> list[str]:
    exempt: t.Collection[str] = ()
    if attempt.processor is not None:
        exempt = getattr(attempt.processor.function, "_non_atomic_requests", ())
    settings = connections.settings
    return [alias for alias in connections if settings[alias]["ATOMIC_REQUESTS"] and alias not in exempt]


async def _run_async(executor: kept_loop.WaitingThread, attempt: Attempt) -> Outcome:
    """Run an `async def` processor whose ORM calls run in the request's thread, as below `async_to_sync`.

    In a thread of their own nobody would close its connections, and a TestCase would not see its transaction.
    """
    context = ThreadSensitiveContext()
    SyncToAsync.thread_sensitive_context.set(context)
    SyncToAsync.context_to_thread_executor[context] = executor
    AsyncToSync.executors.current = None  # an executor of the request's own context, which waits for this
    return await run_coroutine(attempt)


def _close_old_connections() -> None:
    """Close the connections that are unusable or too old, but none with a transaction around this view."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            with contextlib.suppress(DatabaseError):
                connection.close_if_unusable_or_obsolete()
