"""The Lambda Runtime API, small: hands events to a real runtime client, and collects what the function answers."""

from __future__ import annotations

import itertools
import json
import queue
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PREFIX = "/2018-06-01/runtime/"
PATIENCE = 30.0


class FunctionError(Exception):
    """The function raised, or could not be loaded: what the runtime client reported."""


class _Invocation:
    def __init__(self, id: str, event: object) -> None:
        self.id = id
        self.event = json.dumps(event).encode()
        self.answered = threading.Event()
        self.result: t.Any = None
        self.error: t.Any = None


class RuntimeAPI:
    """One execution environment: its function takes one event at a time, in order."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[_Invocation | None] = queue.Queue()
        self._by_id: dict[str, _Invocation] = {}
        self._numbers = itertools.count(1)
        self._init_error: t.Any = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._request_handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def address(self) -> str:
        """What AWS_LAMBDA_RUNTIME_API is to be."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def invoke(self, event: object) -> t.Any:
        """Return what the function returns for `event`. Raises FunctionError."""
        invocation = _Invocation(f"request-{next(self._numbers)}", event)
        self._by_id[invocation.id] = invocation
        self._waiting.put(invocation)
        done = invocation.answered.wait(PATIENCE)
        if self._init_error is not None:
            raise FunctionError(self._init_error)
        assert done, "the function did not answer"
        if invocation.error is not None:
            raise FunctionError(invocation.error)
        return invocation.result

    def stop(self) -> None:
        self._waiting.put(None)  # lets go of the runtime client that waits for an event
        self._server.shutdown()
        self._server.server_close()

    def _settle(self, path: str, content: t.Any) -> None:
        if path == "init/error":
            self._init_error = content
            for invocation in self._by_id.values():
                invocation.answered.set()
            return
        _, id, kind = path.split("/")
        invocation = self._by_id.pop(id)
        if kind == "response":
            invocation.result = content
        else:
            invocation.error = content
        invocation.answered.set()

    def _request_handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body leave together

            def do_GET(self) -> None:
                assert self.path == f"{_PREFIX}invocation/next"
                invocation = api._waiting.get()
                if invocation is None:
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", invocation.id)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(round((time.time() + 60) * 1000)))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:1:function:f")
                self.send_header("Lambda-Runtime-Trace-Id", "Root=1-0-0")
                self._send(invocation.event)

            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["content-length"])))
                api._settle(self.path.removeprefix(_PREFIX), content)
                self.send_response(202)
                self._send(b'{"status":"OK"}')

            def _send(self, body: bytes) -> None:
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        return Handler
