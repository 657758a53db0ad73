"""Lambda on this machine: the Runtime API for runtime clients on one side, a function URL on the other.

An invocation goes to the first runtime client that asks for one, and a client asks again when it has answered.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import queue
import threading
import time
import typing as t
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Event = dict[str, t.Any]

COLD_START_TIME = 10.0
"""How long, in s, an invocation waits for a runtime client on top of the function's timeout."""

_ARN = "arn:aws:lambda:eu-central-1:000000000000:function:local"
_PREFIX = "/2018-06-01/runtime/"
_TEXT_TYPES = ("application/json", "application/javascript", "application/xml")


class Invocation:
    """An event on its way to a runtime client, and what comes back: None if the function failed."""

    def __init__(self, event: Event) -> None:
        self.id = str(uuid.uuid4())
        self.event = event
        self.answer: queue.SimpleQueue[Event | None] = queue.SimpleQueue()


class Function:
    """The invocations of a function whose timeout is `timeout` s."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._waiting: queue.SimpleQueue[Invocation] = queue.SimpleQueue()
        self._running: dict[str, Invocation] = {}

    def invoke(self, event: Event) -> Event | None:
        """Return what the function answers; None if it failed or took too long."""
        invocation = Invocation(event)
        self._waiting.put(invocation)
        try:
            return invocation.answer.get(timeout=COLD_START_TIME + self.timeout)
        except queue.Empty:
            return None

    def next(self) -> Invocation:
        """Wait for the next invocation, and send it."""
        invocation = self._waiting.get()
        self._running[invocation.id] = invocation
        return invocation

    def finish(self, invocation_id: str, answer: Event | None) -> bool:
        """Pass an answer to the caller that waits for it. Return False if no such invocation runs."""
        invocation = self._running.pop(invocation_id, None)
        if invocation is None:
            return False
        invocation.answer.put(answer)
        return True


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, function: Function, *connection: t.Any) -> None:
        self.function = function
        super().__init__(*connection)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the demo's output is for deliveries."""

    def read(self) -> bytes:
        """Read the request's body."""
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def answer(self, status: int, headers: t.Mapping[str, str], body: bytes) -> None:
        """Send a response."""
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class RuntimeAPI(_Server):
    """What a runtime client talks to."""

    def do_GET(self) -> None:
        """GET invocation/next waits for an invocation."""
        if self.path != f"{_PREFIX}invocation/next":
            self.answer(404, {}, b"")
            return
        invocation = self.function.next()
        headers = {
            "content-type": "application/json",
            "lambda-runtime-aws-request-id": invocation.id,
            "lambda-runtime-deadline-ms": str(round((time.time() + self.function.timeout) * 1000)),
            "lambda-runtime-invoked-function-arn": _ARN,
        }
        self.answer(200, headers, json.dumps(invocation.event).encode())

    def do_POST(self) -> None:
        """POST invocation/{id}/response, invocation/{id}/error, and init/error if the module fails to load."""
        body = self.read()
        match self.path.removeprefix(_PREFIX).split("/"):
            case ["invocation", invocation_id, "response"]:
                known = self.function.finish(invocation_id, json.loads(body))
            case ["invocation", invocation_id, "error"]:
                known = self.function.finish(invocation_id, None)
            case _:
                known = self.path == f"{_PREFIX}init/error"
        self.answer(202 if known else 400, {"content-type": "application/json"}, b"{}")


class FunctionURL(_Server):
    """What everybody else talks to: requests become events of payload version 2.0."""

    def respond(self) -> None:
        """Any method, any path."""
        answer = self.function.invoke(self._event())
        if answer is None:
            self.answer(502, {"content-type": "text/plain"}, b"Internal Server Error")
            return
        body = str(answer.get("body", "")).encode()
        if answer.get("isBase64Encoded"):
            body = base64.b64decode(body)
        self.answer(answer["statusCode"], answer.get("headers", {}), body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = respond

    def _event(self) -> Event:
        path, _, query = self.path.partition("?")
        body = self.read()
        content_type = self.headers.get_content_type()
        is_text = content_type.startswith("text/") or content_type in _TEXT_TYPES
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            # Lower case, and repeated ones joined, as a function URL does.
            "headers": {name.lower(): ",".join(self.headers.get_all(name, [])) for name in self.headers},
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "local",
                "domainName": self.headers.get("host", ""),
                "http": {
                    "method": self.command,
                    "path": path,
                    "protocol": self.request_version,
                    "sourceIp": self.client_address[0],
                    "userAgent": self.headers.get("user-agent", ""),
                },
                "requestId": str(uuid.uuid4()),
                "routeKey": "$default",
                "stage": "$default",
                "timeEpoch": round(time.time() * 1000),
            },
            "body": body.decode() if is_text else base64.b64encode(body).decode(),
            "isBase64Encoded": not is_text,
        }


@contextlib.contextmanager
def local_lambda(*, timeout: float) -> t.Generator[tuple[str, str]]:
    """Serve a function. Return AWS_LAMBDA_RUNTIME_API for its runtime clients, and its URL."""
    function = Function(timeout)
    with _serve(RuntimeAPI, function) as runtime_api, _serve(FunctionURL, function) as function_url:
        yield runtime_api, f"http://{function_url}"


@contextlib.contextmanager
def _serve(side: type[_Server], function: Function) -> t.Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(side, function)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
