"""Measure what adding a job costs: `python -m benchmarks.enqueue`.

Adds per second, one by one, 50 at once, and 1,000 in a bulk, one bulk after the other and four at once: through
the SDK and `nextmq dev`, beside Node's and Python's bullmq straight to the same Valkey, in one run. Then the
client's CPU of a single `Queue.add` beside a bare `httpx` POST of the same body to the same server.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import bullmq
import httpx
from redis.asyncio import Redis

from nextmq_handler import AsyncQueue, Queue
from nextmq_handler.settings import parse_connection_string
from nextmq_server.testing.processes import free_port, start_dev_server
from tests.interop.node import NODE, install_packages

SECONDS = 3.0
TOGETHER, BULK, BULKS = 50, 1000, 4
DATA = {"to": "a@example.com", "text": "x" * 200}

stock_bullmq: t.Any = bullmq

Rates = list[float]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        server, url = start_dev_server(data_dir, port=free_port())
        socket = data_dir / "valkey" / "valkey.sock"
        try:
            rates = [
                ("Node bullmq to Valkey", node(socket)),
                ("Python bullmq to Valkey", asyncio.run(python(socket))),
                ("nextmq SDK and server", asyncio.run(nextmq(url))),
            ]
            cpu = [
                ("httpx.Client.post", [bare_cpu(url) for _ in range(3)]),
                ("Queue.add", [sdk_cpu(url) for _ in range(3)]),
            ]
        finally:
            server.stop()
    titles = ("one by one", "50 at once", "bulks of 1,000", "4 bulks at once")
    print(f"{'adds/s (ratio to Node)':<26}{''.join(f'{title:>18}' for title in titles)}")
    for name, row in rates:
        shown = (f"{rate:>10.0f} ({rate / base:.2f})" for rate, base in zip(row, rates[0][1], strict=True))
        print(f"{name:<26}{''.join(f'{cell:>18}' for cell in shown)}")
    print("\nclient CPU of one add, µs (ratio)")
    for name, samples in cpu:
        print(f"{name:<26}{min(samples):>10.0f} ({min(samples) / min(cpu[0][1]):.2f})")


def node(socket: Path) -> Rates:
    install_packages()
    script = Path(__file__).with_name("enqueue_node.js")
    command = [str(NODE), str(script), str(socket), str(SECONDS)]
    rates: Rates = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return rates


async def python(socket: Path) -> Rates:
    connection: t.Any = Redis(unix_socket_path=str(socket), decode_responses=True)
    queue = stock_bullmq.Queue("python", {"connection": connection})
    jobs = [{"name": "job", "data": DATA} for _ in range(BULK)]
    rates = await measured(lambda: queue.add("job", DATA), lambda: queue.addBulk(jobs))
    await connection.aclose()
    return rates


async def nextmq(url: str) -> Rates:
    queue: AsyncQueue = AsyncQueue("nextmq", url=url)
    return await measured(
        lambda: queue.add("job", DATA), lambda: queue.add_bulk([{"name": "job", "data": DATA}] * BULK)
    )


async def measured(
    add: t.Callable[[], t.Awaitable[object]], add_bulk: t.Callable[[], t.Awaitable[object]]
) -> Rates:
    await rate(add, 1, seconds=0.5)
    return [
        await rate(add, 1),
        await rate(lambda: at_once(add, TOGETHER), TOGETHER),
        await rate(add_bulk, BULK),
        await rate(lambda: at_once(add_bulk, BULKS), BULK * BULKS),
    ]


async def at_once(work: t.Callable[[], t.Awaitable[object]], times: int) -> None:
    await asyncio.gather(*(work() for _ in range(times)))


async def rate(work: t.Callable[[], t.Awaitable[object]], size: int, *, seconds: float = SECONDS) -> float:
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        await work()
        count += size
    return count / (time.perf_counter() - started)


def cpu_of(work: t.Callable[[], object], times: int = 500) -> float:
    """Return the CPU time of one call in this process, in µs."""
    for _ in range(50):
        work()
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times * 1e6


def bare_cpu(url: str) -> float:
    connection = parse_connection_string(url)
    target = f"{connection.base_url}/v1/queues/bare/jobs"
    headers = {"authorization": f"Bearer {connection.api_key}"}
    with httpx.Client() as client:
        return cpu_of(lambda: client.post(target, json={"name": "job", "data": DATA, "opts": {}}, headers=headers))


def sdk_cpu(url: str) -> float:
    queue: Queue = Queue("sdk", url=url)
    return cpu_of(lambda: queue.add("job", DATA))


if __name__ == "__main__":
    main()
