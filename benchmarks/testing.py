"""Measure what LocalNextMQ costs a test suite: `python -m benchmarks.testing`.

A fresh process that imports it and runs one test, against what the app imports anyway; a test in a warm process;
jobs per second through the signed path. All in CPU time, so that other load on the machine does not count.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
import typing as t

from nextmq_handler import AsyncQueue, Queue, Worker
from nextmq_handler.testing import AsyncLocalNextMQ, LocalNextMQ

ROUNDS = 15
JOBS = 1000
BULKS = 5
TEST_GOAL = 0.150
RATE_GOAL = 1000

APP = """
from nextmq_handler import Queue, Worker
emails = Worker("emails", lambda job: job.data)
queue = Queue("emails")
"""
TEST = """
from nextmq_handler.testing import LocalNextMQ
with LocalNextMQ(workers=[emails]) as mq:
    queue.add("welcome", {"to": "ada"})
    mq.run_until_idle()
    assert mq.job("emails").return_value == {"to": "ada"}
"""
CODES = {"python -c pass": "pass", "an app with Queue and Worker": APP, "… and one test of it": APP + TEST}


def main() -> None:
    costs: dict[str, list[float]] = {name: [] for name in CODES}
    for code in CODES.values():
        _fresh(code)  # fills the cache of compiled modules
    for _ in range(ROUNDS):
        for name, code in CODES.items():
            costs[name].append(_fresh(code))
    bare = statistics.median(costs["python -c pass"])
    print(f"{'a fresh process':32} {'CPU':>8} {'to bare':>8}")
    for name, times in costs.items():
        print(f"{name:32} {statistics.median(times) * 1000:5.0f} ms {statistics.median(times) / bare:7.1f} ×")
    names = [*CODES]
    added = statistics.median(b - a for a, b in zip(costs[names[1]], costs[names[2]], strict=True))
    print(f"\nimport nextmq_handler.testing and one test: {added * 1000:.0f} ms (goal {TEST_GOAL * 1000:.0f} ms)")
    print(f"another test in the same process: {_warm_test() * 1000:.2f} ms\n")
    print(f"{JOBS} jobs run through the signed path")
    for name, processor in {"def": _plain, "async def": _awaited}.items():
        print(f"  LocalNextMQ, {name:18} {JOBS / _run_all(processor):6.0f} jobs/s (goal {RATE_GOAL})")
        print(f"  AsyncLocalNextMQ, {name:13} {JOBS / asyncio.run(_arun_all(processor)):6.0f} jobs/s")


def _fresh(code: str) -> float:
    """Return the CPU time of a fresh process, in s."""
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True)
    after = os.times()
    return (after.children_user + after.children_system) - (before.children_user + before.children_system)


def _warm_test() -> float:
    worker = Worker("emails", _plain)
    times: list[float] = []
    for _ in range(ROUNDS):
        start = time.process_time()
        with LocalNextMQ(workers=[worker]) as mq:
            Queue("emails").add("welcome", {"to": "ada"})
            mq.run_until_idle()
            assert mq.job("emails").return_value == {"to": "ada"}
        times.append(time.process_time() - start)
    return statistics.median(times)


def _run_all(processor: t.Callable[[t.Any], t.Any]) -> float:
    times: list[float] = []
    for _ in range(BULKS):
        with LocalNextMQ(workers=[Worker("emails", processor)]) as mq:
            Queue("emails").add_bulk([{"name": "welcome", "data": {"to": "ada"}} for _ in range(JOBS)])
            start = time.process_time()
            assert mq.run_all() == JOBS
            times.append(time.process_time() - start)
    return statistics.median(times)


async def _arun_all(processor: t.Callable[[t.Any], t.Any]) -> float:
    times: list[float] = []
    for _ in range(BULKS):
        async with AsyncLocalNextMQ(workers=[Worker("emails", processor)]) as mq:
            await AsyncQueue("emails").add_bulk([{"name": "welcome", "data": {"to": "ada"}} for _ in range(JOBS)])
            start = time.process_time()
            assert await mq.run_all() == JOBS
            times.append(time.process_time() - start)
    return statistics.median(times)


def _plain(job: t.Any) -> t.Any:
    return job.data


async def _awaited(job: t.Any) -> t.Any:
    return job.data


if __name__ == "__main__":
    main()
