"""Measure how late delayed jobs start: `python -m benchmarks.delay`.

Jobs delayed by 200 ms, through `nextmq dev` and a signed webhook to an app under uvicorn, beside bullmq's own
Python Worker on the same Valkey, in one run. Lateness is measured where the processor starts, against the time the
job was added plus its delay, on one machine's clock.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import bullmq
from redis.asyncio import Redis

from nextmq_handler import AsyncQueue, AsyncQueueJob
from nextmq_server.testing.processes import ChildProcess, free_port, start_dev_server

JOBS, DELAY, GAP = 50, 200, 0.02

stock_bullmq: t.Any = bullmq

Lateness = list[float]


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data_dir, port = Path(folder), free_port()
        server, url = start_dev_server(data_dir)
        env = {"NEXTMQ_URL": url, "NEXTMQ_APP_URL": f"http://127.0.0.1:{port}"}
        app = ChildProcess(
            [sys.executable, "-m", "uvicorn", "benchmarks.delay_app:app", "--port", str(port)], env=env
        )
        try:
            app.wait_for_line("Uvicorn running")
            await nextmq(url, jobs=5)  # connections open, code warm
            rows = [
                ("nextmq, one by one", await nextmq(url, jobs=JOBS)),
                ("nextmq, all at once", await nextmq(url, jobs=JOBS, gap=0)),
                ("bullmq Worker, one by one", await stock(data_dir / "valkey" / "valkey.sock")),
            ]
        finally:
            app.stop()
            server.stop()
    print(f"{JOBS} jobs delayed {DELAY} ms; lateness of the start in ms")
    print(f"{'':<28}{'p50':>8}{'p99':>8}{'max':>8}")
    for name, lateness in rows:
        p99 = statistics.quantiles(lateness, n=100, method="inclusive")[98]
        print(f"{name:<28}{statistics.median(lateness):>8.1f}{p99:>8.1f}{max(lateness):>8.1f}")


async def nextmq(url: str, *, jobs: int, gap: float = GAP) -> Lateness:
    """Run jobs through the server and the app; the processor returns when it started."""
    queue = AsyncQueue("delay", url=url)
    adds: list[asyncio.Task[AsyncQueueJob]] = []
    for _ in range(jobs):
        adds.append(asyncio.create_task(queue.add("note", delay=DELAY)))
        await asyncio.sleep(gap)
    return [await lateness_of(queue, (await add).id) for add in adds]


async def lateness_of(queue: AsyncQueue, job_id: str) -> float:
    while True:
        job = await queue.get_job(job_id)
        assert job is not None
        if job.state == "completed":
            started_at: float = t.cast(float, job.return_value)
            return started_at - job.timestamp - DELAY
        assert job.state != "failed", job.failed_reason
        await asyncio.sleep(0.05)


async def stock(socket: Path) -> Lateness:
    """Run jobs in bullmq's Worker, in this process, with the socket timeout that it needs to work at all."""
    connection: t.Any = Redis(unix_socket_path=str(socket), decode_responses=True, socket_timeout=None)
    lateness: Lateness = []

    async def note(job: t.Any, token: str) -> None:
        lateness.append(time.time() * 1000 - job.timestamp - DELAY)

    queue = stock_bullmq.Queue("stock", {"connection": connection})
    worker = stock_bullmq.Worker("stock", note, {"connection": connection, "concurrency": JOBS})
    for _ in range(JOBS):
        await queue.add("note", {}, {"delay": DELAY})
        await asyncio.sleep(GAP)
    while len(lateness) < JOBS:  # noqa: ASYNC110 - a measurement's end, not a synchronisation
        await asyncio.sleep(0.05)
    await worker.close(force=True)
    await connection.aclose()
    return lateness


if __name__ == "__main__":
    asyncio.run(main())
