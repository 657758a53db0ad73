"""Flask: a blueprint with the handler's routes. Its workers register with the app's first request of any kind."""

from __future__ import annotations

import io
import typing as t

from flask import Blueprint, Response, request, request_started
from flask.blueprints import BlueprintSetupState

from nextmq_handler.receiver.handler import BaseHandler, HandlerOptions
from nextmq_handler.receiver.timed_reads import Stream
from nextmq_handler.workers.worker import Worker
from nextmq_handler.wsgi import WSGIDriver, text_headers

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


class NextMQBlueprint(Blueprint, BaseHandler):
    """A blueprint that receives the deliveries for `workers`. `HandlerOptions` has the options.

    Raises ConfigurationError.
    """

    def __init__(
        self, workers: t.Iterable[Worker], *, name: str = "nextmq", **options: t.Unpack[HandlerOptions]
    ) -> None:
        Blueprint.__init__(self, name, __name__)
        BaseHandler.__init__(self, workers, **options)
        self._driver = WSGIDriver(self._receiver)
        rule: dict[str, t.Any] = {"methods": _METHODS, "provide_automatic_options": False}
        self.add_url_rule("/<path:path>", "deliver", self._deliver, **rule)
        # Not a hook: one that answers the request itself keeps those behind it from running.
        self.record(self._watch)

    def _watch(self, state: BlueprintSetupState) -> None:
        request_started.connect(self._register_once, state.app)

    def _register_once(self, *_: object, **__: object) -> None:
        self._driver.register_once()

    def _deliver(self, path: str) -> Response:
        answer = self._driver.respond_to(request.environ, "/" + path, stream=_left_of_body())
        return Response(answer.body, answer.status, text_headers(answer))


def _left_of_body() -> Stream | None:
    """Return the body if a hook has read from it, as far as the request has kept it. None if no hook has."""
    seen = request.__dict__
    if seen.get("_cached_data") is not None:
        return io.BytesIO(request.get_data())
    stream: Stream | None = seen.get("stream")  # made at its first use; it knows what is left, and ends with it
    return stream


def nextmq_blueprint(
    workers: t.Iterable[Worker], *, name: str = "nextmq", **options: t.Unpack[HandlerOptions]
) -> NextMQBlueprint:
    """Return a blueprint for `workers`: `app.register_blueprint(…, url_prefix="/api/nextmq")`.

    `def` processors run in the request's thread, `async def` ones on the process's one kept loop. `HandlerOptions`
    has the options. Raises ConfigurationError.
    """
    return NextMQBlueprint(workers, name=name, **options)
