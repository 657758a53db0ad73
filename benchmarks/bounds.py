"""Measure what hostile callers and apps make the server hold: `python -m benchmarks.bounds [--short]`. Linux only.

A real `nextmq serve` on a real Valkey. For each attack: the memory of the server before, the most meanwhile, and
after; how long a health check took at most. Exits 1 if the memory grows by more than GROWTH, is not given back
within GIVEN_BACK, or a health check takes longer than DELAY. `--short` runs the attacks that need no API key, made
smaller.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import httpx

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects_file import add_project
from nextmq_server.testing.processes import ChildProcess

GROWTH = 20.0
"""By how many MiB an attack may make the server grow."""

GIVEN_BACK = 10.0
"""Within how many s after the attack the server has given the memory back."""

DELAY = 50.0
"""How many ms a health check may take during a request that is hard to check."""

HOLD = 1.0
"""How long, in s, connections are held once all is sent."""

MIB = 1024 * 1024
GET = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"


class Stage:
    """The server under attack, and a client with the key of its project."""

    def __init__(self, server: int, port: int, client: httpx.AsyncClient, secret_id: str, scale: int) -> None:
        self._server = server
        self._port = port
        self._secret_id = secret_id
        self.client = client
        self.scale = scale

    def memory(self) -> float:
        """Return the memory of the server, in MiB."""
        pages = int(Path(f"/proc/{self._server}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB

    async def flood(self, *parts: bytes, times: int = 1, connections: int = 1, hold: float = HOLD) -> None:
        """Send the parts so many times on so many connections, read nothing, hold them open."""

        async def one() -> None:
            loop = asyncio.get_running_loop()
            with socket.socket() as connection, contextlib.suppress(OSError):
                connection.setblocking(False)
                await loop.sock_connect(connection, ("127.0.0.1", self._port))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(10):
                        for _ in range(times):
                            for part in parts:
                                await loop.sock_sendall(connection, part)
                await asyncio.sleep(hold)

        await asyncio.gather(*(one() for _ in range(connections)))

    async def trickle(self, begin: bytes, seconds: float) -> None:
        """Send a head at a byte each second."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(begin)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(seconds):
                while not reader.at_eof():
                    writer.write(b"x")
                    await asyncio.sleep(1)
        writer.transport.abort()

    def registration(self, url: str, **members: t.Any) -> dict[str, t.Any]:
        """Return the body that registers a worker."""
        return {"url": url, "options": {}, "secretIds": [self._secret_id], "fingerprint": "bench", **members}


