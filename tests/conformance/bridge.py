"""A function URL, small: each HTTP request becomes an event for a function, and what it returns the answer."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .integrations.aws_lambda import function_url, read_single
from .runtime_api import RuntimeAPI


class FunctionURL:
    """Listens on a free port of 127.0.0.1 for the function behind `api`."""

    def __init__(self, api: RuntimeAPI) -> None:
        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]
                answer = read_single(api.invoke(function_url(self.command, self.path, headers, body)))
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name.decode(), value.decode())
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = _answer

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
