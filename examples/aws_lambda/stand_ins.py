"""The world around the function, on this machine: a mailing service that counts what it is asked for."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import typing as t
from collections import Counter
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_TIME = 0.1


class MailingService:
    """What it was asked for: how often each address was stored, and got a message."""

    def __init__(self) -> None:
        self.subscribers: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.keys: set[str] = set()
        """The idempotency keys of the messages: one that comes again is sent no second time."""


class _API(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, service: MailingService, *connection: t.Any) -> None:
        self._service = service
        super().__init__(*connection)

    def do_PUT(self) -> None:
        """PUT /subscribers/{address}."""
        self._service.subscribers[self.path.rpartition("/")[2]] += 1
        self._accept()

    def do_POST(self) -> None:
        """POST /messages."""
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if (key := self.headers["idempotency-key"]) not in self._service.keys:
            self._service.keys.add(key)
            self._service.messages[message["to"]] += 1
        self._accept()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the demo's output is for deliveries."""

    def _accept(self) -> None:
        time.sleep(ANSWER_TIME)
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()


@contextlib.contextmanager
def mailing_service() -> t.Generator[tuple[MailingService, str]]:
    """Serve the service. Return its URL."""
    service = MailingService()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_API, service)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield service, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
