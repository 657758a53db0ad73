"""Measure what being observed costs: `python -m benchmarks.observing [BEFORE]`. Linux only, as the dispatch one.

The server's engine and dispatcher with signed webhooks: quiet (`serve --log-level warning`, metrics counted), and
with everything on: a JSON line and an OpenTelemetry span for each delivery, exported by OTLP to a receiver that
reads and forgets. All run by turns in PAIRS rounds; a ratio is the median of those within a round, with its 95 %
interval. BEFORE is a checkout of another commit, whose server is then the one that the others are compared with.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from redis.asyncio import Redis

from nextmq_server.embedded import EmbeddedValkey

from .dispatch import SERVICE, Contender, Score, Stage
from .pairs import ratio
from .receivers import receiver

IN_FLIGHT = 50
PAIRS = 11


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
            rounds: list[list[Score]] = []
            for number in range(PAIRS):
                scores = {one: await stage.score(one, IN_FLIGHT) for one in contenders[:: 1 if number % 2 else -1]}
                rounds.append([scores[one] for one in contenders])
            show(contenders, rounds)
        finally:
            await redis.aclose()
            valkey.stop()


def show(contenders: t.Sequence[Contender], rounds: t.Sequence[t.Sequence[Score]]) -> None:
    title = f"webhooks, {IN_FLIGHT} in flight"
    print(f"{title:<24}{'jobs/s':>8}  {'ratio':<24}{'CPU s/10,000 jobs':>18}  ratio")
    for number, contender in enumerate(contenders):
        jobs = statistics.median(scores[number].jobs for scores in rounds)
        cpu = statistics.median(scores[number].cpu for scores in rounds) * 10_000
        faster = ratio((scores[number].jobs, scores[0].jobs) for scores in rounds)
        dearer = ratio((scores[number].cpu, scores[0].cpu) for scores in rounds)
        print(f"{contender.name:<24}{jobs:>8.0f}  {faster!s:<24}{cpu:>18.2f}  {dearer}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
