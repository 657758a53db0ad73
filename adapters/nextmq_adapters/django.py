"""Django: a view for the handler. It is exempt from CSRF and closes stale database connections."""

from __future__ import annotations

import typing as t

from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from nextmq_handler.receiver.handler import HandlerOptions
from nextmq_handler.receiver.receiver import Receiver
from nextmq_handler.workers.worker import Worker
from nextmq_handler.wsgi import WSGIDriver, text_headers


def nextmq_view(
    workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]
) -> t.Callable[[HttpRequest, str], HttpResponse]:
    """Return a view for `workers`, under WSGI: `path("api/nextmq/<path:path>", nextmq_view(workers=[…]))`.

    `HandlerOptions` has the options. Raises ConfigurationError.
    """
    driver = WSGIDriver(Receiver(workers, **options))

    @csrf_exempt
    def view(request: HttpRequest, path: str) -> HttpResponse:
        # The request itself is the stream: it still has the body if a middleware has read `request.body`.
        environ = {**request.META, "wsgi.input": request, "wsgi.input_terminated": True}
        close_old_connections()
        try:
            answer = driver.respond_to(environ, "/" + path)
        finally:
            close_old_connections()
        return HttpResponse(answer.body, status=answer.status, headers=dict(text_headers(answer)))

    return view
