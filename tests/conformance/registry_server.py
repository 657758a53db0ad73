"""The queue server's side of registrations, as far as its failures go: answers from a script, then 200."""

from __future__ import annotations

import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Reply(t.NamedTuple):
    """What is answered; a status of 0 is a connection closed without an answer."""

    status: int
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


FAILURES = {
    "unauthorized": Reply(401, b'{"error":"unauthorized","message":"the API key is not known"}'),
    "forbidden": Reply(403, b'{"error":"forbidden"}'),
    "conflict": Reply(409, b'{"error":"worker_conflict","details":{"fields":["url"]}}'),
    "a fault": Reply(500, b'{"error":"internal"}'),
    "no JSON": Reply(200, b"<html>a login page</html>"),
    "a gateway's page": Reply(502, b"<html>bad gateway</html>"),
    "a redirect": Reply(302, b"", (("location", "http://127.0.0.1:1/elsewhere"),)),
    "nothing": Reply(0),
}


class RegistryServer:
    """Listens on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.script: list[Reply] = []
        self.asked: list[str] = []
        """The path of each request."""
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self._answer()

            def do_GET(self) -> None:
                self._answer()

            def do_DELETE(self) -> None:
                self._answer()

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                registry.asked.append(self.path)
                reply = registry.script.pop(0) if registry.script else Reply(200)
                if reply.status == 0:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
