"""Measure what a command to Redis costs its client: `python -m benchmarks.commands`. Linux and macOS only.

The server's multiplexed connection beside the libraries that could take its place, over a Unix socket. Each makes
the same calls in one run, in rounds: a script of four commands with 600 bytes of arguments, like BullMQ's, called
by 100 callers at once on one asyncio loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
import typing as t
from pathlib import Path

import coredis
import glide
import uvloop
from redis.asyncio import Redis

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection

CALLERS, CALLS, ROUNDS = 100, 5000, 5

SCRIPT = """
redis.call('HSET', KEYS[1], 'data', ARGV[1])
redis.call('LPUSH', KEYS[2], ARGV[2])
redis.call('RPOP', KEYS[2])
return redis.call('HINCRBY', KEYS[1], 'count', 1)
"""
KEYS = ("bench:hash", "bench:list")
ARGUMENTS = ("x" * 590, "0123456789")

Call = t.Callable[[], t.Awaitable[t.Any]]


@contextlib.asynccontextmanager
async def nextmq(socket: str, sha: str) -> t.AsyncGenerator[Call]:
    connection = RedisConnection(Address(f"unix://{socket}"), name="bench")
    await connection.connect()
    yield lambda: connection.execute("EVALSHA", sha, 2, *KEYS, *ARGUMENTS)
    await connection.close()


@contextlib.asynccontextmanager
async def valkey_glide(socket: str, sha: str) -> t.AsyncGenerator[Call]:
    address = glide.NodeAddress(unix_socket_path=socket)
    client = await glide.GlideClient.create(glide.GlideClientConfiguration([address], request_timeout=10_000))
    yield lambda: client.custom_command(["EVALSHA", sha, "2", *KEYS, *ARGUMENTS])
    await client.close()


@contextlib.asynccontextmanager
async def redis_py(socket: str, sha: str) -> t.AsyncGenerator[Call]:
    client: t.Any = Redis(unix_socket_path=socket, decode_responses=True, max_connections=CALLERS)
    yield lambda: client.evalsha(sha, 2, *KEYS, *ARGUMENTS)
    await client.aclose()


@contextlib.asynccontextmanager
async def coredis_pool(socket: str, sha: str) -> t.AsyncGenerator[Call]:
    client: t.Any = coredis.Redis(unix_socket_path=socket, decode_responses=True)
    async with client:
        yield lambda: client.evalsha(sha, keys=KEYS, args=ARGUMENTS)


CONTENDERS = {
    "nextmq, on hiredis": nextmq,
    "valkey-glide": valkey_glide,
    "redis-py's pool, hiredis": redis_py,
    "coredis": coredis_pool,
}


async def round_of(call: Call) -> tuple[float, float]:
    """Return the calls per second, and the CPU time of one call in this process, in s."""

    async def caller() -> None:
        for _ in range(CALLS // CALLERS):
            await call()

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return CALLS / (time.perf_counter() - started), (time.process_time() - cpu) / CALLS


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder), fsync="no")
        valkey.start()
        try:
            await compare(str(valkey.socket_path))
        finally:
            valkey.stop()


async def compare(socket: str) -> None:
    """Run every contender in every round; the ratio is the median of the ratios within a round."""
    async with contextlib.AsyncExitStack() as stack:
        redis: t.Any = await stack.enter_async_context(Redis(unix_socket_path=socket, decode_responses=True))
        sha = await redis.script_load(SCRIPT)
        calls = [await stack.enter_async_context(make(socket, sha)) for make in CONTENDERS.values()]
        for call in calls:
            await round_of(call)
        rounds = [[await round_of(call) for call in calls] for _ in range(ROUNDS)]
        counted = int(await redis.hget(KEYS[0], "count"))
        expected = (ROUNDS + 1) * len(calls) * CALLS
        if counted != expected:
            raise SystemExit(f"Valkey has seen {counted:,} calls of {expected:,}: nothing is measured")
    print(f"{'a script, 100 callers':<28}{'calls/s':>10}{'ratio':>8}{'CPU µs/call':>13}")
    for number, name in enumerate(CONTENDERS):
        rate = statistics.median(scores[number][0] for scores in rounds)
        ratio = statistics.median(scores[number][0] / scores[0][0] for scores in rounds)
        cpu = statistics.median(scores[number][1] for scores in rounds) * 1e6
        print(f"{name:<28}{rate:>10,.0f}{ratio:>8.2f}{cpu:>13.1f}")


if __name__ == "__main__":
    uvloop.run(main())
