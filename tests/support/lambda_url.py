"""A Lambda function's URL, as a WSGI app: each request becomes an event of payload version 2.0."""

from __future__ import annotations

import base64
import typing as t

from nextmq_adapters.aws_lambda import LambdaHandler

if t.TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Context:
    """An invocation with a minute left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def function_url(function: LambdaHandler) -> WSGIApplication:
    """Serve the function as its URL does."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        answer = function(_event(environ), Context())
        start_response(f"{answer['statusCode']} ", list(answer["headers"].items()))
        return [answer["body"].encode()]

    return app


def _event(environ: WSGIEnvironment) -> dict[str, t.Any]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    headers = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    return {
        "version": "2.0",
        "rawPath": environ["PATH_INFO"],
        "headers": headers,
        "requestContext": {"http": {"method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"]}},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
