"""The world around the app, on this machine: a mail server that keeps what it gets, a CRM that is flaky."""

from __future__ import annotations

import contextlib
import json
import threading
import typing as t
from collections import Counter
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler

from nextmq_server.testing.processes import free_port


class Mailbox(MessageHandler):
    """Keeps every mail that arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    def handle_message(self, message: Message) -> None:
        """Take a mail."""
        self.messages.append(message)


@contextlib.contextmanager
def mail_server() -> t.Generator[tuple[Mailbox, int]]:
    """Run a real SMTP server on a free port."""
    mailbox = Mailbox()
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()


class FlakyCRM(BaseHTTPRequestHandler):
    """Fails twice for each contact; throttles the first call for contacts whose address starts with `busy`."""

    calls: t.ClassVar[Counter[str]] = Counter()

    def do_PUT(self) -> None:
        """PUT /contacts/{email}."""
        self.calls[self.path] += 1
        call = self.calls[self.path]
        if self.path.startswith("/contacts/busy"):
            self._answer(429 if call == 1 else 200, {"retry-after": "1"})
        else:
            self._answer(500 if call <= 2 else 200, {})

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the demo's output is for deliveries."""

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        body = json.dumps({"stored": status == 200}).encode()
        self.send_response(status)
        content = {"content-type": "application/json", "content-length": str(len(body))}
        for name, value in {**headers, **content}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def crm_server() -> t.Generator[int]:
    """Run the CRM on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), FlakyCRM) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
