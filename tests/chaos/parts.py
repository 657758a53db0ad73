"""The parts of a run: a Valkey, two servers, a receiver, the links between them, and their faults."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
import typing as t
from pathlib import Path

import httpx
import redis
from anyio.from_thread import BlockingPortal, start_blocking_portal

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects_file import add_project

from .history import DELIVERY_LINK, RECEIVER, REDIS_LINK, SERVERS, VALKEY, Fault
from .keeper import Keeper
from .shim import Connecting, Shim

PROJECT = "chaos"
_START_TIME = 120.0
_LINKS = {VALKEY: REDIS_LINK, RECEIVER: DELIVERY_LINK}


class Strike(t.NamedTuple):
    """A fault that happened: when it began and ended, in ms since the epoch."""

    fault: Fault
    began_at: int
    ended_at: int


class Parts:
    """Runs all parts in `folder` within its context. Enter the context in the main thread, as Valkey needs it."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self._folder = folder
        self._project = add_project(folder / "projects.json", PROJECT, prefix=PROJECT)
        self._ports = contextlib.ExitStack()
        self._server_ports = {name: reserve_port(self._ports) for name in SERVERS}
        self._redis_port, self._delivery_port = reserve_port(self._ports), reserve_port(self._ports)
        self._receiver_port = reserve_port(self._ports)
        self._valkey = EmbeddedValkey(folder / "valkey", fsync="always")
        self._kept: dict[str, Keeper] = {}
        self._links: dict[str, Shim] = {}
        self._portal: BlockingPortal

    @property
    def urls(self) -> list[str]:
        """NEXTMQ_URL for each server."""
        return [self._project.connection_string(self._base_url(name)) for name in SERVERS]

    @property
    def crashes(self) -> int:
        """How often the receiver has crashed."""
        return self._kept[RECEIVER].ends - self._kept[RECEIVER].kills

    def server_log(self) -> list[str]:
        """Return the lines that all servers have printed so far."""
        return [line for name in SERVERS for line in self._kept[name].log.read_text().splitlines()]

    @contextlib.contextmanager
    def running(self) -> t.Generator[redis.Redis]:
        """Run all parts, and give a client of Valkey. End them with the context."""
        with self._ports, start_blocking_portal() as self._portal:
            try:
                self._valkey.start()
                self._link(REDIS_LINK, self._redis_port, self._to_valkey)
                self._link(DELIVERY_LINK, self._delivery_port, self._to_receiver)
                self._kept = {**{name: self._server(name) for name in SERVERS}, RECEIVER: self._receiver()}
                self._start(self._kept)
                path = str(self._valkey.socket_path)
                with contextlib.closing(redis.Redis(unix_socket_path=path, decode_responses=True)) as client:
                    yield client
            finally:
                for part in self._kept.values():
                    part.end()
                for link in self._links.values():
                    self._portal.call(link.cut)
                self._valkey.stop()

    def strike(self, fault: Fault) -> Strike:
        """Make the fault happen, and return when all parts run again."""
        began_at = _now()
        if fault.kind == "kill":
            self._kill(fault.targets, fault.lasts)
        else:
            (name,) = fault.targets
            self._disturb(self._links[name], fault)
        return Strike(fault, began_at, _now())

    def _base_url(self, server: str) -> str:
        return f"http://127.0.0.1:{self._server_ports[server]}"

    def _to_valkey(self) -> Connecting:
        return asyncio.open_unix_connection(str(self._valkey.socket_path))

    def _to_receiver(self) -> Connecting:
        return asyncio.open_connection("127.0.0.1", self._receiver_port)

    def _link(self, name: str, port: int, connect: t.Callable[[], Connecting]) -> None:
        self._links[name] = Shim(port, connect)
        self._portal.call(self._links[name].restore)

    def _disturb(self, link: Shim, fault: Fault) -> None:
        if fault.kind == "cut":
            self._portal.call(link.cut)
        elif fault.kind == "stall":
            self._portal.call(link.stall)
        else:
            self._portal.call(link.lose_answers)
        time.sleep(fault.lasts)
        if fault.kind == "lose answers":
            self._portal.call(link.cut)
        self._portal.call(link.restore)

    def _kill(self, targets: t.Collection[str], lasts: float) -> None:
        # Who is dead refuses connections; only behind the link of a receiver that crashed they wait for it.
        links = [self._links[name] for part, name in _LINKS.items() if part in targets]
        kept = [name for name in targets if name in self._kept]
        for link in links:
            self._portal.call(link.cut)
        if VALKEY in targets:
            assert self._valkey.pid is not None
            os.kill(self._valkey.pid, signal.SIGKILL)
        for name in kept:
            self._kept[name].kill()
        time.sleep(lasts)
        if VALKEY in targets:
            self._valkey.stop()
            self._valkey.start()
        for link in links:
            self._portal.call(link.restore)
        self._start(kept)

    def _start(self, names: t.Collection[str]) -> None:
        for name in names:
            self._kept[name].start()
        for name in SERVERS:
            if name in names:
                wait_until_ready(f"{self._base_url(name)}/readyz")

    def _server(self, name: str) -> Keeper:
        options = {
            "--port": str(self._server_ports[name]),
            "--redis-url": f"redis://127.0.0.1:{self._redis_port}",
            "--projects": str(self._folder / "projects.json"),
            "--allow-egress": "127.0.0.0/8",
        }
        command = ["nextmq_server", "serve", *(part for option in options.items() for part in option)]
        return Keeper(command, preloaded="nextmq_server.cli.serve", env={}, log=self._folder / f"{name}.log")

    def _receiver(self) -> Keeper:
        env = {
            "NEXTMQ_URL": self.urls[0],
            "NEXTMQ_APP_URL": f"http://127.0.0.1:{self._delivery_port}",
            "CHAOS_JOURNAL": str(self.journal),
        }
        command = ["uvicorn", "tests.chaos.receiver:handler", "--port", str(self._receiver_port)]
        log = self._folder / f"{RECEIVER}.log"
        return Keeper(
            command, preloaded="nextmq_handler.asgi,nextmq_handler.client._sync.workers", env=env, log=log
        )


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + _START_TIME
    while True:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} does not say that it is ready: the server's log tells why")
        time.sleep(0.02)


def reserve_port(reserved: contextlib.ExitStack) -> int:
    """Give a port of 127.0.0.1 to listen on. Nobody else gets it until `reserved` is closed.

    While a part is dead its port would else be free for any connection that needs one.
    """
    holder = reserved.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return int(holder.getsockname()[1])


def _now() -> int:
    return round(time.time() * 1000)
