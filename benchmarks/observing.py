"""Measure what being observed costs: `python -m benchmarks.observing [BEFORE]`. Linux only, as the dispatch one.

The server's engine and dispatcher with signed webhooks: quiet (`serve --log-level warning`, metrics counted), and
with everything on: a JSON line and an OpenTelemetry span for each delivery, exported by OTLP to a receiver that
reads and forgets. Ratios are medians of those within a round. BEFORE is a checkout of another commit, whose server
is then the one that the others are compared with.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from redis.asyncio import Redis

from nextmq_server.embedded import EmbeddedValkey

from .dispatch import SERVICE, Contender, Stage, compare
from .receivers import receiver

IN_FLIGHT = 50


class Forgetful(BaseHTTPRequestHandler):
    """Takes exports."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


async def main(before: str | None) -> None:
    exports = ThreadingHTTPServer(("127.0.0.1", 0), Forgetful)
    threading.Thread(target=exports.serve_forever, daemon=True).start()
    endpoint = f"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{exports.server_address[1]}"
    observed = (*SERVICE.command[:-1], "observed")
    contenders = [
        Contender("quiet", SERVICE.command, SERVICE.most),
        Contender("log and traces", ("env", endpoint, *observed), SERVICE.most),
        Contender("log", observed, SERVICE.most),
    ]
    if before is not None:
        contenders.insert(0, Contender("before", ("env", "-C", before, *SERVICE.command), SERVICE.most))
    with tempfile.TemporaryDirectory() as folder, receiver("benchmarks.dispatch_receiver") as url:
        valkey = EmbeddedValkey(Path(folder))
        valkey.start()
        redis: t.Any = Redis(unix_socket_path=str(valkey.socket_path), decode_responses=True)
        await redis.config_set("auto-aof-rewrite-percentage", 0)
        try:
            stage = Stage(valkey.socket_path, redis, f"{url}/queues/bench")
            await compare(stage, f"webhooks, {IN_FLIGHT} in flight", contenders, IN_FLIGHT)
        finally:
            await redis.aclose()
            valkey.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
