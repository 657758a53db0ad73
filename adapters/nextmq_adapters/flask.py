"""Flask: a blueprint with the handler's routes. Its workers register with the app's first request."""

from __future__ import annotations

import typing as t

from flask import Blueprint, Response, request

from nextmq_handler.receiver.receiver import Handler, HandlerOptions
from nextmq_handler.workers.worker import Worker
from nextmq_handler.wsgi import NextMQWSGIHandler

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


class NextMQBlueprint(Blueprint):
    """A blueprint that receives the deliveries for its workers."""

    def __init__(self, handler: NextMQWSGIHandler, name: str) -> None:
        super().__init__(name, __name__)
        self.handler = handler
        options: dict[str, t.Any] = {"methods": _METHODS, "provide_automatic_options": False}
        self.add_url_rule("/<path:path>", "deliver", self._deliver, **options)
        self.before_app_request(handler.register_once)

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers that are mounted here."""
        return self.handler.workers

    def check(self) -> list[str]:
        """What is wrong with this set-up, in words; empty where nothing is."""
        return self.handler.check()

    def _deliver(self, path: str) -> Response:
        answer = self.handler.respond(request.environ, "/" + path)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
        return Response(answer.body, answer.status, headers)


def nextmq_blueprint(
    workers: t.Iterable[Worker], *, name: str = "nextmq", **options: t.Unpack[HandlerOptions]
) -> NextMQBlueprint:
    """A blueprint for `workers`: `app.register_blueprint(…, url_prefix="/api/nextmq")`.

    `def` processors run in the request's thread, `async def` ones on the process's one kept loop. `HandlerOptions`
    says what the options mean. Raises ConfigurationError.
    """
    return NextMQBlueprint(NextMQWSGIHandler(Handler(workers, **options)), name)
