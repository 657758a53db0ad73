"""The world around the app, on this machine: a bank that is asked for rates, and takes its time."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RATES = {"EUR": "1", "GBP": "1.15", "USD": "0.9"}

ANSWER_TIME = 1.2


class Bank(BaseHTTPRequestHandler):
    """Tells what a unit of a currency is worth in euros."""

    def do_GET(self) -> None:
        """GET /rates/{currency}."""
        time.sleep(ANSWER_TIME)
        body = json.dumps({"euros": RATES[self.path.rpartition("/")[2]]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the demo's output is for deliveries and pages."""


@contextlib.contextmanager
def bank_server() -> t.Generator[int]:
    """Run the bank on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Bank) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