async def pipelined(stage: Stage) -> None:
    """4 MiB of requests on each of 4 connections, five times."""
    burst = GET * (4 * MIB // len(GET))
    for _ in range(5 // stage.scale or 1):
        await stage.flood(burst, connections=4)


async def heads(stage: Stage) -> None:
    """Many headers, one header and a URL, each far too long; heads at a byte a second."""
    size = 64 // stage.scale
    await asyncio.gather(
        stage.flood(b"GET / HTTP/1.1\r\n", *[b"x: y\r\n" * (MIB // 6)] * size),
        stage.flood(b"GET / HTTP/1.1\r\nx: ", *[b"y" * MIB] * (3 * size)),
        stage.flood(b"GET /", *[b"y" * MIB] * size),
        *(stage.trickle(b"GET / HTTP/1.1\r\nx: ", 15 / stage.scale) for _ in range(10)),
    )


async def silent(stage: Stage) -> None:
    """300 silent connections."""
    await stage.flood(connections=300, hold=15 / stage.scale)


async def bodies(stage: Stage) -> None:
    """Bodies without a key, and without an end."""
    await stage.flood(
        b"POST /v1/queues/a/jobs HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n",
        *[b"z" * MIB] * (64 // stage.scale),
        connections=4,
    )


async def answers(stage: Stage) -> None:
    """Deliveries to an app that answers with endless heads, or with endless chunk extensions."""

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes, more: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(first)
            while True:
                writer.write(more)
                await writer.drain()

    informational = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 1000
    chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    for queue, (first, more) in {"hints": (b"", informational), "chunks": (chunks, b"1;" + b"x" * 65_536)}.items():
        async with await asyncio.start_server(lambda r, w: endless(r, w, first, more), "127.0.0.1", 0) as app:  # noqa: B023
            url = f"http://127.0.0.1:{app.sockets[0].getsockname()[1]}/queues/{queue}"
            worker = stage.registration(url, options={"concurrency": 8, "timeout": 3000})
            (await stage.client.put(f"/v1/queues/{queue}/worker", json=worker)).raise_for_status()
            await stage.client.post(f"/v1/queues/{queue}/jobs/bulk", json={"jobs": [{"name": "x"}] * 8})
            await asyncio.sleep(4)
            app.close()


async def lists(stage: Stage) -> None:
    """Ask four times for a page of 200 jobs of 1 MiB, and read nothing."""
    for _ in range(200):
        job = {"name": "x", "data": "z" * (MIB - 100)}
        (await stage.client.post("/v1/queues/large/jobs", json=job)).raise_for_status()
    key = stage.client.headers["authorization"].encode()
    request = b"GET /v1/queues/large/jobs?states=waiting&end=999 HTTP/1.1\r\nhost: a\r\nauthorization: %s\r\n\r\n"
    await stage.flood(request % key, connections=4, hold=5)


async def schemas(stage: Stage) -> None:
    """10 registrations with 2 MiB of schemas each. They may be refused."""
    large = {"x": {"type": "object", "properties": {f"member{n}": {"type": "string"} for n in range(50_000)}}}
    for number in range(10):
        body = stage.registration(f"http://127.0.0.1:9/queues/s{number}", schemas=large)
        await stage.client.put(f"/v1/queues/s{number}/worker", json=body)


async def schedules(stage: Stage) -> None:
    """Register 200 schedules whose next time takes long to find: it is refused, and the first of them named."""
    pattern = "0 0-23 1-14 * 6#3,0#3,4#3"
    rare = [{"id": f"s{n}", "name": "x", "pattern": pattern} for n in range(200)]
    body = stage.registration("http://127.0.0.1:9/queues/cron", schedules=rare)
    answer = await stage.client.put("/v1/queues/cron/worker", json=body)
    if answer.status_code != 422 or "pattern" not in answer.text:
        raise RuntimeError(f"the schedules were not judged by their patterns: {answer.status_code} {answer.text}")


class Attack(t.NamedTuple):
    """An attack by its name; whether its short form is run; whether health checks must stay fast."""

    name: str
    run: t.Callable[[Stage], t.Awaitable[None]]
    is_short: bool = False
    is_timed: bool = False


ATTACKS = (
    Attack("pipelined requests", pipelined, is_short=True),
    Attack("long and slow heads", heads, is_short=True),
    Attack("silent connections", silent, is_short=True),
    Attack("bodies without a key", bodies, is_short=True),
    Attack("endless answers of apps", answers),
    Attack("lists that nobody reads", lists),
    Attack("large schemas", schemas),
    Attack("slow schedules", schedules, is_timed=True),
)


async def watch(stage: Stage, ended: asyncio.Event, peaks: list[float], delays: list[float]) -> None:
    """Note the server's memory, and how long (ms) health checks take, until the attack has ended."""
    while not ended.is_set():
        started = time.perf_counter()
        with contextlib.suppress(httpx.HTTPError):
            await stage.client.get("/healthz")
        delays.append((time.perf_counter() - started) * 1000)
        peaks.append(stage.memory())
        await asyncio.sleep(0.02)


async def measure(stage: Stage, attack: Attack) -> list[str]:
    """Run the attack, print its row; return which bounds it passed."""
    before = stage.memory()
    peaks, delays = [before], [0.0]
    has_ended = asyncio.Event()
    watching = asyncio.create_task(watch(stage, has_ended, peaks, delays))
    await attack.run(stage)
    has_ended.set()
    await watching
    ended = time.monotonic()
    while (after := stage.memory()) > before + GROWTH and time.monotonic() < ended + GIVEN_BACK:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    row = f"{before:>10.1f}{max(peaks):>10.1f}{after:>10.1f}{max(delays):>16.1f}"
    print(f"{attack.name:<26}{row}", flush=True)
    passed = {
        f"grew by {max(peaks) - before:.1f} MiB": max(peaks) > before + GROWTH,
        f"kept {after - before:.1f} MiB": after > before + GROWTH,
        f"blocked for {max(delays):.0f} ms": attack.is_timed and max(delays) > DELAY,
    }
    return [f"{attack.name}: {what}" for what, is_so in passed.items() if is_so]


async def main(*, is_short: bool) -> int:
    """Run the attacks; return the exit status."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        valkey = EmbeddedValkey(Path(folder) / "valkey", fsync="no")
        valkey.start()
        stack.callback(valkey.stop)
        project = add_project(Path(folder) / "projects.json", "bench", prefix="bench")
        env = {"NEXTMQ_REDIS_URL": valkey.url, "NEXTMQ_PROJECTS_FILE": f"{folder}/projects.json"}
        command = [sys.executable, "-m", "nextmq_server", "serve", "--port", "0", "--allow-egress", "127.0.0.0/8"]
        server = ChildProcess(command, env=env)
        stack.callback(server.stop)
        url = server.wait_for_line("NextMQ server on ").split()[3].rstrip(".")
        headers = {"authorization": f"Bearer {project.api_key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
            port = int(url.rpartition(":")[2])
            stage = Stage(server.pid, port, client, project.secrets[0].id, 8 if is_short else 1)
            for _ in range(200):  # code warm
                await client.get("/healthz")
            await client.get("/v1/project")
            print(f"{'attack':<26}{'MiB before':>10}{'most':>10}{'after':>10}{'slowest check':>16}")
            attacks = [attack for attack in ATTACKS if attack.is_short or not is_short]
            passed = [what for attack in attacks for what in await measure(stage, attack)]
    print(*passed, sep="\n", end="\n" if passed else "")
    return bool(passed)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(is_short="--short" in sys.argv[1:])))
