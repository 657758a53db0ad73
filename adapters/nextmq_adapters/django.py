"""Django: a view for the handler, exempt from CSRF, that closes database connections which went stale."""

from __future__ import annotations

import typing as t

from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from nextmq_handler.receiver.receiver import Handler, HandlerOptions
from nextmq_handler.workers.worker import Worker
from nextmq_handler.wsgi import NextMQWSGIHandler


def nextmq_view(
    workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]
) -> t.Callable[[HttpRequest, str], HttpResponse]:
    """A view for `workers`: `path("api/nextmq/<path:path>", nextmq_view(workers=[…]))`, under WSGI.

    `HandlerOptions` says what the options mean. Raises ConfigurationError.
    """
    handler = NextMQWSGIHandler(Handler(workers, **options))

    @csrf_exempt
    def view(request: HttpRequest, path: str) -> HttpResponse:
        # The request itself is the stream: it still has the body where a middleware has read `request.body`.
        environ = {**request.META, "wsgi.input": request, "wsgi.input_terminated": True}
        close_old_connections()
        try:
            answer = handler.respond(environ, "/" + path)
        finally:
            close_old_connections()
        response = HttpResponse(answer.body, status=answer.status)
        for name, value in answer.headers:
            response[name.decode("latin-1")] = value.decode("latin-1")
        return response

    return view
