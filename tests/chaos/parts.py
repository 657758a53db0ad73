"""The parts of a run: a Valkey, two servers, a receiver, the links between them, and what befalls them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import redis
from anyio.from_thread import BlockingPortal, start_blocking_portal

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects_file import add_project
from nextmq_server.testing.processes import ChildProcess

from .history import DELIVERY_LINK, RECEIVER, REDIS_LINK, SERVERS, VALKEY, Fault
from .shim import Connect, Shim

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "chaos"
_LINKS = {VALKEY: REDIS_LINK, RECEIVER: DELIVERY_LINK}


class Strike(t.NamedTuple):
    """A fault that was: when it began and when it was over, in ms since the epoch."""

    fault: Fault
    began_at: int
    ended_at: int


class Parts:
    """Starts all parts in `folder` and ends them with the context. Enter it in the main thread, as Valkey asks."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self._folder = folder
        self._project = add_project(folder / "projects.json", PROJECT, prefix=PROJECT)
        self._ports = contextlib.ExitStack()
        self._server_ports = {name: reserve_port(self._ports) for name in SERVERS}
        self._redis_port, self._delivery_port = reserve_port(self._ports), reserve_port(self._ports)
        self._valkey = EmbeddedValkey(folder / "valkey", fsync="always")
        self._servers: dict[str, ChildProcess] = {}
        self._ended: list[ChildProcess] = []
        self._links: dict[str, Shim] = {}
        self._receiver = Receiver(folder, reserve_port(self._ports))
        self._portal: BlockingPortal

    @property
    def urls(self) -> list[str]:
        """NEXTMQ_URL for each of the servers."""
        ports = self._server_ports.values()
        return [self._project.connection_string(f"http://127.0.0.1:{port}") for port in ports]

    @property
    def crashes(self) -> int:
        """How often the receiver has ended by itself."""
        return self._receiver.starts - 1 - self._receiver.kills

    def redis(self) -> redis.Redis:
        """A client of Valkey itself."""
        return redis.Redis(unix_socket_path=str(self._valkey.socket_path), decode_responses=True)

    def server_log(self) -> list[str]:
        """The lines that all servers have printed so far."""
        return [line for server in (*self._ended, *self._servers.values()) for line in server.lines]

    @contextlib.contextmanager
    def running(self) -> t.Generator[None]:
        """Everything runs; it has ended when this does."""
        with self._ports, start_blocking_portal() as self._portal:
            try:
                self._valkey.start()
                valkey = str(self._valkey.socket_path)
                self._link(REDIS_LINK, self._redis_port, lambda: asyncio.open_unix_connection(valkey))
                receiver = self._receiver.port
                self._link(
                    DELIVERY_LINK, self._delivery_port, lambda: asyncio.open_connection("127.0.0.1", receiver)
                )
                self._start_servers(SERVERS)
                self._receiver.keep({"NEXTMQ_URL": self.urls[0], "NEXTMQ_APP_URL": self._app_url})
                yield
            finally:
                self._receiver.end()
                for server in self._servers.values():
                    server.kill()
                for link in self._links.values():
                    self._portal.call(link.cut)
                self._valkey.stop()

    def strike(self, fault: Fault) -> Strike:
        """Have it happen and be over, all parts running again."""
        began_at = _now()
        if fault.kind == "kill":
            self._kill(fault.targets, fault.lasts)
        else:
            (name,) = fault.targets
            self._disturb(self._links[name], fault)
        return Strike(fault, began_at, _now())

    @property
    def _app_url(self) -> str:
        return f"http://127.0.0.1:{self._delivery_port}"

    def _link(self, name: str, port: int, connect: Connect) -> None:
        async def make() -> Shim:
            shim = Shim(port, connect)
            await shim.restore()
            return shim

        self._links[name] = self._portal.call(make)

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
        servers = [name for name in SERVERS if name in targets]
        # Who is dead refuses connections; only behind the link of a receiver that crashed they wait for it.
        links = [self._links[name] for part, name in _LINKS.items() if part in targets]
        for link in links:
            self._portal.call(link.cut)
        if RECEIVER in targets:
            self._receiver.kill()
        if VALKEY in targets:
            assert self._valkey.pid is not None
            os.kill(self._valkey.pid, signal.SIGKILL)
        for name in servers:
            self._servers[name].kill()
        time.sleep(lasts)
        if VALKEY in targets:
            self._valkey.stop()
            self._valkey.start()
        for link in links:
            self._portal.call(link.restore)
        self._start_servers(servers)

    def _start_servers(self, names: t.Iterable[str]) -> None:
        for name in names:
            if name in self._servers:
                self._ended.append(self._servers[name])
            self._servers[name] = self._server(self._server_ports[name])
        for name in names:
            self._servers[name].wait_for_line("NextMQ server on ")

    def _server(self, port: int) -> ChildProcess:
        options = {
            "--port": str(port),
            "--redis-url": f"redis://127.0.0.1:{self._redis_port}",
            "--projects": str(self._folder / "projects.json"),
            "--allow-egress": "127.0.0.0/8",
        }
        arguments = [part for option in options.items() for part in option]
        return ChildProcess([sys.executable, "-m", "nextmq_server", "serve", *arguments])


class Receiver:
    """The receiver's process, which is started again whenever it has ended."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.starts = self.kills = 0
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None
        self._is_over = threading.Event()

    def keep(self, env: t.Mapping[str, str]) -> None:
        """Have it run from now on."""
        env = {**os.environ, **env, "CHAOS_JOURNAL": str(self._folder / "journal")}
        self._keeper = threading.Thread(target=self._keep, args=(env,))
        self._keeper.start()

    def kill(self) -> None:
        """SIGKILL."""
        self.kills += 1
        self._end_process()

    def end(self) -> None:
        """SIGKILL, for good."""
        self._is_over.set()
        while self._keeper is not None and self._keeper.is_alive():
            self._end_process()
            self._keeper.join(0.1)

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _keep(self, env: t.Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT), "tests.chaos.receiver:handler"]
        with (self._folder / "receiver.log").open("ab") as log:
            while not self._is_over.is_set():
                self.starts += 1
                self._process = subprocess.Popen(
                    [*command, "--port", str(self.port)], env=env, stdout=log, stderr=log
                )
                self._process.wait()


def reserve_port(reserved: contextlib.ExitStack) -> int:
    """A port of 127.0.0.1 that nobody else is given until `reserved` is closed, and that may be listened on.

    While a part is dead its port would else be free for any connection that needs one.
    """
    holder = reserved.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return int(holder.getsockname()[1])


def _now() -> int:
    return round(time.time() * 1000)
