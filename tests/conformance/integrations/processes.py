"""The integrations behind real servers: uvicorn, hypercorn, gunicorn and the real Lambda runtime client."""

from __future__ import annotations

import contextlib
import socket
import sys
import typing as t
from collections.abc import Sequence
from http.client import HTTPResponse
from pathlib import Path

from nextmq_server.testing.processes import ChildProcess, ProcessFailed

from ..runtime_api import RuntimeAPI
from .aws_lambda import function_url, read_single
from .integration import Answer, HeaderList

ROOT = Path(__file__).parents[3]
SERVED = "tests.conformance.served"
TIMEOUT = 60.0


class ServerIntegration:
    """Sends raw bytes over a connection of their own to a server in another process."""

    def __init__(self, child: ChildProcess, port: int) -> None:
        self.child = child
        self.port = port

    def send(self, method: str, target: str, headers: HeaderList, body: bytes, *, stalls: bool = False) -> Answer:
        with self.connect() as connection:
            is_chunked = bool(body) and not any(name.lower() == b"content-length" for name, _ in headers)
            content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
            if stalls:
                content = content[: len(content) // 2]
            more = [(b"transfer-encoding", b"chunked")] if is_chunked else []
            with contextlib.suppress(ConnectionError):  # a refusal may come before all was sent
                connection.sendall(head_of(method, target, [*headers, *more]) + content)
            return read_answer(connection, method)

    def connect(self) -> socket.socket:
        """Open a new connection."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)
        if sys.platform == "linux":  # servers that send head and body apart would wait 40 ms in between
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return connection

    def stop(self) -> None:
        self.child.stop()


class RuntimeIntegration:
    """Function URL events through the Runtime API to the real runtime client in another process."""

    def __init__(self, target: str, env: t.Mapping[str, str] | None = None) -> None:
        self.api = RuntimeAPI()
        self.child = start_function(target, self.api, env)

    def send(self, method: str, target: str, headers: HeaderList, body: bytes, *, stalls: bool = False) -> Answer:
        assert not stalls
        return read_single(self.api.invoke(function_url(method, target, headers, body)))

    def stop(self) -> None:
        self.child.kill()  # it ends on no signal but this while it waits for an event
        self.api.stop()


def head_of(method: str, target: str, headers: HeaderList) -> bytes:
    """Return a request's head in bytes."""
    lines = [f"{method} {target} HTTP/1.1".encode(), b"host: app.example", b"connection: close"]
    lines += [b"%s: %s" % header for header in headers]
    return b"\r\n".join([*lines, b"", b""])


def read_answer(connection: socket.socket, method: str = "POST") -> Answer:
    """Read the answer that a server sends."""
    with HTTPResponse(connection, method=method) as response:
        response.begin()
        content = response.read()
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.getheaders()
        ]
        return Answer(response.status, headers, content)


def start_server(
    arguments: Sequence[str], announcement: str, env: t.Mapping[str, str] | None = None
) -> ServerIntegration:
    """Run `python -m …`, and wait until it tells the port that it listens on: after `announcement`."""
    child = ChildProcess([sys.executable, "-m", *arguments], env=environment(env))
    try:
        line = child.wait_for_line(announcement)
    except ProcessFailed:
        child.kill()
        raise
    port = line.partition(announcement)[2].partition(":")[2].partition(" ")[0]
    return ServerIntegration(child, int(port))


def start_function(target: str, api: RuntimeAPI, env: t.Mapping[str, str] | None = None) -> ChildProcess:
    """Start the real runtime client, which loads the function `target`."""
    variables = {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "LAMBDA_TASK_ROOT": str(ROOT),
    }
    return ChildProcess(
        [sys.executable, "-m", "awslambdaric", target], env=environment({**variables, **(env or {})})
    )


def environment(more: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables of a child process that imports from this repository."""
    return {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "PYTHONUNBUFFERED": "1", **(more or {})}


def uvicorn(app: str = "asgi") -> ServerIntegration:
    return start_server(
        ["uvicorn", "--factory", f"{SERVED}:{app}", "--port", "0", "--no-access-log", "--http", "h11"],
        "running on http://",
    )


def hypercorn() -> ServerIntegration:
    return start_server(["hypercorn", f"asgi:{SERVED}:asgi()", "--bind", "127.0.0.1:0"], "Running on http://")


def gunicorn(app: str = "flask()", *options: str) -> ServerIntegration:
    return start_server(
        ["gunicorn", f"{SERVED}:{app}", "--bind", "127.0.0.1:0", "--log-level", "info", *options],
        "Listening at: http://",
    )


def runtime() -> RuntimeIntegration:
    return RuntimeIntegration(f"{SERVED}.function")
