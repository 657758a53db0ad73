"""Search 1,000,000 jobs and change them in bulk: `python -m benchmarks.search [JOBS]`.

One queue of failed jobs on its own Valkey, and a service on it. A search goes on from cursor to cursor until it
has found the one job that matches. The longest script is that of Valkey's slow log. PING is what others wait
meanwhile: 99 of 100 get their answer within that time.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import uvloop

from nextmq_handler.rules.search.filters import parse_filter
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import new_project
from nextmq_server.redis.primary import parse_info
from nextmq_server.service import Service

JOBS = 1_000_000
QUEUE = "emails"
EPOCH = 1_700_000_000_000
BATCH = 1000
SLOW = 500
"""From how many µs on a script is in the slow log."""
PING_EVERY = 0.002
"""How often, in s, others ask while a search runs."""

# KEYS: what the keys of the queue's jobs begin with. ARGV: the first number, how many jobs, a time in ms.
_FILL = """
for i = ARGV[1], ARGV[1] + ARGV[2] - 1 do
  local data = '{"user":{"id":' .. i .. ',"email":"user' .. i .. '@example.com"},"template":"welcome","lang":"en",'
  data = data .. '"text":"' .. string.rep('lorem ipsum ', 8) .. '"}'
  redis.call('HSET', KEYS[1] .. i, 'name', 'welcome', 'data', data, 'opts', '{"attempts":3}', 'delay', 0,
    'timestamp', ARGV[3] + i, 'priority', 0, 'atm', 3, 'ats', 3, 'failedReason', 'HTTPError: 502 Bad Gateway',
    'finishedOn', ARGV[3] + i)
  redis.call('ZADD', KEYS[1] .. 'failed', ARGV[3] + i, i)
end
"""


class Found(t.NamedTuple):
    """How long a search took, the CPU of Valkey and of the server, in s; the calls, and the jobs looked at."""

    seconds: float
    valkey: float
    server: float
    calls: int
    looked: int


async def pings(service: Service, times: list[float]) -> None:
    """Note how long each PING takes, in s, until this is cancelled."""
    redis = service.jobs.scripts(QUEUE).connection
    while True:
        began = time.perf_counter()
        await redis.execute("PING")
        times.append(time.perf_counter() - began)
        await asyncio.sleep(PING_EVERY)


async def find(service: Service, q: str) -> Found:
    """Search until the first job is found, or to the end."""
    filter, spot, calls, looked = parse_filter(q), None, 0, 0
    cpu, own, began = await valkey_cpu(service), time.process_time(), time.perf_counter()
    while True:
        result = await service.search.search(filter, QUEUE, spot, limit=1, now=EPOCH + 10**9)
        calls, looked, spot = calls + 1, looked + result.looked, result.spot
        if result.jobs or spot is None:
            seconds, own = time.perf_counter() - began, time.process_time() - own
            return Found(seconds, await valkey_cpu(service) - cpu, own, calls, looked)


async def valkey_cpu(service: Service) -> float:
    """Return the CPU that Valkey has used, in s."""
    text: str = await service.jobs.scripts(QUEUE).connection.execute("INFO", "cpu")
    info = parse_info(text)
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def longest_script(service: Service) -> float:
    """Return how long the longest script took since the last call, in ms."""
    redis = service.jobs.scripts(QUEUE).connection
    entries: list[list[t.Any]] = await redis.execute("SLOWLOG", "GET", 10_000)
    await redis.execute("SLOWLOG", "RESET")
    return max((entry[2] for entry in entries if entry[3][0] == "EVALSHA"), default=0) / 1000


async def measure(service: Service, jobs: int) -> None:
    """Print the table."""
    redis = service.jobs.scripts(QUEUE).connection
    prefix = service.jobs.scripts(QUEUE).keys[""]
    for first in range(0, jobs, BATCH):
        await redis.execute("EVAL", _FILL, 1, prefix, first, min(BATCH, jobs - first), EPOCH)
    await redis.execute("CONFIG", "SET", "slowlog-log-slower-than", SLOW, "slowlog-max-len", 10_000)
    await redis.execute("SLOWLOG", "RESET")
    heads = "seconds  CPU of Valkey  of the server   calls  looked at   longest script, ms   PING p99, ms"
    print(f"{jobs:,} failed jobs".ljust(28), heads)
    searches = {
        "by id": f"id:{jobs // 2}",
        "by data, in the middle": f"data.user.id:{jobs // 2}",
        "by data, the oldest": "data.user.email:user0@example.com",
        "by a word that no job has": "nowhere",
        "by a time": f"since:{EPOCH + jobs - 1000} user{jobs - 500}@",
    }
    for name, q in searches.items():
        waits: list[float] = []
        others = asyncio.create_task(pings(service, waits))
        found = await find(service, q)
        others.cancel()
        ping = 1000 * statistics.quantiles(waits, n=100)[-1] if len(waits) > 1 else 0.0
        longest = await longest_script(service)
        times = f"{found.seconds:9.3f}{found.valkey:15.3f}{found.server:15.3f}"
        print(f"{name:28}{times}{found.calls:8}{found.looked:11,}{longest:21.1f}{ping:15.1f}", flush=True)
    for name, which in {"each job": "state:failed error:502", "whole state": "state:failed"}.items():
        await cancel(service, name, which)


async def cancel(service: Service, name: str, which: str) -> None:
    """Retry the failed jobs for 2 s, cancel that, and print how fast it was and when it stopped."""
    fields = {"action": "retry", "queue": QUEUE, "filter": which, "options": {"resetAttempts": False}}
    began = time.perf_counter()
    operation = await service.bulk.create(fields)
    await asyncio.sleep(2)
    asked = time.perf_counter()
    ended = (await service.bulk.operations.cancel(operation.id)).view()
    stopped = time.perf_counter()
    await asyncio.sleep(1)
    later = (await service.bulk.operations.get(operation.id)).view()
    assert later["done"] == ended["done"], "the operation went on"
    longest = await longest_script(service)
    rate = ended["done"] / (asked - began)
    print(
        f"retry, {name}: {rate:,.0f} jobs/s, stopped {1000 * (stopped - asked):.0f} ms after the call, "
        f"longest script {longest:.1f} ms",
        flush=True,
    )


async def main(jobs: int) -> None:
    """Run the service on its own Valkey."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder), fsync="no")
        valkey.start()
        service = Service(new_project("search"), valkey.url)
        try:
            await service.start()
            await measure(service, jobs)
        finally:
            await service.stop(grace=0)
            valkey.stop()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else JOBS))
